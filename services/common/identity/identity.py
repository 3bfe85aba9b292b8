"""Who is asking: what auth says of a credential, as values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class User:
    """A person. password_stamp: changes when the password does; empty where auth does not say it."""

    id: str
    email: str
    full_name: str
    domain: str
    level: str
    layer_domains: tuple[str, ...]
    password_stamp: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking and with what.

    kind: `basic`, `known` (asked for by id), or that of the token: `account`, `analysis`, `middleware`, `user`, `role`, `client`.
    credential: `password` or `login_key`, of Basic. permission: `full`, `read` or `write`. policy: (resource, actions) pairs.
    expires_at: end of the credential, None for never. client_id: the OAuth2 client that the token was made for; scope: what that
    client may do, words separated by spaces.
    """

    kind: str
    id: str
    subject: str
    user: User | None = None
    credential: str | None = None
    permission: str = "full"
    policy: tuple[tuple[str, frozenset[str]], ...] = ()
    label: str = ""
    scope: str = ""
    client_id: str | None = None
    expires_at: dt.datetime | None = None


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def _user(said: Mapping[str, Any]) -> User:
    return User(
        id=str(said["id"]),
        email=str(said["email"]),
        full_name=str(said["full_name"]),
        domain=str(said["domain"]),
        level=str(said["level"]),
        layer_domains=tuple(map(str, said["layer_domains"])),
        password_stamp=str(said.get("password_stamp", "")),
    )


def read_basic(said: Mapping[str, Any]) -> Identity:
    """Read the answer of `/verify/basic`. Raises KeyError, TypeError, ValueError."""
    user = _user(said)
    return Identity("basic", user.id, user.id, user, credential=str(said["credential"]), expires_at=_moment(said["expires_at"]))


def read_user(said: Mapping[str, Any]) -> Identity:
    """Read the answer of `/verify/user`. Raises as `read_basic`."""
    user = _user(said)
    return Identity("known", user.id, user.id, user)


def read_token(said: Mapping[str, Any]) -> Identity:
    """Read the answer of `/verify/token`. Raises as `read_basic`."""
    return Identity(
        kind=str(said["kind"]),
        id=str(said["id"]),
        subject=str(said["subject"]),
        user=_user(said["user"]) if said["user"] else None,
        permission=str(said["permission"]),
        policy=tuple((str(one["resource"]), frozenset(map(str, one["actions"]))) for one in said["policy"]),
        label=said["label"] or "",
        scope=said["scope"] or "",
        client_id=said["client_id"],
        expires_at=_moment(said["expires_at"]),
    )
