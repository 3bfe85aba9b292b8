"""Webhooks: read in Tyk's shape, checked, and stored with their secret sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.common.webhooks.signing import signature
from services.gateway.definitions import values
from services.gateway.definitions.checking import read_headers
from services.gateway.definitions.event_schema import HOOK_METHODS
from services.gateway.definitions.reader import Mistakes, Reader, Report
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes.owning import owner
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.stores.definition_model import new_id
from services.gateway.stores.hooks import HookMissing
from services.gateway.stores.sealing import WrongMasterKey

_WRONG: Final = "Webhook object validation failed."
_OWN: Final = ("api_model", "id", "_id", "secret", "signed")


def existing(gateway: Gateway, id: str) -> dict[str, Any]:
    """Return a webhook by its id. Raises OperatorRefusal."""
    found = gateway.hooks.get(id)
    if found is None:
        raise refusals.hook_unknown()
    return found


def create(gateway: Gateway, raw: Mapping[str, Any]) -> str:
    """Store a new webhook and return its id. Raises OperatorRefusal."""
    hook, secret = _read(gateway, raw, new_id())
    try:
        gateway.hooks.create(hook, secret or "")
    except WrongMasterKey as error:
        raise refusals.secret_not_sealed(error) from None
    return str(hook["id"])


def update(gateway: Gateway, id: str, raw: Mapping[str, Any]) -> None:
    """Replace a webhook. A secret that is left out stays; an empty one removes it. Raises OperatorRefusal.

    Definitions keep their copy of the webhook until they are saved again, as in Tyk; a new secret signs within five seconds.
    """
    if raw.get("id") not in (None, "", id):
        raise refusals.hook_id_mismatch()
    try:
        gateway.hooks.replace(id, *_read(gateway, raw, id))
    except HookMissing:
        raise refusals.hook_unknown() from None
    except WrongMasterKey as error:
        raise refusals.secret_not_sealed(error) from None


def delete(gateway: Gateway, id: str) -> None:
    """Delete a webhook. Raises OperatorRefusal."""
    try:
        gateway.hooks.delete(id)
    except HookMissing:
        raise refusals.hook_unknown() from None


def _read(gateway: Gateway, raw: Mapping[str, Any], id: str) -> tuple[dict[str, Any], str | None]:
    """Return a webhook in Tyk's shape, and its secret (None = not given). Raises OperatorRefusal with every mistake."""
    report = Report()
    reader = Reader(raw, "", report)
    known: dict[str, Any] = {
        "org_id": owner(gateway, reader.text("org_id")),
        "name": reader.text("name"),
        "method": reader.text("method").upper(),
        "target_path": reader.text("target_path"),
        "template_path": reader.text("template_path"),
        "header_map": dict(read_headers(reader, "header_map", values.header)),
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
        reader.mistake("secret", "a secret that begins with whsec_ must continue in base64")
    if report.mistakes:
        raise refusals.invalid("hook", Mistakes(report.mistakes), _WRONG)
    others = {name: value for name, value in raw.items() if name.lower() not in known and name.lower() not in _OWN}
    return {"id": id, **known, **others}, secret
