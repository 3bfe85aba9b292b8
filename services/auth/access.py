"""Who asks: what a checked credential says about its holder, and what that person may do. Pure decisions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from services.auth import levels, refusals
from services.auth.models import Person, User

PASSWORD = "password"  # noqa: S105  the name of a method
LOGIN_KEY = "login_key"


@dataclass(frozen=True, slots=True)
class Caller:
    """A person who may use the service's own API. method: what the sign-in began with. grant_id: the sign-in, None for Basic.

    session: digest of the browser session, when it came from the pages. key_digest: of the login key, when it came by Basic.
    """

    user: User | Person
    method: str
    grant_id: str | None = None
    session: str | None = None
    key_digest: str | None = None

    @property
    def sign_in(self) -> str:
        """Return the name under which the caller's wrong current passwords are counted.

        A login key begins any number of sign-ins: they count as one.
        """
        return f"{self.user.id} {self.method} {(self.grant_id or self.session) if self.method == PASSWORD else None}"


class Application(NamedTuple):
    """The OAuth2 client that asks in a person's name. scopes: what the person has allowed it."""

    client_id: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Verified:
    """The answer about a token. kind: `account`, `analysis`, `middleware`, `user`, `role` or `client`."""

    kind: str
    id: str
    permission: str = "full"
    user: User | Person | None = None
    policy: list[Any] = field(default_factory=list)
    expires_at: dt.datetime | None = None
    subject: str | None = None
    label: str | None = None
    scope: str | None = None
    client_id: str | None = None


def require_level(caller: Caller, level: str) -> None:
    """Refuse a caller below this level. Raises Refusal 403."""
    if not levels.at_least(caller.user.level, level):
        raise refusals.not_allowed(level)


def require_password(caller: Caller | None) -> None:
    """Refuse a caller who came with a login key, for what would outlive the key. Raises Refusal 403."""
    if caller is not None and caller.method == LOGIN_KEY:
        raise refusals.password_needed()


def administered_domain(caller: Caller | None) -> str | None:
    """Return the domain that the caller administers, None for all. caller: None for the command line. Raises Refusal 403."""
    if caller is None or levels.at_least(caller.user.level, levels.SUPER_USER):
        return None
    require_level(caller, levels.DOMAIN_ADMIN)
    return caller.user.domain


def may_give(caller: Caller | None, level: str) -> None:
    """Refuse a caller who gives a level above their own. Raises Refusal 403."""
    if caller is not None and not levels.at_least(caller.user.level, level):
        raise refusals.not_allowed(f"{level} to give {level}")


def may_take_email(caller: Caller, email: str | None) -> None:
    """Refuse a new address to a login key: the address is half of what logs in. Raises Refusal 403."""
    if email is not None and email != caller.user.email:
        require_password(caller)
