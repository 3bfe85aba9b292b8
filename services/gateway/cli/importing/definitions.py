"""Definitions and policies as a Tyk, its Dashboard and its database write them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from services.gateway.cli.importing.documents import is_extended, plain
from services.gateway.cli.importing.items import Item
from services.gateway.definitions.values import identifier

_OAS: Final = "is a definition in Tyk's OpenAPI form (x-tyk-api-gateway), which is not served: export the API in the classic form"
_OWNERS: Final = ("_id", "api_model", "user_owners", "user_group_owners")  # of the Dashboard's database alone
_POLICY_STATES: Final = {
    "deny": "its state is `deny`: it is switched off here (is_inactive)",
    "draft": "its state is `draft`, which has no effect here: new keys can have it, too",
}
# What a policy or a session of Tyk may ask for, and has no effect here: name → what it is.
NO_EFFECT: Final = {
    "throttle_interval": "waiting in place of a refusal (throttle_interval)",
    "max_query_depth": "the depth of GraphQL queries (max_query_depth)",
    "smoothing": "smoothing of rate limits",
    "enable_http_signature_validation": "signatures by certificates (enable_http_signature_validation)",
    "graphql_access_rights": "rights of GraphQL",
}


def is_definition(document: Any) -> bool:
    """Tell whether a document is a definition, or what the Dashboard shows of one."""
    return isinstance(document, Mapping) and (
        isinstance(_member(document, "api_definition"), Mapping) or isinstance(_member(document, "proxy"), Mapping) or is_oas(document)
    )


def is_oas(document: Any) -> bool:
    return isinstance(document, Mapping) and "x-tyk-api-gateway" in document


def definition(document: Mapping[str, Any], source: str, stem: str = "") -> Item:
    """Return a definition as an item. stem: the name of its file without its ending, for one without an api_id."""
    if is_oas(document):
        title = str(_member(document.get("info"), "title") or source)
        return Item("api", title, title, source, {}, refused=(_OAS,))
    from_database = is_extended(document)
    raw = plain(document) if from_database else document
    inner = _member(raw, "api_definition")
    body = {
        name: value
        for name, value in (inner if isinstance(inner, Mapping) else raw).items()
        if name not in _OWNERS or (name == "_id" and isinstance(value, str))
    }
    if from_database or is_extended(inner):
        body = _names_of_versions(plain(body))
    item = Item("api", str(_member(body, "api_id") or ""), "", source, body)
    if not item.id:
        item = _with_id(item, stem)
    name = str(_member(body, "name") or "")
    item = replace(item, shown=f"{item.id} ({name})" if item.id and name else item.id or name or source)
    hooks = _member(raw, "hook_references")
    if isinstance(hooks, list) and hooks and isinstance(inner, Mapping):
        item = item.noting(missing=(f"webhooks of the Dashboard ({len(hooks)}): create them here, and name them in hook_references",))
    return item


def _with_id(item: Item, stem: str) -> Item:
    """Give a definition without an api_id the name of its file: then each import finds it again."""
    try:
        api_id = identifier(stem)
    except ValueError:
        return item.noting(refused=("/api_id: api_id is missing: write one into it",))
    body = {name: value for name, value in item.body.items() if name.lower() != "api_id"}
    return Item("api", api_id, "", item.source, {**body, "api_id": api_id}, differs=("it has no api_id: the name of its file is taken",))


def _names_of_versions(body: dict[str, Any]) -> dict[str, Any]:
    """Undo how the Dashboard's database keeps the names of versions: as base64, because a name in it must not hold a dot."""
    data = body.get("version_data")
    versions = data.get("versions") if isinstance(data, Mapping) else None
    if not isinstance(versions, Mapping) or not versions:
        return body
    names = {key: _decoded(key) for key in versions}
    if not all(names[key] and isinstance(one, Mapping) and one.get("name") == names[key] for key, one in versions.items()):
        return body
    return {**body, "version_data": {**dict(data or {}), "versions": {names[key]: one for key, one in versions.items()}}}


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def is_policy(document: Any) -> bool:
    """Tell whether a document looks like a policy of Tyk, wherever it stands."""
    return (
        isinstance(document, Mapping)
        and isinstance(_member(document, "access_rights"), Mapping)
        and any(_member(document, name) is not None for name in ("partitions", "key_expires_in", "state"))
    )


def policy(document: Mapping[str, Any], source: str, id: str = "") -> Item:
    """Return a policy as an item. id: its name in the file, for one that does not say it."""
    raw = plain(document) if is_extended(document) else dict(document)
    named = str(_member(raw, "id") or _member(raw, "_id") or id)
    body = {name: value for name, value in raw.items() if name.lower() not in ("_id", "id", "last_updated")} | {"id": named}
    shown = str(_member(raw, "name") or "")
    item = Item("policy", named, f"{named} ({shown})" if shown and shown != named else named, source, body)
    if not named:
        return item.noting(refused=("/id: id is missing: write one into it",))
    state = str(_member(raw, "state") or "").lower()
    if state == "deny":
        item.body["is_inactive"] = True
    if state in _POLICY_STATES:
        item = item.noting(differs=(_POLICY_STATES[state],))
    return item.noting(differs=without_effect(raw))


def without_effect(raw: Mapping[str, Any]) -> list[str]:
    """Say what a policy or a session asks for and does not get."""
    asked = [what for name, what in NO_EFFECT.items() if _asks(_member(raw, name))]
    return [f"has no effect here: {what}" for what in asked]


def _asks(value: Any) -> bool:
    return value > 0 if isinstance(value, int | float) else bool(value)


def _member(document: Any, name: str) -> Any:
    """Return a member by its name, without regard to case, as Tyk reads JSON."""
    if not isinstance(document, Mapping):
        return None
    if name in document:
        return document[name]
    return next((value for key, value in document.items() if str(key).lower() == name), None)
