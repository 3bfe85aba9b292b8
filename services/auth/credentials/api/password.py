"""One's own password: `/me/password`."""

from __future__ import annotations

from typing import Any

from services.auth.credentials import schemas
from services.auth.web import caller, needs, origin, parts
from services.common.documented import Blueprint

blueprint = Blueprint("password", __name__)
Answer = dict[str, Any]


@blueprint.post("/me/password")
@needs(caller)
@blueprint.arguments(schemas.PasswordChange)
@blueprint.response(204)
def change_password(given: Answer) -> None:
    """Needs the current password itself; ends all sign-ins and the login key."""
    who = caller()
    parts().passwords.change_own(who, given["current_password"], given["new_password"], origin(who))
