"""The OpenAPI document of the operator's port: from the routes, the tables beside this file and the table of refusals.

Only the command that writes the files and the tests import this room: the gateway serves what is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from flask import Flask
from werkzeug.routing import Rule

from services.gateway.operator_api import rules
from services.gateway.operator_api.answers import is_tyk_api
from services.gateway.operator_api.refusals import APPLICATION, KINDS, Kind
from services.gateway.operator_document.operations import OPERATIONS, TAGS, Operation
from services.gateway.operator_document.parameters import ABOUT, PARAMETERS
from services.gateway.operator_document.schemas import SCHEMAS
from services.gateway.operator_document.shapes import ref
from services.gateway.version import VERSION

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ARGUMENT: Final = re.compile(r"<(?:(\w+)(?:\(([^)]*)\))?:)?(\w+)>")
_KEY: Final = "operatorKey"
_TYK_KEY: Final = "tykOperatorKey"
_PAGES: Final = ("start.", "documents.")  # blueprints of pages and of this document
_KINDS: Final[Mapping[str, Kind]] = {**KINDS, **{kind.code: kind for kind in APPLICATION}}
_AWAY: Final = ("database-unavailable", "database-full", "database-read-only")
# Answers of many calls, which stand in the document once for each of the two APIs.
_SHARED: Final[Mapping[tuple[str, ...], str]] = {
    ("operator-key-wrong",): "KeyWrong",
    ("operator-forbidden",): "Forbidden",
    ("operator-key-wrong", "operator-forbidden"): "Forbidden",
    ("invalid-argument",): "BadArgument",
    _AWAY: "DatabaseAway",
}
_TOO_LARGE: Final = "* `body-too-large`: the body is larger than 10 MB."
_MALFORMED: Final = "* The port refuses a request that is malformed, in the form of `Error`: the call does not see it."
_OTHERS: Final[Mapping[str, str]] = {
    "Ready": "Not yet; `checks` says why.",
    "OAuthError": "Refused by the authorization endpoint, in the form of RFC 6749.",
}
_ABOUT: Final = """\
The operator's port of Gatehouse: definitions, keys and all else that a gateway serves by. Calls below `/api/` are those of Tyk's Advanced
Management API, with more below `/api/gatehouse/`; calls below `/tyk/` are those of Tyk's gateway API.

A change is in force on every worker when its answer arrives; workers that did not confirm in time are named. Every error has a `code`, and
the answer's header `X-Request-Id` leads to it in the log. The port checks each HTTP request before a call sees it, and refuses what is
malformed, too large or too slow in the form `{"error", "code", "request_id"}`. What to do about each code: `docs/errors.md`.
"""


def document(app: Flask) -> dict[str, Any]:
    """Return the document. app: with the blueprints of the operator's port. Raises KeyError for a route without a row."""
    paths: dict[str, dict[str, Any]] = {}
    taken: dict[str, Rule] = {}
    shared: dict[str, Any] = {"TooLarge": {"description": _TOO_LARGE, "content": _json(ref("Error"))}}
    for rule, method in routes(app):
        id = _id(rule, method, taken)
        taken[id] = rule
        paths.setdefault(path_of(rule), {})[method.lower()] = _described(rule, method, id, OPERATIONS[rule.endpoint], shared)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gatehouse: operator API", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(TAGS.values())],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(SCHEMAS),
            "responses": shared,
            "securitySchemes": {
                _KEY: {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "The operator key, or the access key of an operator; `Bearer ` in front of it may be left out.",
                },
                _TYK_KEY: {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Tyk-Authorization",
                    "description": "The operator key, or the access key of an operator.",
                },
            },
        },
    }


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Yield every call of the port: its route and its method."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if not rule.endpoint.startswith(_PAGES):
            for method in _METHODS:
                if method in (rule.methods or ()):
                    yield rule, method


def path_of(rule: Rule) -> str:
    """Write the path of a route as OpenAPI does."""
    return _ARGUMENT.sub(lambda found: f"{{{found[3]}}}", rule.rule)


def _described(rule: Rule, method: str, id: str, operation: Operation, shared: dict[str, Any]) -> dict[str, Any]:
    protected = rules.rule_of(rule.endpoint)
    found: dict[str, Any] = {
        "tags": [TAGS[rule.endpoint.partition(".")[0]]],
        "summary": operation.summary,
        "operationId": id,
        "parameters": [*_of_path(rule), *(PARAMETERS[name] for name in operation.parameters.split())],
    }
    about = [operation.about] if operation.about else []
    if protected is not None:
        role = protected.write if rules.writes(rule.endpoint, method) else protected.read
        about.append(f"Needs the role `{role}`.")
        found["security"] = [{_TYK_KEY if is_tyk_api(rule.rule) else _KEY: []}]
    else:
        found["security"] = []
    if about:
        found["description"] = " ".join(about)
    if operation.body:
        found["requestBody"] = _body(operation)
    found["responses"] = _answers(rule, operation, protected is not None, shared)
    return found


def _id(rule: Rule, method: str, taken: Mapping[str, Rule]) -> str:
    """Name an operation: after its function; where several share one, also after what tells the later ones apart."""
    name = str(rule.endpoint).replace(".", "_")
    if name not in taken:
        return name
    if taken[name].rule == rule.rule:
        return f"{name}_{method.lower()}"
    return f"{name}_{rule.rule.rpartition('/')[2].strip('<>')}"


def _of_path(rule: Rule) -> Iterator[dict[str, Any]]:
    for converter, choices, name in _ARGUMENT.findall(rule.rule):
        schema: dict[str, Any] = {"type": "integer", "minimum": 0} if converter == "int" else {"type": "string", "minLength": 1}
        if converter == "any":
            schema = {"enum": [choice.strip() for choice in choices.split(",")]}
        yield {"name": name, "in": "path", "required": True, "description": ABOUT[name], "schema": schema}


def _body(operation: Operation) -> dict[str, Any]:
    kind, _, name = operation.body.rpartition(" ")
    if name == "(certificate)":
        content: dict[str, Any] = {"text/plain": {"schema": {"type": "string", "description": "One certificate, PEM"}}}
    elif kind == "(form)":
        content = {"application/x-www-form-urlencoded": {"schema": ref(name)}}
    else:
        content = {"application/json": {"schema": ref(name)}}
    return {"required": not operation.optional, "content": content}


def _answers(rule: Rule, operation: Operation, protected: bool, shared: dict[str, Any]) -> dict[str, Any]:
    """Describe the answers of a call. shared: answers of many calls, which are added to."""
    found: dict[str, Any] = {}
    if operation.answer == "(text)":
        found["200"] = {"description": "Done", "content": {"text/plain": {"schema": {"type": "string"}}}}
    elif operation.answer:
        found["200"] = {"description": "Done", "content": _json(ref(operation.answer))}
    by_status: dict[str, list[str]] = {}
    for code, number in _codes(rule, operation, protected):
        by_status.setdefault(str(number), []).append(code)
    for status, codes in by_status.items():
        name = _SHARED.get(tuple(codes))
        if name is None or status in operation.others:
            found[status] = _refused(rule, codes, status)
        else:
            name = f"{'Tyk' if is_tyk_api(rule.rule) else 'Api'}{name}"
            shared.setdefault(name, _refused(rule, codes, status))
            found[status] = {"$ref": f"#/components/responses/{name}"}
    for status, schema in operation.others.items():
        found[status] = _also(found.get(status), schema)
    if operation.body:
        found["413"] = {"$ref": "#/components/responses/TooLarge"}
    return dict(sorted(found.items()))


def _codes(rule: Rule, operation: Operation, protected: bool) -> Iterator[tuple[str, int]]:
    """Yield the codes of all refusals of a call, with their status."""
    if not protected:
        return
    is_tyk = is_tyk_api(rule.rule)
    usual = {"operator-key-wrong": 403 if is_tyk else 401, "malformed-body": 400 if is_tyk else 403}
    codes = ["operator-key-wrong", "operator-forbidden", "invalid-argument", *operation.codes.split(), *_AWAY]
    if operation.body and "(" not in operation.body:
        codes.append("malformed-body")
    if rule.arguments - set(rule.defaults or ()):
        codes.append("not-found")  # a name with a slash in it is another path
    for code in dict.fromkeys(codes):
        code, _, status = code.partition(":")
        yield code, int(status) if status else usual.get(code, _KINDS[code].statuses[0])


def _refused(rule: Rule, codes: list[str], status: str) -> dict[str, Any]:
    """Describe refusals with the same status. A request that is malformed the port refuses itself, in its own form."""
    name, member = ("TykError", "code") if is_tyk_api(rule.rule) else ("ApiError", "Code")
    told = "\n".join(f"* `{code}`: {_plain(_KINDS[code].remedy)}" for code in codes)
    schema: dict[str, Any] = {"allOf": [ref(name), {"type": "object", "properties": {member: {"enum": codes}}}]}
    if status == "400":
        return {"description": f"{told}\n{_MALFORMED}", "content": _json({"anyOf": [schema, ref("Error")]})}
    return {"description": told, "content": _json(schema)}


def _also(answer: Mapping[str, Any] | None, schema: str) -> dict[str, Any]:
    """Add a form to an answer that is described in place; answer: None = there is none."""
    if answer is None:
        return {"description": _OTHERS[schema], "content": _json(ref(schema))}
    content = answer["content"]["application/json"]["schema"]
    return {"description": f"{answer['description']}\n* {_OTHERS[schema]}", "content": _json({"anyOf": [content, ref(schema)]})}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _plain(remedy: str) -> str:
    """Take the links to pages of docs/ out of a remedy."""
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", remedy)
