"""The fields that all ways of authentication by JSON Web Tokens have in common: the policies of scopes, and how far clocks may differ."""

from __future__ import annotations

from typing import Final

from services.gateway.definitions.reader import Reader

_MOST_SKEW: Final = 31_536_000


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
