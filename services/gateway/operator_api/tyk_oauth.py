"""`/tyk/oauth`: OAuth2 clients and their tokens as Tyk's gateway API shows them."""

from __future__ import annotations

from flask import Response, request

from services.common import request_id
from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, changed, shown_client
from services.gateway.operator_api.changes import oauth_clients
from services.gateway.operator_api.web import gateway
from services.gateway.refusals import Refusal
from services.gateway.rendering import render_early

blueprint = protected("tyk_oauth", __name__)


@blueprint.post("/tyk/oauth/clients/create")
def create_client() -> Response:
    """The only answer that has the secret."""
    created = oauth_clients.create(gateway(), "", arguments.body("client"))
    return answer({**shown_client(created.client), "secret": created.secret}, headers={"Cache-Control": "no-store"})


@blueprint.get("/tyk/oauth/clients/<api_id>")
def list_clients(api_id: str) -> Response:
    return answer([shown_client(client) for client in oauth_clients.listed(gateway(), api_id, -1, 0)[0]])


@blueprint.get("/tyk/oauth/clients/<api_id>/<client_id>")
def get_client(api_id: str, client_id: str) -> Response:
    return answer(shown_client(oauth_clients.existing(gateway(), api_id, client_id)))


@blueprint.put("/tyk/oauth/clients/<api_id>/<client_id>")
def update_client(api_id: str, client_id: str) -> Response:
    return answer(shown_client(oauth_clients.update(gateway(), api_id, client_id, arguments.body("client"))))


@blueprint.delete("/tyk/oauth/clients/<api_id>/<client_id>")
def delete_client(api_id: str, client_id: str) -> Response:
    return changed(client_id, "deleted", oauth_clients.delete(gateway(), api_id, client_id))


@blueprint.get("/tyk/oauth/clients/<api_id>/<client_id>/tokens")
def list_tokens(api_id: str, client_id: str) -> Response:
    """`code` is the public id of the token's key: tokens are not kept."""
    found = oauth_clients.tokens(gateway(), api_id, client_id)
    return answer([{"code": token.id, "expires": int(token.expires_at.timestamp())} for token in found])


@blueprint.delete("/tyk/oauth/clients/<api_id>/<client_id>/tokens")
def end_tokens(api_id: str, client_id: str) -> Response:
    return changed(client_id, "deleted", oauth_clients.end_tokens(gateway(), api_id, client_id))


@blueprint.delete("/tyk/oauth/refresh/<path:token>")
def end_refresh_token(token: str) -> Response:
    """End a refresh token, and the access token of the same log-in."""
    return changed(token, "deleted", oauth_clients.end_refresh_token(gateway(), token))


@blueprint.post("/tyk/oauth/authorize-client")
def authorize_client() -> Response:
    """As below the listen path of the client's API; for login servers that reach only the operator's port."""
    fields = list(request.form.items(multi=True))
    client = gateway().oauth_store.client(request.form.get("client_id", ""))
    api = None if client is None else gateway().live.current.apis.get(client.api_id)
    if api is None or not api.oauth:
        raise refusals.client_unknown()
    try:
        reply = gateway().oauth.authorize_client(api, fields)
    except Refusal as refusal:
        reply = render_early(refusal, request_id.current() or "")
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.headers]
    return Response(reply.body, reply.status, headers)
