"""`/tyk/keys`: keys as Tyk's gateway API shows them."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import hide_keys_in_logs, protected
from services.gateway.operator_api.answers import answer, changed
from services.gateway.operator_api.changes import hashed_keys, keys, session_objects
from services.gateway.operator_api.web import gateway

blueprint = protected("tyk_keys", __name__)
blueprint.before_app_request(hide_keys_in_logs)
_ALL_APIS = "-1"


@blueprint.get("/tyk/keys")
def list_keys() -> Response:
    """List public ids, because secrets are not kept. `api_id`: of one API only; `filter`: the beginning of the id."""
    _organisation()
    api_id = request.args.get("api_id") or None
    return answer({"keys": gateway().keys_store.ids(api_id, request.args.get("filter", ""))})


@blueprint.post("/tyk/keys/create")
def create_key() -> Response:
    change = keys.create(gateway(), arguments.body("key"))
    return _with_key(change, change.secret, "added")


@blueprint.post("/tyk/keys", defaults={"name": ""})
@blueprint.post("/tyk/keys/<name>")
def add_key(name: str) -> Response:
    """Create a key, or replace the one that has this secret. `hashed=1`: the name is the SHA-256 of the secret, as Tyk keeps it."""
    hashed, keep_counters = arguments.flag("hashed"), arguments.flag("suppress_reset")
    if not name:
        return create_key()
    if hashed:
        return _put_hashed(name)
    change = keys.put_named(gateway(), name, arguments.body("key"), keep_counters=keep_counters)
    return _with_key(change, change.name, "added")


@blueprint.put("/tyk/keys/<name>")
def update_key(name: str) -> Response:
    """Change a key, or create it when there is none, as Tyk does. `hashed`: as of `add_key`."""
    if arguments.flag("hashed"):  # otherwise the hash would become the secret of another key
        return _put_hashed(name)
    change = keys.put_named(gateway(), name, arguments.body("key"), keep_counters=arguments.flag("suppress_reset"))
    return _with_key(change, change.name, "added" if change.created else "modified")


@blueprint.get("/tyk/keys/<name>")
def get_key(name: str) -> Response:
    if arguments.flag("hashed"):
        return answer(session_objects.shown(hashed_keys.existing(gateway(), name).session))
    org_id = _organisation()
    return answer(session_objects.shown(keys.existing(gateway(), name, org_id).session))


@blueprint.delete("/tyk/keys/<name>")
def delete_key(name: str) -> Response:
    """Delete a key. Answers `deleted` even when there was none, as Tyk does: the result is what the caller wants.

    `hashed`: as of `add_key`.
    """
    hashed = arguments.flag("hashed")
    stored = hashed_keys.find(gateway(), name) if hashed else keys.find(gateway(), name, _organisation())
    unconfirmed = keys.delete(gateway(), stored).unconfirmed if stored is not None else []
    return changed(name, "deleted", unconfirmed)


def _put_hashed(hash: str) -> Response:
    change = hashed_keys.put(gateway(), hash, arguments.body("key"), keep_counters=arguments.flag("suppress_reset"))
    return _with_key(change, change.name, "added" if change.created else "modified")


def _with_key(change: keys.Change, key: str, action: str) -> Response:
    more: dict[str, Any] = {"key_hash": change.stored.id, **({"hmac_string": change.hmac_string} if change.hmac_string else {})}
    response = changed(key, action, change.unconfirmed, **more)
    response.headers["Cache-Control"] = "no-store"
    return response


def _organisation() -> str | None:
    """Return the organisation of the API that `api_id` names; None when it names none. Raises OperatorRefusal for an unknown API."""
    api_id = request.args.get("api_id", "")
    if not api_id or api_id == _ALL_APIS:
        return None
    definition = gateway().definitions.get(api_id)
    if definition is None:
        raise refusals.tyk_api_of_query_unknown()
    return str(definition.raw.get("org_id") or "")
