"""Access levels of users, in order."""

from __future__ import annotations

NONE = "NONE"
JOIN_ONLY = "JOIN_ONLY"
HOST_SESSION = "HOST_SESSION"
EDITOR = "EDITOR"
DOMAIN_ADMIN = "DOMAIN_ADMIN"
SUPER_USER = "SUPER_USER"

ALL = (NONE, JOIN_ONLY, HOST_SESSION, EDITOR, DOMAIN_ADMIN, SUPER_USER)
_RANK = {level: rank for rank, level in enumerate(ALL)}


def at_least(level: str, wanted: str) -> bool:
    """Say whether `level` is `wanted` or above it."""
    return _RANK[level] >= _RANK[wanted]
