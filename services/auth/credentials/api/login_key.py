"""One's own login key: `/me/login-key`."""

from __future__ import annotations

from typing import Any

from services.auth import refusals
from services.auth.credentials import schemas
from services.auth.schemas import moment
from services.auth.web import answers, caller, needs, origin, parts
from services.common.documented import Blueprint

blueprint = Blueprint("login_key", __name__)
Answer = dict[str, Any]


@blueprint.get("/me/login-key")
@needs(caller)
@answers(blueprint, 200, schemas.LoginKey)
def login_key() -> Answer:
    """When the key was made and when it ends; the key itself was shown once."""
    key = parts().login_keys.get(caller())
    if key is None:
        raise refusals.not_found("login key")
    return {"created_at": moment(key.created_at), "expires_at": moment(key.expires_at)}


@blueprint.post("/me/login-key")
@needs(caller)
@answers(blueprint, 201, schemas.MadeLoginKey)
def new_login_key() -> Answer:
    """A new key; the one before ends."""
    who = caller()
    key, expires = parts().login_keys.add(who, origin(who))
    return {"key": key, "expires_at": moment(expires)}


@blueprint.delete("/me/login-key")
@needs(caller)
@blueprint.response(204)
def remove_login_key() -> None:
    who = caller()
    if not parts().login_keys.remove(who, origin(who)):
        raise refusals.not_found("login key")
