"""What the server adds to a definition: ids, the organisation, the listen path. Needs no store: the command line does it, too."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from services.gateway.stores.definition_model import new_api_id, new_id

DEFAULT_ORG: Final = "default"
_CANONICAL: Final = ("id", "name", "api_id", "org_id", "active", "proxy", "event_handlers")


def filled(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Give a new definition with what the server adds: ids, the organisation, the listen path."""
    document = canonical(raw)
    document["id"] = document.get("id") or new_id()
    document["api_id"] = document.get("api_id") or new_api_id()
    return completed(document, DEFAULT_ORG)


def completed(document: dict[str, Any], org_id: str) -> dict[str, Any]:
    """Give the document itself, with an organisation and a listen path. org_id: used when it names none."""
    document["org_id"] = document.get("org_id") or org_id
    proxy = document.get("proxy")
    if isinstance(proxy, Mapping):
        known = {name.lower() for name, value in proxy.items() if value is not None}
        added = {} if "listen_path" in known else {"listen_path": f"/{document['api_id']}/"}
        document["proxy"] = {**proxy, **added}
    return document


def canonical(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Give a copy whose fields that we touch are spelled in one way; case does not count in Tyk's JSON."""
    present = set(raw)
    renamed = {}
    for name, value in raw.items():
        folded = name.lower()
        renamed[folded if folded in _CANONICAL and folded not in present else name] = copy.deepcopy(value)
    return renamed
