"""Who writes, and what they may write. Reads ask for nothing.

An owner is a user at auth. A session key, which this service issues (`sessions/`), stands in `X-Auth`; a token of the house may stand in
`Authorization: Bearer` instead.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from services.common.identity.client import IdentityClient
from services.common.identity.identity import User
from services.common.identity.refusals import AuthUnavailable, InsufficientScope, Throttled, Unauthenticated
from services.mobility import refusals

ROOT: Final = "SUPER_USER"  # the level at auth of who may write every layer


@dataclass(frozen=True, slots=True)
class Caller:
    """Who writes. id: of the user at auth. layer_domains: first parts of the names of layers that it may create.

    key_digest: of its session key, which a write renews; None with a token of the house.
    """

    id: str
    email: str
    level: str
    layer_domains: tuple[str, ...]
    key_digest: str | None = None


def is_root(caller: Caller) -> bool:
    """Say whether the caller may write every layer."""
    return caller.level == ROOT


def may_write(caller: Caller, owner_id: str) -> bool:
    """Say whether the caller may write a layer. owner_id: the layer's."""
    return is_root(caller) or (owner_id != "" and caller.id == owner_id)


def may_create(caller: Caller, domain: str) -> bool:
    """Say whether the caller may create layers whose names begin with this part."""
    return is_root(caller) or domain in caller.layer_domains


def of_user(user: User, key_digest: str | None = None) -> Caller:
    """Return the caller that a user of auth is."""
    return Caller(user.id, user.email, user.level, user.layer_domains, key_digest)


@dataclass(frozen=True, slots=True)
class Proven:
    """An owner whose password or login key was right. ends: of the login key; None with the password."""

    user: User
    ends: dt.datetime | None


class Owners:
    """Asks auth who a password, a session or a token belongs to. Thread-safe."""

    def __init__(self, identities: IdentityClient) -> None:
        self._identities = identities

    def by_password(self, email: str, password: str, address: str | None) -> Proven:
        """address: the client's. Raises Refusal 401, 429, 503."""
        try:
            found = self._identities.basic(email, password, address)
        except Unauthenticated:
            raise refusals.not_authorized() from None
        except Throttled as error:
            raise refusals.too_many_failures(error.message, error.headers) from None
        except AuthUnavailable:
            raise refusals.auth_unavailable() from None
        assert found.user is not None
        return Proven(found.user, found.expires_at)

    def by_id(self, user_id: str, password_stamp: str) -> User | None:
        """Find an owner as it is now (at most 5 s ago); None when it is gone, disabled, or has another password. Raises Refusal 503."""
        try:
            return self._identities.user(user_id, password_stamp)
        except Unauthenticated:
            return None
        except AuthUnavailable:
            raise refusals.auth_unavailable() from None

    def by_token(self, token: str) -> Caller:
        """Raises Refusal 401, 403, 503."""
        try:
            found = self._identities.token(token)
        except Unauthenticated as error:
            raise refusals.token_refused(error.message) from None
        except InsufficientScope:
            raise refusals.out_of_scope() from None
        except AuthUnavailable:
            raise refusals.auth_unavailable() from None
        if found.user is None or found.kind not in ("account", "user") or found.permission not in ("full", "write"):
            raise refusals.out_of_scope()
        return of_user(found.user)
