"""What projects may be called, who may do what with them, and how clients see them. Pure."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Collection
from typing import Any, Final, Literal, Protocol

from services.sessions import levels

Right = Literal["WRITE", "READ", "NONE"]
PERMISSIONS: Final = ("WRITE", "READ", "NONE")
OWNER, DOMAIN, SUPPORT = "OWNER", "DOMAIN", "SUPPORT"
HOLDERS: Final = (OWNER, DOMAIN, SUPPORT)  # whose permissions there are, in the order in which clients read them
LANGUAGES: Final = ("NL", "EN")
DEFAULT_MAP_M: Final = 500
SMALLEST_MAP_M: Final = 100
LARGEST_MAP_M: Final = 60_000
HIGHEST_LATITUDE: Final = 85.0  # degrees; beyond it Web Mercator ends
TRASH_KEPT: Final = dt.timedelta(days=3)
KEPT_VERSIONS: Final = 20  # of a project; the oldest ones go
BASE_VERSION: Final = 0  # the content of a new project
ALL_OF_DOMAIN: Final = "Root Domain Only"  # how clients name a project that is in no sub-domain
NAME_USED: Final = "Project name is already used, please select another one."
NAME_WRONG: Final = "A project's name has 3 to 20 small letters, digits, _ and -."
_NAME: Final = re.compile(r"[a-z0-9_-]{3,20}").fullmatch
_SUB_DOMAIN: Final = re.compile(r"[A-Za-z0-9@._-]{3,50}").fullmatch
_RANK: Final = {"NONE": 0, "READ": 1, "WRITE": 2}
_EARTH_M: Final = 6_378_137.0  # radius of the sphere of EPSG:3857


class Owned(Protocol):
    """What decides about rights on a project."""

    domain: str
    owner_id: str
    owner: str
    owner_permission: str
    domain_permission: str
    support_permission: str


class Asking(Protocol):
    """A user."""

    @property
    def id(self) -> str: ...

    @property
    def email(self) -> str: ...

    @property
    def domain(self) -> str: ...

    @property
    def level(self) -> str: ...


class Described(Owned, Protocol):
    """What clients see of a project."""

    name: str
    sub_domain: str
    languages: list[Any]
    detailed: bool
    template: bool
    archived_at: dt.datetime | None
    trashed_at: dt.datetime | None
    map_size_m: int
    lat: float | None
    lon: float | None
    active_version: int
    changed_at: dt.datetime


def is_name(name: str) -> bool:
    """Say whether a project may be called so: 3 to 20 of `a-z`, `0-9`, `_` and `-` (Tygron)."""
    return _NAME(name) is not None


def read_sub_domain(text: str) -> str | None:
    """Return how a sub-domain is kept: empty for none; None for a text that names none."""
    if text in ("", ALL_OF_DOMAIN):
        return ""
    return text if _SUB_DOMAIN(text) else None


def owns(user: Asking, project: Owned) -> bool:
    """Say whether a project is the user's. An owner who was given by name is known by it."""
    if user.domain != project.domain:
        return False
    if project.owner_id:
        return user.id == project.owner_id
    return user.email.casefold() == project.owner.casefold()


def right(user: Asking, project: Owned) -> Right:
    """Return what a user may do with a project.

    The admins of its domain write; its owner, the others of the domain, and super users have what is allowed to them. A project of another
    domain is not there.
    """
    if user.domain == project.domain:
        if levels.at_least(user.level, levels.DOMAIN_ADMIN):
            return "WRITE"
        return _right(project.owner_permission if owns(user, project) else project.domain_permission)
    return _right(project.support_permission) if levels.at_least(user.level, levels.SUPER_USER) else "NONE"


def may(user: Asking, project: Owned, wanted: Right) -> bool:
    """Say whether a user may do this with a project."""
    return _RANK[right(user, project)] >= _RANK[wanted]


def manages(user: Asking, project: Owned) -> bool:
    """Say whether a user may say who may do what with a project: also an owner who has forbidden themselves to write."""
    return owns(user, project) or may(user, project, "WRITE")


def sees(user: Asking, project: Owned) -> bool:
    """Say whether a project is there for a user."""
    return manages(user, project) or may(user, project, "READ")


def data(project: Described, versions: Collection[int], last_session: int | None, edited: bool) -> dict[str, Any]:
    """Return a project as today's clients read one: these names and no others, because an unknown one is an error to them.

    versions: that are stored. last_session: id of the newest session of it. edited: whether one of type EDITOR runs.
    """
    names = {BASE_VERSION: "Base Version", **{number: f"Version {number}" for number in sorted(versions)}}
    restored_until = None if project.trashed_at is None else project.trashed_at + TRASH_KEPT
    return {
        "fileName": project.name,
        "owner": project.owner,
        "domain": project.domain,
        "subDomain": project.sub_domain or ALL_OF_DOMAIN,
        "languages": list(project.languages),
        "permissions": [project.owner_permission, project.domain_permission, project.support_permission],
        "universal": False,
        "template": project.template,
        "detailed": project.detailed,
        "editing": edited,
        "description": "",
        "disclaimer": "",
        "versions": list(names.values()),
        "versionMap": {str(number): name for number, name in names.items()},
        "activeVersion": project.active_version,
        "sizeM": [project.map_size_m, project.map_size_m],
        "bbox": _bounds(project.lat, project.lon, project.map_size_m),
        "byteSize": -1,
        "deleteDate": _ms(project.trashed_at),
        "restoreDate": _ms(restored_until),
        "archiveDate": _ms(project.archived_at),
        "lastActivity": _ms(project.changed_at),
        "lastSessionID": last_session,
        "lastUser": None,
    }


def _bounds(lat: float | None, lon: float | None, size_m: int) -> str:
    """Write the bounds of a map in EPSG:3857: west, south, east, north in its metres; empty for a map without a place."""
    if lat is None or lon is None:
        return ""
    x = _EARTH_M * math.radians(lon)
    y = _EARTH_M * math.asinh(math.tan(math.radians(lat)))
    half = size_m / 2 / math.cos(math.radians(lat))  # Mercator stretches by 1/cos
    return ",".join(f"{one:.2f}" for one in (x - half, y - half, x + half, y + half))


def _ms(moment: dt.datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def _right(text: str) -> Right:
    return text if text in ("WRITE", "READ") else "NONE"  # type: ignore[return-value]
