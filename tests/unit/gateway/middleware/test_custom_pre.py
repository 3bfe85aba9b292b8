"""Scripts before authentication: what they change is what later stages see."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.gateway.middleware import custom_pre
from services.gateway.refusals import SCRIPT_FAILED, SCRIPT_REFUSED
from tests.unit.gateway.exchanges import ask, built, mistakes, ports, refusal
from tests.unit.gateway.scripted import hooked, request


def test_without_scripts_it_is_not_in_the_chain() -> None:
    assert built(custom_pre, ports()) is None
    assert built(custom_pre, ports(), custom_middleware={"pre": [{"name": "a", "path": "a.js", "disabled": True}]}) is None


def test_mistakes() -> None:
    assert mistakes(custom_pre, custom_middleware={"pre": [{"name": "a"}, {"path": "b"}]}) == [
        "/custom_middleware/pre/0/path",
        "/custom_middleware/pre/1/name",
    ]


def test_headers_are_those_of_the_request(tmp_path: Path) -> None:
    rule = hooked(
        custom_pre, "pre", tmp_path, "request.SetHeaders.authorization = request.Headers['X-Key'][0]; request.DeleteHeaders.push('x-key')"
    )
    made = request("GET", "/api/", ("Host", "a"), ("X-Key", "k"), ("Authorization", "other"))
    assert ask(rule, made) is None
    assert made.fields == {b"host": b"a", b"authorization": b"k"}


@pytest.mark.parametrize(
    ("url", "path", "relative", "query"),
    [
        ("/api/b?c=d", "/api/b", "/b", "c=d"),
        ("/b", "/api/b", "/b", ""),
        ("/api/../b", "/api/b", "/b", ""),
        ("/apis", "/api/apis", "/apis", ""),
    ],
)
def test_another_path(tmp_path: Path, url: str, path: str, relative: str, query: str) -> None:
    made = request("GET", "/api/a?x=y")
    assert ask(hooked(custom_pre, "pre", tmp_path, f"request.URL = '{url}'"), made) is None
    assert (made.path, made.relative, made.query) == (path, relative, query)


def test_parameters(tmp_path: Path) -> None:
    body = "request.AddParams = {a: request.Params.a[1]}; request.DeleteParams = ['b']; request.ExtendedParams = {c: ['1', '2']}"
    made = request("GET", "/api/?a=1&a=2&b=3&d=%20")
    assert ask(hooked(custom_pre, "pre", tmp_path, body), made) is None
    assert made.query == "d=+&a=2&c=1&c=2"


def test_the_body(tmp_path: Path) -> None:
    made = request("POST", body=b"text")
    assert ask(hooked(custom_pre, "pre", tmp_path, "request.Body += '!'"), made) is None
    assert made.body == b"text!"
    made = request("POST", body=b"\xff")
    assert ask(hooked(custom_pre, "pre", tmp_path, "request.Body += '!'; request.IgnoreBody = true"), made) is None
    assert made.body == b"\xff"


@pytest.mark.parametrize("code", ["[]", "[1]", "{a: 1}", "1 / 0", "'x'", "99", "600"])
def test_a_code_that_is_none(tmp_path: Path, code: str) -> None:
    refusal(hooked(custom_pre, "pre", tmp_path, f"request.ReturnOverrides.ResponseCode = {code}"), request(), SCRIPT_FAILED)


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "", "a,b"])
def test_a_host_that_is_none(tmp_path: Path, host: str) -> None:
    """A script may have it from a client."""
    refusal(hooked(custom_pre, "pre", tmp_path, f"request.SetHeaders.Host = '{host}'"), request(), SCRIPT_FAILED)


def test_a_host_with_a_port(tmp_path: Path) -> None:
    made = request()
    assert ask(hooked(custom_pre, "pre", tmp_path, "request.SetHeaders.Host = '[::1]:80'"), made) is None
    assert made.upstream_host == b"[::1]:80"


def test_headers_of_an_answer_that_the_gateway_writes_itself(tmp_path: Path) -> None:
    own = "{'X-Request-Id': 'a', Date: 'b', Via: 'c', 'Keep-Alive': 'd', 'Content-Length': '9', 'X-A': 'e'}"
    body = f"request.ReturnOverrides = {{ResponseCode: 200, ResponseHeaders: {own}}}"
    reply = ask(hooked(custom_pre, "pre", tmp_path, body), request())
    assert reply is not None
    assert reply.headers == [(b"X-A", b"e")]


def test_a_refusal(tmp_path: Path) -> None:
    body = "request.ReturnOverrides = {ResponseCode: 401, ResponseError: 'no', ResponseHeaders: {'X-A': 'b'}}"
    found = refusal(hooked(custom_pre, "pre", tmp_path, body), request(), SCRIPT_REFUSED)
    assert (found.status, found.message, found.headers) == (401, "no", ((b"X-A", b"b"),))


def test_an_error_without_a_code_is_a_refusal_too(tmp_path: Path) -> None:
    assert (
        refusal(hooked(custom_pre, "pre", tmp_path, "request.ReturnOverrides.ResponseError = 'no'"), request(), SCRIPT_REFUSED).status
        == 403
    )


def test_an_answer(tmp_path: Path) -> None:
    body = "request.ReturnOverrides = {ResponseCode: 200, ResponseBody: '{}', ResponseHeaders: {'Content-Length': '9'}}"
    reply = ask(hooked(custom_pre, "pre", tmp_path, body), request())
    assert reply is not None
    assert (reply.status, reply.headers, reply.body) == (200, [(b"Content-Type", b"application/json")], b"{}")


@pytest.mark.parametrize(
    "body",
    [
        "request.ReturnOverrides.ResponseCode = 99",
        "request.SetHeaders['a b'] = 'c'",
        "request.SetHeaders.a = 'b\\r\\nc: d'",
        "request.URL = '/../../etc'",
        "undefined.x",
    ],
)
def test_what_cannot_be_used_is_a_fault(tmp_path: Path, body: str) -> None:
    refusal(hooked(custom_pre, "pre", tmp_path, body), request(), SCRIPT_FAILED)
