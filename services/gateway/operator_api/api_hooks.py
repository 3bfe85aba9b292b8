"""`/api/hooks`: the operator's webhooks, as Tyk's Advanced Management API shows them.

`secret`, with which calls are signed, is only ever written: a webhook that has one shows `signed: true` instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask import Response

from services.gateway.definitions import values
from services.gateway.definitions.reader import Mistakes, Reader, Report
from services.gateway.definitions.schema import HOOK_METHODS, headers
from services.gateway.events.delivery import signature
from services.gateway.operator_api import arguments
from services.gateway.operator_api.access import protected
from services.gateway.operator_api.answers import answer, done, pages
from services.gateway.operator_api.changes.definitions import DEFAULT_ORG
from services.gateway.operator_api.refusals import Refused, invalid
from services.gateway.operator_api.web import gateway
from services.gateway.stores.definitions import new_id
from services.gateway.stores.hooks import HookMissing
from services.gateway.stores.sealing import WrongMasterKey

blueprint = protected("hooks", __name__)
_WRONG: Final = "Webhook object validation failed."
_OWN: Final = ("api_model", "id", "_id", "secret", "signed")


@blueprint.get("/api/hooks")
def list_hooks() -> Response:
    number, size = arguments.page()
    hooks, total = gateway().hooks.page(number, size)
    return answer({"hooks": [_shown(hook) for hook in hooks], "pages": pages(total, number, size)})


@blueprint.get("/api/hooks/<id>")
def get_hook(id: str) -> Response:
    hook = gateway().hooks.get(id)
    if hook is None:
        raise _missing()
    return answer(_shown(hook))


@blueprint.post("/api/hooks")
def create_hook() -> Response:
    hook, secret = _read(arguments.body("hook"), new_id())
    try:
        gateway().hooks.create(hook, secret or "")
    except WrongMasterKey as error:
        raise _not_sealed(error) from None
    return done("Webhook created", hook["id"])


@blueprint.put("/api/hooks/<id>")
def update_hook(id: str) -> Response:
    """Definitions keep the copy that they were saved with until they are saved again, as in Tyk; a new secret signs within five seconds.

    A secret that is left out stays; an empty one is taken away.
    """
    body = arguments.body("hook")
    if body.get("id") not in (None, "", id):
        raise Refused(400, "The id of the webhook does not match that of the path", "id-mismatch")
    try:
        gateway().hooks.replace(id, *_read(body, id))
    except HookMissing:
        raise _missing() from None
    except WrongMasterKey as error:
        raise _not_sealed(error) from None
    return done("Webhook updated")


@blueprint.delete("/api/hooks/<id>")
def delete_hook(id: str) -> Response:
    try:
        gateway().hooks.delete(id)
    except HookMissing:
        raise _missing() from None
    return done("Webhook deleted")


def _shown(hook: Mapping[str, Any]) -> dict[str, Any]:
    return {"api_model": {}, **hook}


def _missing() -> Refused:
    return Refused(404, "Webhook not found", "hook-unknown")


def _not_sealed(error: WrongMasterKey) -> Refused:
    return Refused(503, f"The secret cannot be sealed, and nothing was stored: {error}", "master-key-unusable")


def _read(raw: Mapping[str, Any], id: str) -> tuple[dict[str, Any], str | None]:
    """A webhook in Tyk's shape, and its secret (None = not given). Raises Refused with every mistake."""
    report = Report()
    reader = Reader(raw, "", report)
    known: dict[str, Any] = {
        "org_id": reader.text("org_id") or DEFAULT_ORG,
        "name": reader.text("name"),
        "method": reader.text("method").upper(),
        "target_path": reader.text("target_path"),
        "template_path": reader.text("template_path"),
        "header_map": dict(headers(reader, "header_map", values.header)),
        "event_timeout": reader.integer("event_timeout"),
    }
    if known["method"] not in HOOK_METHODS:
        reader.mistake("method", f"must be one of {', '.join(HOOK_METHODS)}")
    try:
        values.target_url(known["target_path"])
    except ValueError as error:
        reader.mistake("target_path", str(error).replace("target_url", "target_path"))
    secret = reader.text("secret") if "secret" in reader else None
    try:
        signature(secret or "", "", "", b"")
    except ValueError:
        reader.mistake("secret", "a secret that begins with whsec_ must go on in base64")
    if report.mistakes:
        raise invalid("hook", Mistakes(report.mistakes), _WRONG)
    others = {name: value for name, value in raw.items() if name.lower() not in known and name.lower() not in _OWN}
    return {"id": id, **known, **others}, secret
