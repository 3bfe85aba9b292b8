"""`/api/apis/oauth/{api-id}`: OAuth2 clients as Tyk's Advanced Management API shows them."""

from __future__ import annotations

from flask import Response

from services.gateway.operator_api import arguments
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, done, pages, shown_client
from services.gateway.operator_api.changes import oauth_clients
from services.gateway.operator_api.web import gateway

blueprint = protected("oauth_clients", __name__)


@blueprint.get("/api/apis/oauth/<api_id>")
def list_clients(api_id: str) -> Response:
    number, size = arguments.page()
    found, total = oauth_clients.listed(gateway(), api_id, number, size)
    return answer({"apps": [shown_client(client) for client in found], "pages": pages(total, number, size)})


@blueprint.post("/api/apis/oauth/<api_id>")
def create_client(api_id: str) -> Response:
    """The only answer that has the secret."""
    created = oauth_clients.create(gateway(), api_id, arguments.body("client"))
    return answer({**shown_client(created.client), "secret": created.secret}, headers={"Cache-Control": "no-store"})


@blueprint.get("/api/apis/oauth/<api_id>/<client_id>")
def get_client(api_id: str, client_id: str) -> Response:
    return answer(shown_client(oauth_clients.existing(gateway(), api_id, client_id)))


@blueprint.put("/api/apis/oauth/<api_id>/<client_id>")
def update_client(api_id: str, client_id: str) -> Response:
    oauth_clients.update(gateway(), api_id, client_id, arguments.body("client"))
    return done("OAuth Client updated")


@blueprint.delete("/api/apis/oauth/<api_id>/<client_id>")
def delete_client(api_id: str, client_id: str) -> Response:
    """Delete a client; its tokens end with it."""
    return done("OAuth Client deleted successfully", unconfirmed=oauth_clients.delete(gateway(), api_id, client_id))
