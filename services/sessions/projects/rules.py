"""What projects may be called, and who may do what with them. Pure."""

from __future__ import annotations

import re
from typing import Final, Literal, Protocol

from services.sessions import levels

Right = Literal["WRITE", "READ", "NONE"]
PERMISSIONS: Final = ("WRITE", "READ", "NONE")
LANGUAGES: Final = ("NL", "EN")
DEFAULT_MAP_M: Final = 500
TRASH_KEPT_DAYS: Final = 3
_NAME: Final = re.compile(r"[a-z0-9_-]{3,20}").fullmatch
_RANK: Final = {"NONE": 0, "READ": 1, "WRITE": 2}


class Owned(Protocol):
    """What decides about rights on a project."""

    domain: str
    owner_id: str
    domain_permission: str
    support_permission: str


class Asking(Protocol):
    """A user."""

    @property
    def id(self) -> str: ...

    @property
    def domain(self) -> str: ...

    @property
    def level(self) -> str: ...


def is_name(name: str) -> bool:
    """Say whether a project may be called so: 3 to 20 of `a-z`, `0-9`, `_` and `-` (Tygron)."""
    return _NAME(name) is not None


def right(user: Asking, project: Owned) -> Right:
    """Return what a user may do with a project.

    The owner and the admins of its domain write; others of the domain, and super users, have what the owner allows. A project of another
    domain is not there.
    """
    if user.domain == project.domain:
        if user.id == project.owner_id or levels.at_least(user.level, levels.DOMAIN_ADMIN):
            return "WRITE"
        return _right(project.domain_permission)
    return _right(project.support_permission) if levels.at_least(user.level, levels.SUPER_USER) else "NONE"


def may(user: Asking, project: Owned, wanted: Right) -> bool:
    """Say whether a user may do this with a project."""
    return _RANK[right(user, project)] >= _RANK[wanted]


def _right(text: str) -> Right:
    return text if text in ("WRITE", "READ") else "NONE"  # type: ignore[return-value]
