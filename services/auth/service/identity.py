"""Who somebody is: what a credential that was checked says about its holder."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from services.auth.models import User
from services.auth.store.users import Person
from services.common.clock import isoformat

PASSWORD = "password"  # noqa: S105  the name of a method
LOGIN_KEY = "login_key"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may use the service's own API. method: what the sign-in began with. grant_id: the sign-in, None for Basic.

    session: digest of the browser session, when it came from the pages. key_digest: of the login key, when it came by Basic.
    """

    user: User | Person
    method: str
    grant_id: str | None = None
    session: str | None = None
    key_digest: str | None = None

    @property
    def sign_in(self) -> str:
        """What one's own wrong current passwords are counted for. A login key begins as many sign-ins as somebody likes: they are one."""
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

    def shown(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "id": self.id,
            "subject": self.subject,
            "label": self.label,
            "user": user_shown(self.user) if self.user else None,
            "permission": self.permission,
            "policy": self.policy,
            "scope": self.scope,
            "client_id": self.client_id,
            "expires_at": isoformat(self.expires_at) if self.expires_at else None,
        }


def user_shown(user: User | Person) -> dict[str, Any]:
    """A user as JSON."""
    return {
        "id": user.id,
        "email": user.email,
        "full_name": user.full_name,
        "domain": user.domain,
        "level": user.level,
        "active": user.active,
        "layer_domains": list(user.layer_domains),
        "created_at": isoformat(user.created_at),
        "last_login_at": isoformat(user.last_login_at) if user.last_login_at else None,
    }
