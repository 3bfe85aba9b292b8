"""Users, for administrators: `/users`."""

from __future__ import annotations

from typing import Any

from services.auth.credentials.schemas import NewPassword
from services.auth.people import schemas
from services.auth.people.rules import Filter
from services.auth.schemas import REFUSED
from services.auth.web import administrator, answers, caller, etag, if_match, listed, needs, origin, parts
from services.common.documented import Blueprint

blueprint = Blueprint("users", __name__)
Answer = dict[str, Any]
Tagged = tuple[Answer, int, dict[str, str]]


@blueprint.get("/users")
@needs(administrator)
@blueprint.arguments(schemas.UserPage, location="query")
@answers(blueprint, 200, schemas.UserList)
def users(asked: Answer) -> Answer:
    """Domain admin: of the own domain; super user: all."""
    wanted = Filter(asked.get("domain"), asked.get("level"), asked.get("active"), asked.get("q"))
    return listed(parts().people.page(caller(), wanted, asked["page"], asked["per_page"]), schemas.user_shown, asked)


@blueprint.post("/users")
@needs(administrator)
@blueprint.arguments(schemas.NewUser)
@answers(blueprint, 201, schemas.User)
def new_user(given: Answer) -> Tagged:
    who = caller()
    user = parts().people.add(who, given, origin(who))
    return schemas.user_shown(user), 201, etag(user.version)


@blueprint.get("/users/<user_id>")
@needs(administrator)
@answers(blueprint, 200, schemas.User)
def user(user_id: str) -> Tagged:
    found = parts().people.get(caller(), user_id)
    return schemas.user_shown(found), 200, etag(found.version)


@blueprint.patch("/users/<user_id>")
@needs(administrator)
@blueprint.arguments(schemas.UserChange)
@answers(blueprint, 200, schemas.User)
@blueprint.alt_response(412, schema=REFUSED, description="somebody changed the user meanwhile")
def change_user(given: Answer, user_id: str) -> Tagged:
    """With If-Match only when nobody has changed the user since."""
    who = caller()
    changed = parts().people.change(who, user_id, given, origin(who), if_match())
    return schemas.user_shown(changed), 200, etag(changed.version)


@blueprint.delete("/users/<user_id>")
@needs(administrator)
@blueprint.response(204)
def remove_user(user_id: str) -> None:
    who = caller()
    parts().people.remove(who, user_id, origin(who), if_match())


@blueprint.post("/users/<user_id>/password")
@needs(administrator)
@blueprint.arguments(NewPassword)
@blueprint.response(204)
def set_password(given: Answer, user_id: str) -> None:
    """Ends all sign-ins and the login key of the user."""
    who = caller()
    parts().people.set_password(who, user_id, given["new_password"], origin(who))
