"""Writes a definition as an OpenAPI document (3.1): what it opens, what it checks of bodies, and how clients prove who they are.

A pattern that OpenAPI cannot say, as one that is not anchored, is left out; `x-left-out` lists those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.gateway.definitions.model import Definition, Mode, Way

_METHODS: Final = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")
_PIECES: Final = re.compile(r"\{([^{}/]+)\}|\\([^A-Za-z0-9])|([A-Za-z0-9/_~%@!&=:,; -]+)")
_SCHEMES: Final[Mapping[Mode, Mapping[str, Any]]] = {
    "basic_auth_user": {"type": "http", "scheme": "basic"},
    "jwt_claim": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "oauth_key": {"type": "http", "scheme": "bearer"},
    "hmac_key": {"type": "http", "scheme": "signature"},
}


def document_of(definition: Definition) -> dict[str, Any]:
    """Return the document. Clients are to put the address of the gateway in front of its server."""
    paths: dict[str, dict[str, Any]] = {}
    left_out: list[str] = []
    named: dict[str, Any] = {}
    components: dict[str, Any] = {}
    version = definition.unversioned() if definition.not_versioned else next(iter(definition.versions.values()))
    raw = _member(_member(_member(definition.raw, "version_data"), "versions"), version.name)
    extended = raw.get("use_extended_paths") is True
    lists = _member(raw, "extended_paths" if extended else "paths")
    for entry in lists.get("white_list") or ():
        line = entry if isinstance(entry, Mapping) else {"path": entry}
        if line.get("disabled") is True:
            continue
        path = _path(str(line.get("path")), exact=version.path_matching == "exact")
        if path is None:
            left_out.append(str(line.get("path")))
            continue
        for method in _methods(line):
            paths.setdefault(path, {})[method.lower()] = _operation(path, method, line)
    for check in (lists.get("validate_json") or ()) if extended else ():
        _add_schema(paths, check, named, exact=version.path_matching == "exact")
    schemes = dict(_schemes(definition.ways))
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": definition.name or definition.api_id, "version": version.name},
        "servers": [{"url": definition.proxy.listen_path.rstrip("/") or "/"}],
        "paths": paths,
    }
    if schemes:
        components["securitySchemes"] = schemes
        found |= {"security": [{name: [] for name in schemes}]}
    if named:
        components["schemas"] = named
    if components:
        found["components"] = components
    if left_out:
        found["x-left-out"] = left_out
    return found


def _path(pattern: str, *, exact: bool) -> str | None:
    """Return the path that a pattern stands for; None when it stands for others, too."""
    if not exact and not (pattern.startswith("^") and pattern.endswith("$")):
        return None
    text = pattern.removeprefix("^").removesuffix("$")
    pieces, place = [], 0
    for found in _PIECES.finditer(text):
        if found.start() != place:
            return None
        place = found.end()
        name = re.sub(r"\W", "_", found[1]) if found[1] else ""
        pieces.append(f"{{{name}}}" if name else found[2] or found[3])
    path = "".join(pieces)
    return path if place == len(text) and path.startswith("/") else None


def _methods(line: Mapping[str, Any]) -> Iterator[str]:
    actions = line.get("method_actions")
    if isinstance(actions, Mapping):
        yield from (method for method in actions if method in _METHODS)
    elif line.get("method"):
        yield from (method for method in (str(line["method"]),) if method in _METHODS)
    else:
        yield from _METHODS


def _operation(path: str, method: str, line: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {"responses": {"default": {"description": "The answer"}}}
    names = dict.fromkeys(re.findall(r"\{(\w+)\}", path))
    if names:
        operation["parameters"] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    action = _member(_member(line, "method_actions"), method)
    if action.get("action") == "reply":
        operation["responses"] = {str(action.get("code")): {"description": "A reply of the gateway"}}
    return operation


def _add_schema(paths: Mapping[str, dict[str, Any]], check: Mapping[str, Any], named: dict[str, Any], *, exact: bool) -> None:
    """Add the schema of a body to its calls. named: the schemas of the document, which gets those that come along in `$defs`."""
    path = _path(str(check.get("path")), exact=exact)
    schema = check.get("schema")
    if path is None or not isinstance(schema, Mapping) or check.get("disabled") is True:
        return
    whole = {name: value for name, value in schema.items() if name not in ("$defs", "$schema")}
    defs = _member(schema, "$defs")
    same = {name: name for name in defs}
    if any(name in named and named[name] != _rewritten(own, same) for name, own in defs.items()):
        names = {name: f"{name}_{len(named)}" for name in defs}
    else:
        names = same
    for name, own in defs.items():
        named[names[name]] = _rewritten(own, names)
    whole = _rewritten(whole, names)
    for method, operation in paths.get(path, {}).items():
        if check.get("method") in (None, "", method.upper()):
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": whole}}}


def _rewritten(value: Any, names: Mapping[str, str]) -> Any:
    """Have references to `$defs` lead to the schemas of the document."""
    if isinstance(value, list):
        return [_rewritten(one, names) for one in value]
    if not isinstance(value, Mapping):
        return value
    found = {name: _rewritten(one, names) for name, one in value.items()}
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.removeprefix("#/$defs/") in names:
        found["$ref"] = f"#/components/schemas/{names[reference.removeprefix('#/$defs/')]}"
    return found


def _schemes(ways: Mapping[Mode, Way]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for mode, way in ways.items():
        if mode in _SCHEMES:
            yield mode, _SCHEMES[mode]
        elif way.places.use_certificate:
            yield "certificate", {"type": "mutualTLS"}
        elif way.places.header:
            yield "key", {"type": "apiKey", "in": "header", "name": way.places.header}
        elif way.places.use_param:
            yield "key", {"type": "apiKey", "in": "query", "name": way.places.param_name}
        else:
            yield "key", {"type": "apiKey", "in": "cookie", "name": way.places.cookie_name}


def _member(value: Any, name: str) -> Mapping[str, Any]:
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}
