"""Answers that the definition holds."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.middleware import mock_response
from tests.unit.gateway.exchanges import ask, built, exchange, mistakes, ports


def rule(*entries: dict[str, Any], **version: Any) -> Any:
    return built(
        mock_response, ports(), version={"use_extended_paths": True, "extended_paths": {"mock_response": list(entries)}, **version}
    )


def test_without_entries_it_is_not_in_the_chain() -> None:
    assert rule() is None
    assert rule({"path": "/a", "code": 1, "disabled": True}) is None


def test_an_answer() -> None:
    mocked = rule(
        {"path": "^/a$", "method": "GET", "code": 418, "body": '{"é": 1}', "headers": {"Content-Type": "application/json", "X": "1"}},
        {"path": "^/B$", "body": "text", "ignore_case": True},
        {"path": "^/none", "code": 204, "body": "never sent"},
    )
    reply = ask(mocked, exchange("GET", "/api/a"))
    assert reply is not None
    assert (reply.status, reply.body) == (418, '{"é": 1}'.encode())
    assert reply.headers == [(b"Content-Type", b"application/json"), (b"X", b"1")]
    reply.headers.append((b"Y", b"2"))
    again = ask(mocked, exchange("GET", "/api/a"))
    assert again is not None and len(again.headers) == 2
    other = ask(mocked, exchange("DELETE", "/api/b"))
    assert other is not None
    assert (other.status, other.body, other.headers) == (200, b"text", [(b"Content-Type", b"text/plain; charset=utf-8")])
    empty = ask(mocked, exchange("GET", "/api/none"))
    assert empty is not None and (empty.status, empty.body, empty.headers) == (204, b"", [])


@pytest.mark.parametrize(("method", "path", "version"), [("POST", "/a", "Default"), ("GET", "/b", "Default"), ("GET", "/a", "other")])
def test_what_no_entry_matches_goes_on(method: str, path: str, version: str) -> None:
    assert ask(rule({"path": "^/a$", "method": "GET"}), exchange(method, f"/api{path}", version=version)) is None


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({"code": 0}, "code"),
        ({"code": 100}, "code"),
        ({"headers": {"Content-Length": "5"}}, "headers/Content-Length"),
        ({"headers": {"A": "1\n2"}}, "headers/A"),
        ({"body": {"a": 1}}, "body"),
        ({"from_oas_examples": {"enabled": True}}, "from_oas_examples"),
        ({"path": ""}, "path"),
    ],
)
def test_answers_that_cannot_be_sent(entry: dict[str, Any], place: str) -> None:
    version = {"use_extended_paths": True, "extended_paths": {"mock_response": [{"path": "/a", **entry}]}}
    assert mistakes(mock_response, version=version) == [f"/version_data/versions/Default/extended_paths/mock_response/0/{place}"]
