"""How a refusal is written on the wire: Tyk's body, a problem document, or the shape that a definition gives it.

The body is real JSON: nothing is HTML-escaped, so a quote in a path stays a quote. Answers carry `X-Generator: gatehouse`, as Tyk's carry
its name: the gateway never adds that header to an answer of an upstream, so it tells an operator who said no.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from services.gateway.exchange import CompiledApi, Exchange, Reply
from services.gateway.refusals import REGISTRY, Refusal, RefusalKind
from services.gateway.wire.heads.grammar import Header

_CONTENT_TYPE: Final = b"Content-Type"
_JSON_TYPE: Final[Header] = (_CONTENT_TYPE, b"application/json")
_PROBLEM_TYPE: Final[Header] = (_CONTENT_TYPE, b"application/problem+json")
_GENERATOR: Final[Header] = (b"X-Generator", b"gatehouse")
_PROBLEM_NAME: Final = b"application/problem+json"
_VARIABLE: Final = re.compile(r"\{\{\s*\.(\w+)\s*\}\}")
_OF_BODIES: Final = frozenset({"body-invalid", "body-not-json"})
TEMPLATE_VARIABLES: Final = frozenset({"Message", "Code", "StatusCode", "RequestID", "Detail"})


class Override(Protocol):
    """One entry of a definition's `error_overrides`: what replaces the status and the message of a code (None = as it is)."""

    @property
    def status(self) -> int | None: ...
    @property
    def message(self) -> str | None: ...


class Rule(Override, Protocol):
    """A rule of `error_overrides` by status, which may also have a body and headers."""

    @property
    def content_type(self) -> bytes: ...

    def text(self, values: Mapping[str, Any]) -> bytes | None: ...
    def changed(self, headers: list[Header]) -> list[Header]: ...


def render(refusal: Refusal, exchange: Exchange) -> Reply:
    """Return the answer to a refused request: status, headers (the exchange's own answer headers and X-Request-Id included), body.

    `Content-Length`, `Date` and `Connection` are the writer's. A HEAD request gets the same head; the writer leaves the
    body out. Never raises on any request.
    """
    return _answer(refusal, exchange.request_id, exchange.fields.get(b"accept"), exchange.answer_headers, exchange.api)


def render_early(refusal: Refusal, request_id: str, accept: bytes | None = None, api: CompiledApi | None = None) -> Reply:
    """Return the answer where there is no exchange yet: a head that could not be read, a connection over the limit.

    api: whose client it seems to be, None = unknown.
    """
    return _answer(refusal, request_id, accept, (), api)


def _answer(
    refusal: Refusal,
    request_id: str,
    accept: bytes | None,
    answer_headers: Iterable[Header],
    api: CompiledApi | None,
) -> Reply:
    kind = refusal.kind
    status, message = refusal.status, refusal.message
    override: Override | None = api.error_overrides.get(kind.code) if api is not None else None
    template = None if api is None else api.error_template
    rule: Rule | None = None
    if override is None and api is not None and api.error_rules is not None:
        override = rule = api.error_rules.of_refusal(refusal, message)
    if override is not None:
        status = override.status or status
        message = message if override.message is None else override.message
    kind_of_body = _JSON_TYPE
    written = None if rule is None else rule.text(_values(refusal, status, message, request_id))
    if rule is not None and written is not None:
        kind_of_body, body = (_CONTENT_TYPE, rule.content_type), written
    elif accept is not None and _PROBLEM_NAME in accept and wants_problem(accept):
        kind_of_body = _PROBLEM_TYPE
        body = _dump(_problem(kind.code, status, message, refusal.detail, request_id))
    elif template is not None:
        body = _dump(fill(template, _values(refusal, status, message, request_id)))
    else:
        body = _plain_body(kind, message, refusal.detail, request_id)
    headers = [kind_of_body, (b"X-Request-Id", request_id.encode("latin-1", "replace")), _GENERATOR]
    headers += answer_headers
    headers += refusal.headers
    return Reply(status, headers if rule is None else rule.changed(headers), body)


def _values(refusal: Refusal, status: int, message: str, request_id: str) -> dict[str, Any]:
    detail = refusal.detail or ""
    shown = {"Message": message, "Code": refusal.kind.code, "StatusCode": status, "RequestID": request_id, "Detail": detail}
    return shown | {"InvalidParams": detail if refusal.kind.code in _OF_BODIES else ""}


def upstream_error(message: str, status: int, request_id: str, template: Mapping[str, Any] | None) -> bytes:
    """Write the body that replaces the one of an upstream's error."""
    if template is None:
        return _dump({"error": message, "request_id": request_id})
    return _dump(fill(template, {"Message": message, "StatusCode": status, "RequestID": request_id}))


def _plain_body(kind: RefusalKind, message: str, detail: str | None, request_id: str) -> bytes:
    """Write Tyk's body and formatting (four spaces, final newline) with `code`, `request_id` and, where there is one, `detail`."""
    start = _STARTS[kind.code] if message is kind.message else _start(kind.code, message)
    if detail:
        start += f'    "detail": {_json(detail)},\n'.encode("utf-8", "replace")
    return start + f'    "request_id": {_json(request_id)}\n}}\n'.encode("utf-8", "replace")


def _start(code: str, message: str) -> bytes:
    return f'{{\n    "error": {_json(message)},\n    "code": {_json(code)},\n'.encode("utf-8", "replace")


def _json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


# How the body begins where a definition does not say it in other words.
_STARTS: Final = {kind.code: _start(kind.code, kind.message) for kind in REGISTRY.values()}


def _problem(code: str, status: int, message: str, detail: str | None, request_id: str) -> dict[str, Any]:
    """Return the members of RFC 9457, and ours."""
    problem: dict[str, Any] = {"type": f"urn:gatehouse:error:{code}", "title": message, "status": status}
    if detail:
        problem["detail"] = detail
    return problem | {"code": code, "request_id": request_id}


def _dump(value: Any) -> bytes:
    return (json.dumps(value, indent=4, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def wants_problem(accept: bytes) -> bool:
    """Whether an Accept header names `application/problem+json` with a quality above zero (RFC 9110, 12.5.1)."""
    for choice in accept.lower().split(b","):
        name, *parameters = (part.strip() for part in choice.split(b";"))
        if name == _PROBLEM_NAME:
            quality = next((p[2:] for p in parameters if p.startswith(b"q=")), b"1")
            return quality.strip(b"0.") != b""
    return False


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """Return a copy of a JSON value with `{{.Name}}` replaced in its strings; unknown names become empty.

    A string that is one variable and nothing else takes the variable's own type, so `"{{.StatusCode}}"` is a number.
    """
    if isinstance(template, str):
        whole = _VARIABLE.fullmatch(template)
        if whole:
            return values.get(whole.group(1), "")
        return _VARIABLE.sub(lambda found: str(values.get(found.group(1), "")), template)
    if isinstance(template, Mapping):
        return {name: fill(value, values) for name, value in template.items()}
    if isinstance(template, list | tuple):
        return [fill(value, values) for value in template]
    return template


def template_variables(template: Any) -> set[str]:
    """Return the names of all `{{.Name}}` in the strings of a JSON value."""
    if isinstance(template, str):
        return set(_VARIABLE.findall(template))
    parts: Iterable[Any] = ()
    if isinstance(template, Mapping):
        parts = template.values()
    elif isinstance(template, list | tuple):
        parts = template
    return set().union(*(template_variables(part) for part in parts))
