"""OAuth2 clients, for super users: `/clients`."""

from __future__ import annotations

from typing import Any

from services.auth.access import require_password
from services.auth.oauth import schemas
from services.auth.schemas import Page
from services.auth.web import answers, listed, needs, origin, parts, super_user
from services.common.documented import Blueprint

blueprint = Blueprint("clients", __name__)
Answer = dict[str, Any]


@blueprint.get("/clients")
@needs(super_user)
@blueprint.arguments(Page, location="query")
@answers(blueprint, 200, schemas.ClientList)
def clients(asked: Answer) -> Answer:
    super_user()
    return listed(parts().clients.page(asked["page"], asked["per_page"]), schemas.client, asked)


@blueprint.post("/clients")
@needs(super_user)
@blueprint.arguments(schemas.NewClient)
@answers(blueprint, 201, schemas.Client)
def new_client(given: Answer) -> Answer:
    """The answer holds the secret, this once. Not by a login key: a client has no end."""
    who = super_user()
    require_password(who)
    return schemas.client(*parts().clients.add(given, origin(who)))


@blueprint.post("/clients/<client_id>/rotate")
@needs(super_user)
@answers(blueprint, 200, schemas.Client)
def rotate_client(client_id: str) -> Answer:
    """A new secret for the same client; the old one ends at once, what it has got stays. Not by a login key."""
    who = super_user()
    require_password(who)
    return schemas.client(*parts().clients.rotate(client_id, origin(who)))


@blueprint.delete("/clients/<client_id>")
@needs(super_user)
@blueprint.response(204)
def remove_client(client_id: str) -> None:
    parts().clients.remove(client_id, origin(super_user()))
