"""How the schemas of the document are put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

TEXT: Final = {"type": "string"}
WHOLE: Final = {"type": "integer"}
NUMBER: Final = {"type": "number"}
FLAG: Final = {"type": "boolean"}
TEXTS: Final = {"type": "array", "items": TEXT}
ANYTHING: Final[Schema] = {}
MOMENT: Final = {"type": "string", "description": "ISO 8601, in UTC"}
OBJECT: Final = {"type": "object"}
PAGES: Final = {"type": "integer", "minimum": 0, "description": "The highest `p` that shows something"}


def ref(name: str) -> Schema:
    """Refer to a schema of `schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(name: str) -> Schema:
    return {"type": "array", "items": ref(name)}


def maybe(schema: Schema) -> Schema:
    """Allow null, too."""
    return {**schema, "type": [schema["type"], "null"]}


def closed(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """Describe an object that has these members and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def opened(properties: Mapping[str, Schema], required: tuple[str, ...] = (), about: str = "") -> Schema:
    """Describe an object that may have other members, too."""
    found: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    if required:
        found["required"] = list(required)
    if about:
        found["description"] = about
    return found


def done(meta: Schema = TEXT, optional: Mapping[str, Schema] | None = None, required: Mapping[str, Schema] | None = None) -> Schema:
    """Describe the envelope of a write below `/api/`."""
    told: dict[str, Schema] = {"Status": {"const": "OK"}, "Message": TEXT, "Meta": meta}
    return closed({**told, **(required or {})}, {"Unconfirmed": ref("Workers"), "Warnings": listed("Place"), **(optional or {})})


def changed(action: list[str], optional: Mapping[str, Schema] | None = None, required: Mapping[str, Schema] | None = None) -> Schema:
    """Describe the answer to a write below `/tyk/`."""
    told: dict[str, Schema] = {"key": TEXT, "status": {"const": "ok"}, "action": {"enum": action}}
    return closed({**told, **(required or {})}, {"unconfirmed": ref("Workers"), "warnings": listed("Place"), **(optional or {})})


def page(name: str, items: Schema, more: Mapping[str, Schema] | None = None) -> Schema:
    """Describe one page of a list."""
    return closed({name: {"type": "array", "items": items}, "pages": PAGES, **(more or {})})
