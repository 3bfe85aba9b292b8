"""What the server adds to a definition: ids, the organisation, the listen path. Needs no store, so the command line uses it too."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from services.gateway.definitions.model import DEFAULT_ORG
from services.gateway.stores.definition_model import new_api_id, new_id

_CANONICAL: Final = ("id", "name", "api_id", "org_id", "active", "proxy", "event_handlers")


def filled(raw: Mapping[str, Any], org_id: str = DEFAULT_ORG) -> dict[str, Any]:
    """Return a new definition with what the server adds: ids, the organisation, the listen path. org_id: used when it names none."""
    document = canonical(raw)
    document["id"] = document.get("id") or new_id()
    document["api_id"] = document.get("api_id") or new_api_id()
    return completed(document, org_id)


def completed(document: dict[str, Any], org_id: str) -> dict[str, Any]:
    """Add an organisation and a listen path to a document, and return it. org_id: used when it names none."""
    document["org_id"] = document.get("org_id") or org_id
    proxy = document.get("proxy")
    if isinstance(proxy, Mapping):
        known = {name.lower() for name, value in proxy.items() if value is not None}
        added = {} if "listen_path" in known else {"listen_path": f"/{document['api_id']}/"}
        document["proxy"] = {**proxy, **added}
    return document


def canonical(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy in which the fields that the server reads have one spelling: Tyk's JSON ignores case."""
    present = set(raw)
    renamed = {}
    for name, value in raw.items():
        folded = name.lower()
        renamed[folded if folded in _CANONICAL and folded not in present else name] = copy.deepcopy(value)
    return renamed
