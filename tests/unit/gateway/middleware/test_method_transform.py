"""Methods that go on to the upstream in place of the client's."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.exchange import ResponseHead
from services.gateway.middleware import method_transform
from tests.unit.gateway.exchanges import ask, built, exchange, mistakes, ports


def rule(*entries: tuple[str, str, str], **version: Any) -> Any:
    paths = {"method_transforms": [{"path": path, "method": method, "to_method": to} for path, method, to in entries]}
    return built(method_transform, ports(), version={"use_extended_paths": True, "extended_paths": paths, **version})


def test_without_entries_it_is_not_in_the_chain() -> None:
    assert rule() is None
    assert rule(("/", "GET", "POST"), use_extended_paths=False) is None


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "/a", "POST"),
        ("PUT", "/a", None),
        ("PUT", "/any/x", "DELETE"),
        ("DELETE", "/any/x", None),
        ("GET", "/other", None),
        ("PUT", "/x%2Fany/y", None),
        ("PUT", "/any%2Fx", "DELETE"),
    ],
)
def test_the_first_entry_that_matches_decides(method: str, path: str, sent: str | None) -> None:
    asked = exchange(method, f"/api{path}")
    assert ask(rule(("^/a$", "GET", "post"), ("^/any/", "", "DELETE")), asked) is None
    assert (asked.method, asked.upstream_method, asked.answer_transforms) == (method, sent, ())


@pytest.mark.parametrize(
    ("method", "header", "ignored", "sent"),
    [
        ("OPTIONS", "Access-Control-Request-Method", True, None),
        ("OPTIONS", "Access-Control-Request-Method", False, "DELETE"),
        ("OPTIONS", "X-Other", True, "DELETE"),
        ("GET", "Access-Control-Request-Method", True, "DELETE"),
    ],
)
def test_a_preflight_that_needs_no_key_does_not_become_another_method(method: str, header: str, ignored: bool, sent: str | None) -> None:
    asked = exchange(method, "/api/a", [(header, "GET")])
    asked.ignored = ignored
    assert ask(rule(("^/a$", "", "DELETE")), asked) is None
    assert asked.upstream_method == sent


@pytest.mark.parametrize(("method", "to"), [("GET", "HEAD"), ("HEAD", "GET"), ("POST", "head")])
def test_the_answer_is_framed_again_where_one_of_the_two_is_head(method: str, to: str) -> None:
    asked = exchange(method, "/api/a")
    ask(rule(("/a", "", to)), asked)
    (transform,) = asked.answer_transforms
    head = ResponseHead(200, b"OK", [])
    assert transform.wants(asked, head)
    assert transform.transform(asked, head, b"body") == b"body"


def test_head_that_stays_head_is_left_alone() -> None:
    asked = exchange("HEAD", "/api/a")
    ask(rule(("/a", "", "HEAD")), asked)
    assert (asked.upstream_method, asked.answer_transforms) == (None, ())


@pytest.mark.parametrize("to", ["", "CONNECT", "TRACE", "GO", "GET "])
def test_methods_that_cannot_be_sent(to: str) -> None:
    paths = {"method_transforms": [{"path": "/a", "method": "GET", "to_method": to}]}
    place = "/version_data/versions/Default/extended_paths/method_transforms/0/to_method"
    assert mistakes(method_transform, version={"use_extended_paths": True, "extended_paths": paths}) == [place]
