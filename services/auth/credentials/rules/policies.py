"""Access policies of analysis and middleware tokens: a list of (resource, actions)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

PERMISSIONS = ("full", "read", "write")
KINDS = ("account", "analysis", "middleware")

_RESOURCE = re.compile(r"[A-Za-z0-9*][A-Za-z0-9_.:/*-]{0,127}")
_ACTION = re.compile(r"[a-z*][a-z0-9_-]{0,31}|\*")
MAX_ENTRIES = 50
MAX_ACTIONS = 20


def problem(kind: str, policy: Sequence[Mapping[str, Any]]) -> str | None:
    """Say why a policy is refused for a kind of token; None when it is not. Account tokens carry none, the others at least one entry."""
    if kind == "account":
        return "Account tokens carry no policy; their permission says it all." if policy else None
    if not policy:
        return f"A token of kind {kind} needs at least one entry."
    if len(policy) > MAX_ENTRIES:
        return f"More than {MAX_ENTRIES} entries."
    for number, entry in enumerate(policy, 1):
        if not _RESOURCE.fullmatch(entry["resource"]):
            return f"Entry {number}: the resource must be 1 to 128 letters, digits or _ . : / * -, beginning with a letter, a digit or *."
        actions = entry["actions"]
        if not actions or len(actions) > MAX_ACTIONS:
            return f"Entry {number}: 1 to {MAX_ACTIONS} actions."
        for action in actions:
            if not _ACTION.fullmatch(action):
                return f"Entry {number}: an action is lower-case letters, digits, _ and -, or *."
        if len(set(actions)) != len(actions):
            return f"Entry {number}: the same action twice."
    return None


def clean(policy: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the policy as it is kept: only the two known fields, in order."""
    return [{"resource": entry["resource"], "actions": list(entry["actions"])} for entry in policy]
