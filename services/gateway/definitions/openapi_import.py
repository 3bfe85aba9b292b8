"""Makes a definition of an OpenAPI document (3.0 or 3.1): its paths and methods are the only open ones, its schemas check bodies.

References are followed inside the document only, and never expanded: a schema takes those that it names along.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from services.gateway.definitions.reader import Mistake, Mistakes, join

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_MOST_PATHS: Final = 1000
_DEEPEST: Final = 100
_MOST_VALUES: Final = 300_000  # in all schemas: each call has its own copy of those that it names
_SCHEMAS: Final = "#/components/schemas/"
_TEMPLATE: Final = re.compile(r"\{([^{}/]*)\}")
_DRAFT_4: Final = "http://json-schema.org/draft-04/schema#"
_DRAFT_2020: Final = "https://json-schema.org/draft/2020-12/schema"


class Imported(NamedTuple):
    """definition: ready to be saved. notes: what of the document it does not say."""

    definition: dict[str, Any]
    notes: list[Mistake]


def definition_of(document: Mapping[str, Any], *, listen_path: str = "", target: str = "", mock: bool = False) -> Imported:
    """Make a definition. listen_path, target: instead of those of the document. mock: answer with its examples.

    Raises Mistakes.
    """
    return _Import(document, mock).made(listen_path, target)


class _Import:
    def __init__(self, document: Mapping[str, Any], mock: bool) -> None:
        self._document = document
        self._mock = mock
        self._mistakes: list[Mistake] = []
        self._notes: list[Mistake] = []
        self._values = 0
        self._old = str(document.get("openapi")).startswith("3.0")

    def made(self, listen_path: str, target: str) -> Imported:
        if not re.fullmatch(r"3\.[01](\.\d+)?(-.*)?", str(self._document.get("openapi"))):
            raise Mistakes([Mistake("/openapi", "must be 3.0.x or 3.1.x: this is no OpenAPI document that can be read")])
        info = self._object(self._document.get("info"), "/info")
        title = str(info.get("title") or "")[:200] or "API"
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "api"
        white, checks = self._paths()
        extended: dict[str, Any] = {"white_list": white}
        if checks:
            extended["validate_json"] = checks
        definition = {
            "name": title,
            "active": True,
            **self._authentication(),
            "version_data": {
                "not_versioned": True,
                "versions": {"Default": {"name": "Default", "use_extended_paths": True, "extended_paths": extended}},
            },
            "proxy": {
                "listen_path": listen_path or f"/{slug}/",
                "target_url": target or self._server(),
                "strip_listen_path": True,
            },
        }
        if self._mistakes:
            raise Mistakes(self._mistakes)
        return Imported(definition, self._notes)

    # Paths.

    def _paths(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        paths = self._object(self._document.get("paths"), "/paths")
        if not paths:
            self._wrong("/paths", "holds no path, so nothing would be open")
        if len(paths) > _MOST_PATHS:
            raise Mistakes([Mistake("/paths", f"has more than {_MOST_PATHS} paths")])
        white, checks = [], []
        for path in sorted(paths, key=_most_concrete_first):
            place = join("/paths", path)
            if not path.startswith("/"):
                self._wrong(place, "a path begins with /")
                continue
            item = self._object(paths[path], place)
            pattern = _pattern(path)
            actions: dict[str, Any] = {}
            for method in _METHODS:
                if method in item:
                    operation = self._object(item[method], join(place, method))
                    actions[method.upper()] = self._action(operation, join(place, method))
                    checks += self._check(pattern, method.upper(), operation, join(place, method))
            if actions:
                white.append({"path": pattern, "method_actions": actions})
        return white, checks

    def _action(self, operation: Mapping[str, Any], place: str) -> dict[str, Any]:
        if not self._mock:
            return {"action": "no_action"}
        responses = self._object(operation.get("responses"), join(place, "responses"))
        for status in sorted(one for one in responses if re.fullmatch(r"2\d\d", one)):
            response = self._object(responses[status], join(join(place, "responses"), status))
            content = self._object(response.get("content"), "")
            if not content:
                return {"action": "reply", "code": int(status), "data": "", "headers": {}}
            for kind, media in content.items():
                found = self._example(self._object(media, ""))
                if found is not None:
                    data = found[0] if isinstance(found[0], str) and "json" not in kind else json.dumps(found[0], ensure_ascii=False)
                    return {"action": "reply", "code": int(status), "data": data, "headers": {"Content-Type": kind}}
        self._notes.append(Mistake(place, "has no example, so requests go to the upstream"))
        return {"action": "no_action"}

    def _example(self, media: Mapping[str, Any]) -> tuple[Any] | None:
        if "example" in media:
            return (media["example"],)
        for one in self._object(media.get("examples"), "").values():
            example = self._object(one, "")
            if "value" in example:
                return (example["value"],)
        schema = self._object(media.get("schema"), "")
        if "example" in schema:
            return (schema["example"],)
        examples = schema.get("examples")
        return (examples[0],) if isinstance(examples, list) and examples else None

    def _check(self, pattern: str, method: str, operation: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
        body = self._object(operation.get("requestBody"), join(place, "requestBody"))
        content = self._object(body.get("content"), "")
        media = self._object(content.get("application/json"), "")
        if not isinstance(media.get("schema"), Mapping):
            return []
        if body.get("required") is not True or len(content) > 1:
            said = "is not checked: requests may have no body here, or one that is not JSON"
            self._notes.append(Mistake(join(place, "requestBody"), said))
            return []
        at = f"{place}/requestBody/content/application~1json/schema"
        return [{"path": pattern, "method": method, "schema": self._schema(media["schema"], at), "error_response_code": 422}]

    def _schema(self, schema: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Return a schema that stands alone: with the schemas that it names, and those that these name, below `$defs`."""
        known = self._object(self._object(self._document.get("components"), "").get("schemas"), "")
        found = self._rewritten(schema, place)
        defs: dict[str, Any] = {}
        waiting = list(_named(found))
        while waiting:
            name = waiting.pop()
            if name in defs:
                continue
            if name not in known:
                self._wrong(place, f"names the schema `{name[:100]}`, which is not in /components/schemas")
                defs[name] = {}
                continue
            defs[name] = self._rewritten(known[name], join("/components/schemas", name))
            waiting += _named(defs[name])
        whole = {"$schema": _DRAFT_4 if self._old else _DRAFT_2020, **(found if isinstance(found, dict) else {})}
        if self._old and "$ref" in whole:  # draft 4 reads nothing beside a reference
            whole = {"$schema": _DRAFT_4, "allOf": [{"$ref": whole["$ref"]}]}
        return {**whole, "$defs": defs} if defs else whole

    def _rewritten(self, value: Any, place: str, depth: int = 0) -> Any:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise Mistakes([Mistake(place, f"the schemas hold more than {_MOST_VALUES} values, counted for each call")])
        if depth > _DEEPEST:
            raise Mistakes([Mistake(place, f"is nested more than {_DEEPEST} deep")])
        if isinstance(value, list):
            return [self._rewritten(one, place, depth + 1) for one in value]
        if not isinstance(value, Mapping):
            return value
        found = {name: self._rewritten(one, place, depth + 1) for name, one in value.items()}
        reference = value.get("$ref")
        if isinstance(reference, str):
            if reference.startswith(_SCHEMAS) and "/" not in reference.removeprefix(_SCHEMAS):
                found["$ref"] = f"#/$defs/{reference.removeprefix(_SCHEMAS)}"
            else:
                self._wrong(place, f"$ref `{reference[:100]}` is not followed: only those to /components/schemas of the document are")
        if self._old and value.get("nullable") is True:
            return {"anyOf": [found, {"type": "null"}]}
        return found

    # Where and who.

    def _server(self) -> str:
        servers = self._document.get("servers")
        first = self._object(servers[0], "/servers/0") if isinstance(servers, list) and servers else {}
        url = str(first.get("url") or "")
        for name, variable in self._object(first.get("variables"), "/servers/0/variables").items():
            url = url.replace(f"{{{name}}}", str(self._object(variable, "").get("default", "")))
        try:
            named = urlsplit(url).netloc
        except ValueError:  # brackets without an IPv6 address in them
            named = ""
        if not named:
            self._wrong("/servers/0/url", "names no host: say where requests go (target)")
        return url

    def _authentication(self) -> dict[str, Any]:
        paths = self._object(self._document.get("paths"), "/paths")
        items = [self._object(item, join("/paths", path)) for path, item in paths.items()]
        operations = [self._object(one.get(method), "/paths") for one in items for method in _METHODS]
        names = self._schemes_asked(self._document, "/security")
        names += [name for one in operations for name in self._schemes_asked(one, "/paths")]
        if not names:
            self._notes.append(Mistake("/security", "asks for no key, so the API is open to everybody"))
            return {"use_keyless": True}
        if len(set(names)) > 1 or any(one.get("security") == [] for one in operations):
            self._notes.append(Mistake("/security", f"differs from call to call: all calls ask for `{names[0]}`"))
        schemes = self._object(self._object(self._document.get("components"), "").get("securitySchemes"), "")
        place = join("/components/securitySchemes", names[0])
        scheme = self._object(schemes.get(names[0]), place)
        kind, name = scheme.get("type"), str(scheme.get("name") or "")
        if kind == "apiKey" and scheme.get("in") == "header":
            return {"use_keyless": False, "auth": {"auth_header_name": name}}
        if kind == "apiKey" and scheme.get("in") in ("query", "cookie"):
            where = "param" if scheme["in"] == "query" else "cookie"
            return {"use_keyless": False, "auth": {"disable_header": True, f"use_{where}": True, f"{where}_name": name}}
        if kind == "http" and str(scheme.get("scheme")).lower() == "basic":
            return {"use_keyless": False, "use_basic_auth": True}
        self._notes.append(Mistake(place, "says not who is let in: keys in `Authorization` are; see enable_jwt and use_oauth2 for tokens"))
        return {"use_keyless": False, "auth": {"auth_header_name": "Authorization"}}

    def _schemes_asked(self, asking: Mapping[str, Any], place: str) -> list[str]:
        """Return the names of the schemes that a document or a call asks for."""
        asked = asking.get("security", [])
        if not isinstance(asked, list) or not all(isinstance(one, Mapping) for one in asked):
            self._wrong(place, "security must be a list of objects: it says who is let in")
            return []
        return [name for one in asked for name in one]

    # Reading.

    def _object(self, value: Any, place: str) -> Mapping[str, Any]:
        """Return an object, or what it refers to; empty for what is absent."""
        for _ in range(10):
            if value is None:
                return {}
            if not isinstance(value, Mapping):
                self._wrong(place, "must be an object")
                return {}
            reference = value.get("$ref")
            if not isinstance(reference, str):
                return value
            value = self._find(reference, place)
        self._wrong(place, "$ref leads in a circle")
        return {}

    def _find(self, reference: str, place: str) -> Any:
        found: Any = self._document
        for part in reference.removeprefix("#/").split("/") if reference.startswith("#/") else [None]:
            name = None if part is None else part.replace("~1", "/").replace("~0", "~")
            if name is None or not isinstance(found, Mapping) or name not in found:
                self._wrong(place, f"$ref `{reference[:100]}` leads nowhere in the document, and others are not read")
                return None
            found = found[name]
        return found

    def _wrong(self, place: str, message: str) -> None:
        self._mistakes.append(Mistake(place, message))


def _most_concrete_first(path: str) -> list[bool]:
    """Sort `/users/me` before `/users/{id}`, as OpenAPI matches them."""
    return [_TEMPLATE.search(part) is not None for part in path.split("/")]


def _pattern(path: str) -> str:
    """Write a path as a pattern: anchored, `{name}` as one segment, all else as it stands."""
    pieces = _TEMPLATE.split(path)
    for index in range(0, len(pieces), 2):
        pieces[index] = re.sub(r"([^A-Za-z0-9/_~-])", r"\\\1", pieces[index])
    for index in range(1, len(pieces), 2):
        name = re.sub(r"\W", "_", pieces[index])
        pieces[index] = f"{{{name}}}" if name and not name[0].isdigit() else f"{{p{name}}}"  # `{2}` could be a repetition
    return f"^{''.join(pieces)}$"


def _named(value: Any) -> Iterator[str]:
    """Yield the names of the schemas that a rewritten schema refers to."""
    if isinstance(value, Mapping):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/$defs/"):
            yield reference.removeprefix("#/$defs/")
        for one in value.values():
            yield from _named(one)
    elif isinstance(value, list):
        for one in value:
            yield from _named(one)
