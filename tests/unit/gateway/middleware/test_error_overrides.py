"""Errors of the upstream, replaced by the rules of a definition."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.middleware import error_overrides
from tests.unit.gateway.exchanges import ask, built, exchange, ports, spec

JSON = (b"Content-Type", b"application/json")


def changed(
    overrides: dict[str, Any], status: int, body: bytes, *headers: tuple[bytes, bytes], request: Exchange | None = None, **more: Any
) -> tuple[ResponseHead, bytes]:
    """What the client gets in place of an answer of the upstream."""
    request = request or exchange()
    rules = built(error_overrides, ports(), error_overrides=overrides, **more)
    assert ask(rules, request) is None
    head = ResponseHead(status, b"As It Was", list(headers))
    (transform,) = request.answer_transforms
    if not transform.wants(request, head):
        return head, body
    made = transform.transform(request, head, body)
    assert isinstance(made, bytes)
    return head, made


def rule(response: dict[str, Any], **match: Any) -> list[dict[str, Any]]:
    return [{"match": match, "response": response}]


def test_a_body_and_headers_of_the_definition() -> None:
    response = {
        "status_code": 503,
        "message": 'a "quote"',
        "body": '{"title": "{{.Message}}", "status": {{.StatusCode}}}',
        "headers": {"Retry-After": "5", "Server": ""},
    }
    head, body = changed({"5xx": rule(response)}, 500, b"Traceback", (b"Content-Type", b"text/html"), (b"Server", b"x"), (b"X-Kept", b"1"))
    assert json.loads(body) == {"title": 'a "quote"', "status": 503}
    assert (head.status, head.reason) == (503, b"Service Unavailable")
    assert head.headers == [(b"X-Kept", b"1"), JSON, (b"Retry-After", b"5")]


def test_a_status_alone_keeps_the_body() -> None:
    head, body = changed({"404": rule({"code": 410})}, 404, b"gone", (b"ETag", b"1"))
    assert (head.status, head.headers, body) == (410, [(b"ETag", b"1")], b"gone")


def test_a_message_alone_is_written_as_the_gateways_own_errors() -> None:
    _, body = changed({"500": rule({"message": "Later"})}, 500, b"Traceback")
    assert json.loads(body) == {"error": "Later", "request_id": "request-1"}
    _, body = changed({"500": rule({"message": "Later"})}, 500, b"Traceback", error_template={"fault": "{{.Message}}"})
    assert json.loads(body) == {"fault": "Later"}


def test_only_errors_that_have_rules() -> None:
    for status in (200, 404, 302):
        head, body = changed({"5xx": rule({"message": "Later"})}, status, b"as it is")
        assert (head.status, body) == (status, b"as it is")


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({"flag": "URS"}, True),
        ({"flag": "URT"}, False),
        ({"message_pattern": "out of s.ock"}, True),
        ({"message_pattern": "in stock"}, False),
        ({"body_field": "errors.0.code", "body_value": "7"}, True),
        ({"body_field": "errors.0.text", "body_value": "out of stock"}, True),
        ({"body_field": "errors.0.text", "body_value": "out"}, False),
        ({"body_field": "errors.1.code", "body_value": "7"}, False),
        ({"body_field": "errors.code", "body_value": "7"}, False),
        ({"message_pattern": "out", "body_field": "errors.0.code", "body_value": "8"}, False),
    ],
)
def test_what_a_rule_matches(match: dict[str, Any], matches: bool) -> None:
    overrides = {"504": rule({"status_code": 502}, **match), "5xx": rule({"status_code": 599})}
    head, _ = changed(overrides, 504, b'{"errors": [{"code": 7, "text": "out of stock"}]}')
    assert head.status == (502 if matches else 599)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 5000, b'{"id": "' + b"x" * 70_000 + b'"}'])
def test_bodies_that_are_not_looked_into(body: bytes) -> None:
    head, same = changed({"500": rule({"status_code": 502}, body_field="id", body_value="x")}, 500, body)
    assert (head.status, same) == (500, body)


def test_plain_bodies_are_asked_for_where_a_rule_looks_into_them() -> None:
    request = exchange(headers=[("Accept-Encoding", "gzip")])
    overrides = {"500": rule({"status_code": 502}, message_pattern="a")}
    head, body = changed(overrides, 500, b"a", (b"Content-Encoding", b"br"), request=request)
    assert request.drop_headers == {b"accept-encoding"}
    assert (head.status, body) == (500, b"a")
    request = exchange()
    changed({"500": rule({"status_code": 502})}, 500, b"", request=request)
    assert request.drop_headers is None


def test_rules_for_refusals_alone_cost_nothing() -> None:
    assert spec(error_overrides, error_overrides={"429": rule({"status_code": 503}, flag="RLT")}) is None
    assert spec(error_overrides) is None


def test_the_answer_to_head_has_no_body() -> None:
    head, body = changed({"404": rule({"body": "none"})}, 404, b"", request=exchange("HEAD"))
    assert (head.headers, body) == ([(b"Content-Type", b"text/plain; charset=utf-8")], b"")
