"""The last scripts before the upstream: they see what the stages before them changed, and each other's changes."""

from __future__ import annotations

from pathlib import Path

from services.gateway.middleware import custom_post
from tests.unit.gateway.exchanges import ask, built, ports
from tests.unit.gateway.scripted import HOOK, hooked, request, scripted


def test_without_scripts_it_is_not_in_the_chain() -> None:
    assert built(custom_post, ports()) is None


def test_it_sees_what_goes_on(tmp_path: Path) -> None:
    made = request("GET", "/api/a", ("Host", "h"), ("X-A", "b"), ("X-C", "d"))
    made.drop_header(b"x-a")
    made.set_header(b"x-e", b"f")
    body = "request.SetHeaders.seen = Object.keys(request.Headers).sort().join()"
    assert ask(hooked(custom_post, "post", tmp_path, body), made) is None
    assert (b"seen", b"Host,X-C,X-E") in made.sent_headers()


def test_each_sees_what_those_before_it_changed(tmp_path: Path) -> None:
    first = HOOK % "request.Body += '1'; request.SetHeaders.A = 'b'"
    second = (HOOK % "request.Body += '2'; request.SetHeaders.C = request.Headers.A[0]").replace("one", "two")
    hooks = {"post": [{"name": "one", "path": "1.js"}, {"name": "two", "path": "2.js"}]}
    made = request("POST", body=b"0")
    assert ask(scripted(custom_post, tmp_path, {"1.js": first, "2.js": second}, custom_middleware=hooks), made) is None
    assert made.body == b"012"
    assert made.sent_headers() == [(b"A", b"b"), (b"C", b"b")]


def test_an_answer_ends_the_request(tmp_path: Path) -> None:
    first = HOOK % "request.ReturnOverrides = {ResponseCode: 201, ResponseBody: 'made'}"
    hooks = {"post": [{"name": "one", "path": "1.js"}, {"name": "two", "path": "2.js"}]}
    second = (HOOK % "undefined.x").replace("one", "two")
    reply = ask(scripted(custom_post, tmp_path, {"1.js": first, "2.js": second}, custom_middleware=hooks), request())
    assert reply is not None
    assert (reply.status, reply.body) == (201, b"made")
