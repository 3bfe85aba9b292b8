"""Scripts on answers of the upstream: what they see and change, and that nothing goes out when one fails."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.gateway.definitions.reader import Mistakes
from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.middleware import custom_response
from services.gateway.refusals import SCRIPT_FAILED, UPSTREAM_BROKEN, Refusal, RefusalKind
from services.gateway.scripts.scripts import Scripts
from tests.unit.gateway.exchanges import ask, built, make_key, ports, spec
from tests.unit.gateway.scripted import request

HOOK = """var %(name)s = new TykJS.TykMiddleware.NewMiddleware({});
%(name)s.NewProcessResponse(function (response, request, session, config) {
  %(body)s; return %(name)s.ReturnResponseData(response, session.meta_data) });"""


def hooked(folder: Path, *bodies: str, **more: Any) -> Any:
    hooks = []
    for number, body in enumerate(bodies):
        (folder / f"{number}.js").write_text(HOOK % {"name": f"hook{number}", "body": body})
        hooks.append({"name": f"hook{number}", "path": f"{number}.js"})
    return built(custom_response, replace(ports(), scripts=Scripts(folder)), custom_middleware={"response": hooks}, **more)


def answer(status: int = 200, *headers: tuple[bytes, bytes]) -> ResponseHead:
    return ResponseHead(status, b"OK", list(headers))


def changed(rule: Any, head: ResponseHead, body: bytes = b"", made: Exchange | None = None) -> bytes:
    made = request() if made is None else made
    assert ask(rule, made) is None
    [transform] = made.answer_transforms
    assert transform.wants(made, head)

    async def whole() -> bytes:
        found = transform.transform(made, head, body)
        try:
            return found if isinstance(found, bytes) else await found
        finally:
            rule._running.end()  # each call has a loop of its own

    return asyncio.run(whole())


def refused(rule: Any, kind: RefusalKind, head: ResponseHead, body: bytes = b"") -> None:
    with pytest.raises(Refusal) as refusal:
        changed(rule, head, body)
    assert refusal.value.kind is kind


def test_without_scripts_it_is_not_in_the_chain() -> None:
    assert spec(custom_response) is None
    assert spec(custom_response, custom_middleware={"response": [{"name": "a", "path": "a.js", "disabled": True}]}) is None


def test_it_changes_status_headers_and_body(tmp_path: Path) -> None:
    body = """response.StatusCode = 418; response.SetHeaders['X-New'] = response.Headers['X-Old'][0]; response.DeleteHeaders.push('x-old');
    response.Body = response.Body + '!'"""
    head = answer(200, (b"X-Old", b"a"), (b"ETag", b"e"), (b"Content-Type", b"text/plain"))
    assert changed(hooked(tmp_path, body), head, b"tea") == b"tea!"
    assert (head.status, head.reason) == (418, b"I'm a Teapot")
    assert head.headers == [(b"Content-Type", b"text/plain"), (b"X-New", b"a")]


def test_each_sees_what_those_before_it_changed(tmp_path: Path) -> None:
    rule = hooked(tmp_path, "response.Body += '1'; response.SetHeaders.A = 'b'", "response.Body += '2' + response.Headers.A[0]")
    assert changed(rule, answer(), b"0") == b"012b"


def test_it_sees_the_request_and_the_session(tmp_path: Path) -> None:
    body = "response.Body = [request.Method, request.URL, session.meta_data.plan, config.config_data.a].join(' ')"
    made = request("GET", "/api/x?q=1", key=make_key(meta_data={"plan": "gold"}))
    assert changed(hooked(tmp_path, body, config_data={"a": "b"}), answer(), b"", made) == b"GET /api/x?q=1 gold b"


def test_a_body_that_it_leaves_alone_goes_out_as_it_came(tmp_path: Path) -> None:
    head = answer(200, (b"ETag", b"e"))
    assert changed(hooked(tmp_path, "response.SetHeaders.A = 'b'"), head, b"\xff\x00\x80") == b"\xff\x00\x80"
    assert head.headers == [(b"ETag", b"e"), (b"A", b"b")]


def test_the_upstream_is_asked_for_a_plain_and_whole_answer(tmp_path: Path) -> None:
    made = request("GET", "/api/", ("Accept-Encoding", "gzip"), ("Range", "bytes=0-1"))
    changed(hooked(tmp_path, ""), answer(), b"", made)
    assert made.drop_headers == {b"accept-encoding", b"range"}
    refused(hooked(tmp_path, ""), UPSTREAM_BROKEN, answer(200, (b"Content-Encoding", b"gzip")), b"\x1f\x8b")


def test_fields_that_frame_the_message_stay(tmp_path: Path) -> None:
    head = answer(200, (b"Content-Length", b"3"))
    changed(hooked(tmp_path, "response.DeleteHeaders.push('Content-Length'); response.SetHeaders['Transfer-Encoding'] = 'x'"), head, b"abc")
    assert head.headers == [(b"Content-Length", b"3")]


@pytest.mark.parametrize(
    "body", ["undefined.x", "return response", "return {}", "response.StatusCode = 101", "response.SetHeaders['a b'] = 'c'", "null.x"]
)
def test_nothing_goes_out_when_one_fails(tmp_path: Path, body: str) -> None:
    refused(hooked(tmp_path, body), SCRIPT_FAILED, answer(), b"secret")


def test_a_large_answer_is_looked_at_beside_the_loop(tmp_path: Path) -> None:
    rule = hooked(tmp_path, "response.Body = response.Body.length + 'a'", "response.Body += 'b'")
    assert changed(rule, answer(), b"x" * 100_000) == b"100000ab"


def test_a_middleware_for_requests_is_none_for_answers(tmp_path: Path) -> None:
    (tmp_path / "0.js").write_text(
        "var one = new TykJS.TykMiddleware.NewMiddleware({}); one.NewProcessRequest(function (r, s) { return r });"
    )
    hooks = {"response": [{"name": "one", "path": "0.js"}]}
    with pytest.raises(Mistakes) as error:
        built(custom_response, replace(ports(), scripts=Scripts(tmp_path)), custom_middleware=hooks)
    [mistake] = error.value.mistakes
    assert (mistake.pointer, "NewProcessResponse" in mistake.message) == ("/custom_middleware/response/0/name", True)


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("response['Body'] = request['Method'] + session['meta_data']['a']", b"GETb"),
        ("return {'Body': {'a': 1}, 'StatusCode': 201}", b'{"a": 1}'),
    ],
)
def test_in_python(tmp_path: Path, line: str, body: bytes) -> None:
    rule = in_python(tmp_path, line)
    assert changed(rule, answer(), b"x", request(key=make_key(meta_data={"a": "b"}))) == body


def test_faults_in_python(tmp_path: Path) -> None:
    refused(in_python(tmp_path, "return 5"), SCRIPT_FAILED, answer())


def in_python(folder: Path, line: str) -> Any:
    (folder / "one.py").write_text(f"def one(response, request, session, config):\n    {line}\n")
    hooks = {"driver": "python", "response": [{"name": "one", "path": "one.py"}]}
    return built(custom_response, replace(ports(), scripts=Scripts(folder, seconds=20)), custom_middleware=hooks)
