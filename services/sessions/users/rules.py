"""How clients see users, and what is in a credential of theirs. Pure."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from typing import Any, Final

LOGIN_KEY: Final = "gh_key_"  # how auth's login keys begin
ALL_SUB_DOMAINS: Final = "All Sub Domains"  # accounts have no sub-domains
_NEVER: Final = -1


def data(name: str, full_name: str, domain: str, level: str, *, active: bool = True, last_login: str | None = None) -> dict[str, Any]:
    """Return a user as today's clients read one. last_login: ISO 8601, as auth writes it; None when it is not known."""
    first, _, last = full_name.strip().partition(" ")
    return {
        "userName": name,
        "nickName": first,
        "firstName": first,
        "lastName": last.strip(),
        "phone": "",
        "domain": domain,
        "subDomain": ALL_SUB_DOMAINS,
        "maxOption": level,
        "recentProjects": [],
        "lastLogin": int(dt.datetime.fromisoformat(last_login).timestamp() * 1000) if last_login else _NEVER,
        "active": active,
    }


def is_same(name: str, other: str) -> bool:
    """Say whether two user names are the same; case does not count."""
    return name.strip().casefold() == other.strip().casefold()


def basic(credential: str) -> tuple[str, str] | None:
    """Read name and password of an Authorization header (RFC 7617); None when it is not Basic."""
    scheme, _, encoded = credential.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None


def as_basic(name: str, password: str) -> str:
    """Write name and password as an Authorization header."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
