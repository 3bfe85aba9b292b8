"""The fields that all ways of authentication by JSON Web Tokens have in common: the policies of scopes, how far clocks may
differ, and which claims are needed later."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from services.gateway.definitions.reader import Reader

_MOST_SKEW: Final = 31_536_000
_CLAIM: Final = re.compile(r"jwt_claims_([A-Za-z0-9_.\-]+)")


def read_policies(reader: Reader, name: str) -> dict[str, str]:
    """Read the ids of policies by scope."""
    found = {}
    for scope, policy, pointer in reader.mapping(name):
        if isinstance(policy, str) and policy:
            found[scope] = policy
        else:
            reader.report.add(pointer, "must be the id of a policy")
    return found


def read_skews(reader: Reader) -> tuple[int, int, int]:
    """Read the seconds that `iat`, `nbf` and `exp` may be off."""
    issued, starts, ends = (
        reader.integer(f"jwt_{name}_validation_skew", 0, 0, _MOST_SKEW) for name in ("issued_at", "not_before", "expires_at")
    )
    return issued, starts, ends


def read_claim_names(reader: Reader, raw: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the names of the claims that a definition speaks of; None = it may be any, because templates see the context.

    Only these are remembered of a token. raw: the whole definition.
    """
    text = json.dumps(raw, ensure_ascii=False)
    if reader.flag("enable_context_vars") and "template_data" in text.lower():
        return None
    return frozenset(name.rstrip(".-") for name in _CLAIM.findall(text))
