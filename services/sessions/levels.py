"""Access levels of users, in order (Tygron); auth keeps who has which."""

from __future__ import annotations

from typing import Final

NONE: Final = "NONE"
JOIN_ONLY: Final = "JOIN_ONLY"
HOST_SESSION: Final = "HOST_SESSION"
EDITOR: Final = "EDITOR"
DOMAIN_ADMIN: Final = "DOMAIN_ADMIN"
SUPER_USER: Final = "SUPER_USER"

ALL: Final = (NONE, JOIN_ONLY, HOST_SESSION, EDITOR, DOMAIN_ADMIN, SUPER_USER)
_RANK: Final = {level: rank for rank, level in enumerate(ALL)}


def at_least(level: str, wanted: str) -> bool:
    """Say whether `level` is `wanted` or above it; a level that is not known counts as none."""
    return _RANK.get(level, 0) >= _RANK[wanted]
