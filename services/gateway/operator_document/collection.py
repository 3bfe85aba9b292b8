"""A Postman collection (v2.1) of an OpenAPI document, which Bruno, Insomnia and Hoppscotch read, too."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

_SCHEMA: Final = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"


def collection(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the collection: a folder for each tag, a request for each call, `base_url` and `operator_key` as variables."""
    folders: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            folders[operation["tags"][0]].append(_request(document, path, method, operation))
    title = document["info"]["title"]
    return {
        "info": {
            "_postman_id": str(uuid.uuid5(uuid.NAMESPACE_URL, title)),
            "name": title,
            "description": document["info"]["description"],
            "schema": _SCHEMA,
        },
        "item": [{"name": name, "item": requests} for name, requests in folders.items() if requests],
        "variable": [{"key": "base_url", "value": "http://127.0.0.1:8081"}, {"key": "operator_key", "value": ""}],
    }


def _request(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    given = operation["parameters"]
    segments = [f":{part[1:-1]}" if part.startswith("{") else part for part in path.strip("/").split("/")]
    query = [_row(one, disabled=True) for one in given if one["in"] == "query"]
    shown = "&".join(f"{one['key']}=" for one in query if not one.get("disabled"))
    headers = [_row(one, disabled=True) for one in given if one["in"] == "header"]
    for scheme in (name for one in operation["security"] for name in one):
        header = document["components"]["securitySchemes"][scheme]["name"]
        headers.insert(0, {"key": header, "value": "{{operator_key}}"})
    request: dict[str, Any] = {
        "method": method.upper(),
        "description": operation.get("description", ""),
        "url": {
            "raw": "{{base_url}}/" + "/".join(segments) + (f"?{shown}" if shown else ""),
            "host": ["{{base_url}}"],
            "path": segments,
            "query": query,
            "variable": [_row(one) for one in given if one["in"] == "path"],
        },
    }
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        headers.append({"key": "Content-Type", "value": kind})
        request["body"] = _body(document, kind, content["schema"])
    request["header"] = headers
    return {"name": operation["summary"], "request": request, "response": []}


def _row(parameter: Mapping[str, Any], *, disabled: bool = False) -> dict[str, Any]:
    row = {"key": parameter["name"], "value": "", "description": parameter["description"]}
    return {**row, "disabled": True} if disabled else row


def _body(document: Mapping[str, Any], kind: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    example = _example(document, schema)
    if kind == "application/x-www-form-urlencoded":
        return {"mode": "urlencoded", "urlencoded": [{"key": name, "value": str(value)} for name, value in example.items()]}
    if kind == "application/json":
        return {"mode": "raw", "raw": json.dumps(example, indent=2), "options": {"raw": {"language": "json"}}}
    return {"mode": "raw", "raw": ""}


def _example(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """Return the example of a schema, or else an empty value of its shape."""
    if "$ref" in schema:
        return _example(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for alternative in schema.get("anyOf", ()):
        return _example(document, alternative)
    if "example" in schema:
        return schema["example"]
    return {name: _example(document, member) for name, member in _members(schema)} if schema.get("type") == "object" else _empty(schema)


def _members(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from schema.get("properties", {}).items()


def _empty(schema: Mapping[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    return {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}.get(str(schema.get("type")))
