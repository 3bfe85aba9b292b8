"""One's own account: `/me`."""

from __future__ import annotations

from typing import Any

from services.auth.people import schemas
from services.auth.web import answers, caller, etag, if_match, needs, origin, parts, reader
from services.common.documented import Blueprint

blueprint = Blueprint("me", __name__)
Answer = dict[str, Any]


@blueprint.get("/me")
@needs(reader)
@answers(blueprint, 200, schemas.Me)
def me() -> tuple[Answer, int, dict[str, str]]:
    """An application needs the scope `profile`, and sees the e-mail address with `email` alone."""
    who, application = reader()
    seen = schemas.user_shown(who.user)
    if application is not None and "email" not in application.scopes:
        del seen["email"]
    return seen, 200, etag(who.user.version)


@blueprint.patch("/me")
@needs(caller)
@blueprint.arguments(schemas.OwnChange)
@answers(blueprint, 200, schemas.User)
def change_me(given: Answer) -> tuple[Answer, int, dict[str, str]]:
    who = caller()
    user = parts().people.change_own(who, given, origin(who), if_match())
    return schemas.user_shown(user), 200, etag(user.version)
