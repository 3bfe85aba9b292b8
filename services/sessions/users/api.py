"""Events and addresses of users."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, Flask, Response, request

from services.sessions import levels
from services.sessions.access import Caller
from services.sessions.events.events import Parameter
from services.sessions.events.kinds import BOOLEAN, choice, optional, secret, text
from services.sessions.events.sets import USER
from services.sessions.pages.navigation import link
from services.sessions.users import rules
from services.sessions.web import need, parts, show

blueprint = Blueprint("users", __name__)
_NAME: Final = Parameter("userName", text(254, least=1), "The name, an e-mail address, that the user logs in with.")
_DOMAIN: Final = optional("domain", text(64), "Your own, when it is left out.")
_USERS: Final = {"type": "array", "items": {"type": "object"}}
_DONE: Final = {"type": "boolean", "description": "Always true."}


def register(app: Flask) -> None:
    """Add the routes."""
    app.register_blueprint(blueprint)


@blueprint.get("/api/services/myuser/")
@blueprint.get("/api/myuser/")
def my_user() -> Response:
    """Answer the own account."""
    found = need(levels.JOIN_ONLY)
    fired = [(event, f"/api/services/event/{USER.names[0]}/{event.name}/") for event in (USER.find("GET_MY_LOGIN_KEY"),) if event]
    return show("You", _own(found), links={"Your domain": link("/api/services/mydomain/")}, events=fired)


@blueprint.get("/api/services/mydomain/")
@blueprint.get("/api/mydomain/")
def my_domain() -> Response:
    """Answer the own domain."""
    found = need(levels.JOIN_ONLY)
    return show("Your domain", {"name": found.user.domain}, links={"Projects": link("/api/services/projects/")})


@USER.event("GET_MY_USER", level=levels.JOIN_ONLY, changes=False, answer={"type": "object"})
def get_my_user(caller: Caller) -> dict[str, Any]:
    """Answer your account."""
    return _own(caller)


@USER.event("GET_MY_LOGIN_KEY", level=levels.JOIN_ONLY, by_get=True, answer={"type": "string"})
def get_my_login_key(caller: Caller) -> str:
    """Answer a login key, to be sent in the place of the password from now on.

    There is one for each user: a new one ends the one before. Whoever logs in with a login key gets the same again.
    """
    return parts().accounts.login_key(caller, _address())


@USER.event(
    "GET_DOMAIN_USERS",
    level=levels.DOMAIN_ADMIN,
    parameters=(_DOMAIN,),
    changes=False,
    answer={"type": "array", "items": {"type": "object"}},
)
def get_domain_users(caller: Caller, domain: str | None) -> list[dict[str, Any]]:
    """Answer the users of your domain."""
    return parts().accounts.of_domain(caller, _address(), domain)


def _adding(values: list[Any]) -> list[Any]:
    """The domain may be left out when nothing but the name follows."""
    return values if len(values) > 1 else [None, *values]


@USER.event(
    "ADD_USER",
    level=levels.DOMAIN_ADMIN,
    shape=_adding,
    parameters=(
        _DOMAIN,
        _NAME,
        optional("password", secret(256), "Without one nobody can log in as this user until SET_USER_PASSWD or RESET_PASSWD."),
        optional("level", choice(levels.ALL), "JOIN_ONLY, when it is left out."),
        optional("fullName", text(200), "First name, then family name."),
    ),
    answer=_DONE,
)
def add_user(caller: Caller, domain: str | None, name: str, password: str | None, level: str | None, full_name: str | None) -> bool:
    """Add a user to your domain."""
    return parts().accounts.add(caller, _address(), domain, name, password, level, full_name)


@USER.event(
    "REMOVE_USER",
    level=levels.DOMAIN_ADMIN,
    parameters=(_NAME,),
    answer={"type": "boolean", "description": "Whether there was such a user."},
)
def remove_user(caller: Caller, name: str) -> bool:
    """Remove a user of your domain."""
    return parts().accounts.remove(caller, _address(), name)


def _activating(values: list[Any]) -> list[Any]:
    """The domain may be left out."""
    return values if len(values) > 2 else [None, *values]


@USER.event(
    "SET_USER_ACTIVE",
    level=levels.DOMAIN_ADMIN,
    shape=_activating,
    parameters=(_DOMAIN, _NAME, Parameter("active", BOOLEAN, "Whether the user may log in.")),
    answer=_DONE,
)
def set_user_active(caller: Caller, _domain: str | None, name: str, active: bool) -> bool:
    """Let a user of your domain log in, or not."""
    return parts().accounts.set_active(caller, _address(), name, active)


@USER.event(
    "SET_USER_PASSWD",
    level=levels.JOIN_ONLY,
    parameters=(_NAME, Parameter("password", secret(256, least=1), "The new one: 12 characters or more.")),
    answer={"type": "string", "description": "A new login key for yourself; empty for another user."},
)
def set_user_passwd(caller: Caller, name: str, password: str) -> str:
    """Set your password, or, as an administrator, that of a user of your domain. It ends all sign-ins and the login key of the user."""
    return parts().accounts.set_password(caller, _address(), name, password)


@USER.event(
    "RESET_PASSWD",
    level=levels.DOMAIN_ADMIN,
    parameters=(_NAME,),
    answer={"type": "string", "description": "The new password."},
)
def reset_passwd(caller: Caller, name: str) -> str:
    """Give a user of your domain a new password. It is in the answer, this once, for you to hand on; no mail is sent."""
    return parts().accounts.reset_password(caller, _address(), name)


def _own(caller: Caller) -> dict[str, Any]:
    user = caller.user
    return rules.data(user.email, user.full_name, user.domain, user.level)


def _address() -> str:
    return request.remote_addr or ""
