"""Endpoints that a function answers."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from services.gateway.definitions.reader import Mistakes
from services.gateway.middleware import virtual_endpoint
from services.gateway.refusals import SCRIPT_FAILED
from tests.unit.gateway.exchanges import ask, make_key, mistakes, refusal, spec
from tests.unit.gateway.scripted import Saved, request, scripted

ANSWER = "function f(request, session, config) { return TykJsResponse({Body: %s, Headers: {'X-A': 'b'}, Code: 201}, session.meta_data) }"


def version(*entries: dict[str, Any]) -> dict[str, Any]:
    usual = {"response_function_name": "f", "function_source_type": "file", "function_source_uri": "f.js", "method": "GET", "path": "^/v$"}
    return {"use_extended_paths": True, "extended_paths": {"virtual": [{**usual, **entry} for entry in entries]}}


def rule(folder: Path, text: str, *entries: dict[str, Any], saved: Saved | None = None, **more: Any) -> Any:
    return scripted(virtual_endpoint, folder, {"f.js": text}, saved, version=version(*(entries or ({},))), **more)


def test_without_entries_it_is_not_in_the_chain() -> None:
    assert spec(virtual_endpoint) is None
    assert spec(virtual_endpoint, version={**version({}), "use_extended_paths": False}) is None
    assert spec(virtual_endpoint, version=version({"disabled": True})) is None


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"path": ""}, "path"),
        ({"response_function_name": ""}, "response_function_name"),
        ({"response_function_name": "f()"}, "response_function_name"),
        ({"function_source_type": "url"}, "function_source_type"),
        ({"function_source_uri": ""}, "function_source_uri"),
        ({"function_source_type": "blob", "function_source_uri": ""}, "function_source_uri"),
    ],
)
def test_mistakes(entry: dict[str, Any], field: str) -> None:
    place = "/version_data/versions/Default/extended_paths/virtual/0"
    assert mistakes(virtual_endpoint, version=version(entry)) == [f"{place}/{field}"]


def test_it_answers_one_path_and_method(tmp_path: Path) -> None:
    check = rule(tmp_path, ANSWER % "JSON.stringify([request.Method, request.URL, request.Body])")
    made = request("GET", "/api/v?a=b")
    made.limits = b"X-RateLimit-Limit: 1\r\n"  # is added to every reply, and belongs there once
    reply = ask(check, made)
    assert reply is not None
    assert (reply.status, reply.body) == (201, b'["GET","/api/v?a=b",""]')
    assert reply.headers == [(b"X-A", b"b"), (b"Content-Type", b"application/json")]
    assert ask(check, request("POST", "/api/v")) is None
    assert ask(check, request("GET", "/api/vv")) is None
    assert ask(check, request("GET", "/api/x%2F..%2Fv")) is not None, "an upstream may read this as /v"


def test_a_body(tmp_path: Path) -> None:
    reply = ask(rule(tmp_path, ANSWER % "request.Body.length + ''", {"method": ""}), request("PUT", "/api/v", body=b"four"))
    assert reply is not None
    assert reply.body == b"4"


def test_a_blob(tmp_path: Path) -> None:
    blob = base64.b64encode((ANSWER % "'blob'").encode()).decode()
    reply = ask(rule(tmp_path, "", {"function_source_type": "blob", "function_source_uri": blob}), request("GET", "/api/v"))
    assert reply is not None
    assert reply.body == b"blob"
    with pytest.raises(Mistakes):
        rule(tmp_path, "", {"function_source_type": "blob", "function_source_uri": "*"})


def test_the_session_and_its_meta_data(tmp_path: Path) -> None:
    saved = Saved()
    text = ANSWER % "(session.meta_data.n = session.alias)"
    reply = ask(rule(tmp_path, text, {"use_session": True}, saved=saved), request("GET", "/api/v", key=make_key(alias="me")))
    assert reply is not None
    assert (reply.body, saved) == (b"me", [("key-1", {"n": "me"})])


@pytest.mark.parametrize(
    "text",
    [
        "function f() { undefined.x }",
        "function f() { return 'text' }",
        "function f() { return TykJsResponse({Code: 5}) }",
        "function f() { return TykJsResponse({Headers: {'a b': 'c'}}) }",
    ],
)
def test_a_fault(tmp_path: Path, text: str) -> None:
    refusal(rule(tmp_path, text), request("GET", "/api/v"), SCRIPT_FAILED)
    assert ask(rule(tmp_path, text, {"proxy_on_error": True}), request("GET", "/api/v")) is None
