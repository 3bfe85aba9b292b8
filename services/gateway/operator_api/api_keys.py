"""`/api/keys` and `/api/apis/{id}/keys`: keys as Tyk's Advanced Management API shows them; `/api/gatehouse/keys`: several at once.

Lists hold public ids. A secret is in the answer that creates it, as `key_id`, and nowhere else.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Response

from services.common.clock import isoformat
from services.gateway.keys.policies import policy_ids
from services.gateway.operator_api import arguments, refusals
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, done, pages
from services.gateway.operator_api.changes import definitions, keys, session_objects
from services.gateway.operator_api.web import gateway
from services.gateway.stores.keys import Search, StoredKey, TooManyKeys

blueprint = protected("keys", __name__)
_MOST_REVOKED: Final = 1000
# What policies change.
_EFFECTIVE: Final = ("is_inactive", "rate", "per", "quota_max", "quota_renewal_rate", "access_rights", "tags", "hmac_enabled")


@blueprint.get("/api/keys")
def list_keys() -> Response:
    """Search by `alias`, `tag` (may be repeated), `owner`, `api_id`, `org_id` and `policy`, and by `q`, a part of the alias."""
    return _listed(arguments.text("api_id"))


@blueprint.post("/api/keys")
def create_key() -> Response:
    return _created(keys.create(gateway(), arguments.body("key")))


@blueprint.get("/api/keys/<name>")
def get_key(name: str) -> Response:
    return _one(keys.owned(gateway(), name))


@blueprint.put("/api/keys/<name>")
def update_key(name: str) -> Response:
    return _update(keys.owned(gateway(), name))


@blueprint.delete("/api/keys/<name>")
def delete_key(name: str) -> Response:
    return _delete(keys.owned(gateway(), name))


@blueprint.post("/api/keys/<name>/rotate")
def rotate_key(name: str) -> Response:
    """Body (optional): `{"overlap": seconds}` for which the present secret still opens the key; a day by default."""
    stored = keys.owned(gateway(), name)
    return _created(keys.rotate(gateway(), stored, arguments.overlap()))


@blueprint.post("/api/gatehouse/keys/revoke")
def revoke_keys() -> Response:
    """Body: `{"ids": […]}`. Deletes all of them, or none when one does not exist."""
    ids = arguments.body("revocation").get("ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(id, str) for id in ids) or len(ids) > _MOST_REVOKED:
        raise refusals.ids_not_a_list(_MOST_REVOKED)
    gone, unconfirmed = keys.revoke(gateway(), ids)
    return done("Keys revoked", [stored.id for stored in gone], unconfirmed=unconfirmed)


@blueprint.post("/api/apis/keys/basic/<name>")
def put_user(name: str) -> Response:
    return _created(keys.put_named(gateway(), name, arguments.body("key"), keep_counters=arguments.flag("suppress_reset"), is_user=True))


@blueprint.get("/api/apis/<key>/keys")
def list_keys_of_api(key: str) -> Response:
    """Search as `/api/keys` does."""
    return _listed(definitions.existing(gateway(), key).api_id)


@blueprint.get("/api/apis/<key>/keys/<name>")
def get_key_of_api(key: str, name: str) -> Response:
    return _one(keys.of_api(gateway(), key, name))


@blueprint.put("/api/apis/<key>/keys/<name>")
def update_key_of_api(key: str, name: str) -> Response:
    return _update(keys.of_api(gateway(), key, name))


@blueprint.delete("/api/apis/<key>/keys/<name>")
def delete_key_of_api(key: str, name: str) -> Response:
    return _delete(keys.of_api(gateway(), key, name))


def _summary(stored: StoredKey) -> dict[str, Any]:
    """Return a row of a list: what tells keys apart, nothing that opens one.

    effective: what counts, since policies take the place of what the key says itself.
    """
    session, effective = stored.session, stored.effective or stored.session
    return {
        "id": stored.id,
        "alias": session.get("alias") or "",
        "owner": session.get("owner") or "",
        "tags": session.get("tags") or [],
        "org_id": session.get("org_id") or "",
        "user_name": stored.user_name,
        "apis": sorted(effective.get("access_rights") or ()),
        "policies": list(policy_ids(session)),
        "effective": {name: effective[name] for name in _EFFECTIVE if name in effective},
        "is_inactive": bool(effective.get("is_inactive")),
        "expires": session.get("expires") or 0,
        "secrets": len(stored.hashes),
        "created_at": isoformat(stored.created_at),
        "updated_at": isoformat(stored.updated_at),
        "last_used_at": isoformat(stored.last_used_at) if stored.last_used_at else None,
    }


def _listed(api_id: str | None) -> Response:
    number, size = arguments.page()
    search = Search(
        api_id=api_id,
        alias=arguments.text("alias"),
        part=arguments.text("q") or "",
        owner=arguments.text("owner"),
        org_id=arguments.text("org_id"),
        policy=arguments.text("policy"),
        tags=arguments.texts("tag"),
    )
    try:
        found, total = gateway().keys_store.page(search, number=number, size=size)
    except TooManyKeys as error:
        raise refusals.too_many_keys(error.keys, error.most) from None
    shown = {"keys": [key.id for key in found], "details": [_summary(key) for key in found]}
    return answer({"data": shown, "pages": pages(total, number, size)})


def _one(stored: StoredKey) -> Response:
    return answer({"api_model": {}, "key_id": stored.id, "data": session_objects.shown(stored.session), "details": _summary(stored)})


def _created(change: keys.Change) -> Response:
    """Answer with the secret: the only answer that shows it, so no cache may keep it."""
    stored = change.stored
    body = {
        "api_model": {},
        "key_id": change.secret or stored.user_name or stored.id,
        "id": stored.id,
        "data": {**session_objects.shown(stored.session), **_signing(change)},
    }
    if change.unconfirmed:
        body["Unconfirmed"] = change.unconfirmed
    return answer(body, headers={"Cache-Control": "no-store"})


def _update(stored: StoredKey) -> Response:
    change = keys.update(gateway(), stored, arguments.body("key"), keep_counters=arguments.flag("suppress_reset"))
    signing = _signing(change)
    return done("Key updated", signing or "", unconfirmed=change.unconfirmed, headers={"Cache-Control": "no-store"} if signing else None)


def _signing(change: keys.Change) -> dict[str, str]:
    return {"hmac_string": change.hmac_string} if change.hmac_string else {}


def _delete(stored: StoredKey) -> Response:
    return done("Key deleted succesfully", unconfirmed=keys.delete(gateway(), stored).unconfirmed)
