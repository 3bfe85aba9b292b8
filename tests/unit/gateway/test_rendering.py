"""The answers to refused requests: Tyk's body, problem documents, templates and overrides."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.compiler import compile_api
from services.gateway.exchange import Exchange, Reply
from services.gateway.refusals import (
    BAD_PATH,
    BODY_INVALID,
    KEY_MISSING,
    KEY_UNKNOWN,
    NOT_FOUND,
    QUOTA_EXCEEDED,
    RATE_LIMITED,
    UPSTREAM_TIMEOUT,
    Refusal,
)
from services.gateway.rendering import fill, render, render_early, template_variables, wants_problem
from tests.unit.gateway.exchanges import definition, exchange, ports

PROBLEM = ("Accept", "application/problem+json")


def answer(refusal: Refusal, request: Exchange | None = None, **fields: Any) -> Reply:
    """What an API with these fields answers."""
    request = request or exchange()
    request.api = compile_api(definition(**fields), ports(), 1)
    return render(refusal, request)


def test_the_body_looks_like_tyks() -> None:
    reply = answer(Refusal(NOT_FOUND, detail=""))
    assert reply.body == b'{\n    "error": "Not Found",\n    "code": "not-found",\n    "request_id": "request-1"\n}\n'
    assert reply.status == 404
    assert reply.headers == [(b"Content-Type", b"application/json"), (b"X-Request-Id", b"request-1"), (b"X-Generator", b"gatehouse")]


def test_headers_of_the_rules_go_along() -> None:
    request = exchange()
    request.limits = b"X-RateLimit-Limit: 1\r\n"
    reply = answer(Refusal(RATE_LIMITED, headers=[(b"Retry-After", b"5")]), request)
    assert reply.headers[3:] == [(b"X-RateLimit-Limit", b"1"), (b"Retry-After", b"5")]


def test_a_detail_of_its_own() -> None:
    assert json.loads(answer(Refusal(BAD_PATH, detail='a "b" <c> &\n')).body)["detail"] == 'a "b" <c> &\n'


def test_a_problem_document() -> None:
    reply = answer(Refusal(RATE_LIMITED, detail="slow down"), exchange(headers=[PROBLEM]), error_template={"a": "b"})
    assert (reply.status, reply.headers[0]) == (429, (b"Content-Type", b"application/problem+json"))
    assert json.loads(reply.body) == {
        "type": "urn:gatehouse:error:rate-limit-exceeded",
        "title": "Rate limit exceeded",
        "status": 429,
        "detail": "slow down",
        "code": "rate-limit-exceeded",
        "request_id": "request-1",
    }
    early = render_early(Refusal(QUOTA_EXCEEDED), "id-1", b"application/problem+json")
    assert "detail" not in json.loads(early.body)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (b"application/problem+json", True),
        (b"text/html, Application/Problem+JSON;q=0.1", True),
        (b"application/problem+json ; charset=utf-8 ; q=1.0", True),
        (b"application/problem+json;q=0", False),
        (b"application/problem+json;q=0.000", False),
        (b"application/json", False),
        (b"*/*", False),
        (b"application/problem+jsonx", False),
        (b"x-application/problem+json", False),
        (b"", False),
        (b",;,;q", False),
    ],
)
def test_who_wants_a_problem_document(accept: bytes, wanted: bool) -> None:
    assert wants_problem(accept) is wanted


def test_templates() -> None:
    template = {
        "fault": {"text": "<{{.Message}}>", "code": "{{.Code}}", "http": "{{ .StatusCode }}", "n": 5},
        "id": ["{{.RequestID}}", None],
    }
    reply = answer(Refusal(QUOTA_EXCEEDED), error_template=template)
    assert json.loads(reply.body) == {
        "fault": {"text": "<Quota exceeded>", "code": "quota-exceeded", "http": 403, "n": 5},
        "id": ["request-1", None],
    }
    assert reply.headers[0] == (b"Content-Type", b"application/json")
    assert json.loads(answer(Refusal(QUOTA_EXCEEDED, detail='a"b'), error_template={"d": "{{.Detail}}!"}).body) == {"d": 'a"b!'}
    assert json.loads(answer(Refusal(QUOTA_EXCEEDED), error_template={"d": "{{.Detail}}"}).body) == {"d": ""}


def test_what_is_filled_in_is_not_read_again() -> None:
    assert fill("{{.A}}{{.B}}", {"A": "{{.B}}", "B": "x"}) == "{{.B}}x"
    assert fill("{{.Unknown}} {{A}} { {.A}}", {"A": "x"}) == " {{A}} { {.A}}"
    assert template_variables({"a": ["{{.X}}-{{ .Y }}", {"{{.Z}}": 5}]}) == {"X", "Y"}


def test_overrides() -> None:
    overrides = {
        "quota-exceeded": {"status": 429, "message": 'Come back "tomorrow"'},
        "key-missing": {"message": ""},
        "not-found": {"status": 410},
    }
    quota = answer(Refusal(QUOTA_EXCEEDED), error_overrides=overrides)
    assert (quota.status, json.loads(quota.body)["error"]) == (429, 'Come back "tomorrow"')
    assert json.loads(quota.body)["code"] == "quota-exceeded"
    assert json.loads(answer(Refusal(KEY_MISSING), error_overrides=overrides).body)["error"] == ""
    gone = answer(Refusal(NOT_FOUND), error_overrides=overrides)
    assert (gone.status, json.loads(gone.body)["error"]) == (410, "Not Found")
    other = answer(Refusal(RATE_LIMITED), error_overrides=overrides)
    assert (other.status, json.loads(other.body)["error"]) == (429, "Rate limit exceeded")
    both = answer(Refusal(QUOTA_EXCEEDED), error_overrides=overrides, error_template={"m": "{{.Message}}", "s": "{{.StatusCode}}"})
    assert json.loads(both.body) == {"m": 'Come back "tomorrow"', "s": 429}
    problem = answer(Refusal(QUOTA_EXCEEDED), exchange(headers=[PROBLEM]), error_overrides=overrides)
    assert (problem.status, json.loads(problem.body)["status"]) == (429, 429)


def _rules(status: str, response: dict[str, Any], **match: Any) -> dict[str, Any]:
    return {"error_overrides": {status: [{"match": match, "response": response}]}}


def test_overrides_by_status() -> None:
    body = '{"title": "{{.Message}}", "status": {{.StatusCode}}, "code": "{{.Code}}"}'
    headers = {"WWW-Authenticate": "Bearer", "X-Request-Id-2": "", "X-Generator": ""}
    given = _rules("401", {"status_code": 403, "body": body, "headers": headers})
    reply = answer(Refusal(KEY_MISSING, headers=[(b"www-authenticate", b"Basic")]), exchange(headers=[PROBLEM]), **given)
    assert (reply.status, json.loads(reply.body)) == (403, {"title": "Authorization field missing", "status": 403, "code": "key-missing"})
    assert reply.headers[0] == (b"Content-Type", b"application/json")
    assert [header for header in reply.headers if header[0].lower() == b"www-authenticate"] == [(b"WWW-Authenticate", b"Bearer")]
    assert (b"X-Generator", b"gatehouse") in reply.headers
    assert answer(Refusal(NOT_FOUND), **given).status == 404


def test_an_override_of_the_message_keeps_the_shape() -> None:
    given = _rules("4xx", {"code": 400, "message": "No"})
    reply = answer(Refusal(KEY_MISSING), error_template={"m": "{{.Message}}", "s": "{{.StatusCode}}"}, **given)
    assert (reply.status, json.loads(reply.body)) == (400, {"m": "No", "s": 400})
    assert json.loads(answer(Refusal(KEY_MISSING), exchange(headers=[PROBLEM]), **given).body)["title"] == "No"


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({}, True),
        ({"flag": "AMF"}, True),
        ({"flag": "AKI", "message_pattern": "never"}, False),
        ({"flag": "AKI", "message_pattern": "field missing"}, True),
        ({"message_pattern": "^Authorization"}, True),
        ({"message_pattern": "^authorization"}, False),
        ({"body_field": "a", "body_value": "b"}, False),
    ],
)
def test_which_refusals_a_rule_means(match: dict[str, Any], matches: bool) -> None:
    assert (answer(Refusal(KEY_MISSING), **_rules("401", {"status_code": 418}, **match)).status == 418) is matches


def test_which_rule_comes_first() -> None:
    rules = {"4xx": [{"response": {"status_code": 418}}], "401": [{"response": {"status_code": 419}}], "key-unknown": {"status": 420}}
    assert answer(Refusal(KEY_MISSING), error_overrides=rules).status == 419
    assert answer(Refusal(KEY_UNKNOWN), error_overrides=rules).status == 420
    assert answer(Refusal(NOT_FOUND), error_overrides=rules).status == 418
    upstreams = {"5xx": [{"match": {"flag": "URS"}, "response": {"status_code": 599}}]}
    assert answer(Refusal(UPSTREAM_TIMEOUT), error_overrides=upstreams).status == 504


def test_the_status_that_a_definition_chose_counts() -> None:
    given = _rules("400", {"message": "Not like this: {{", "body": "{{.Message}} {{.InvalidParams}}"}, flag="BIV")
    reply = answer(Refusal(BODY_INVALID, status=400, detail="age"), **given)
    assert (reply.body, reply.headers[0][1]) == (b"Not like this: {{ age", b"text/plain; charset=utf-8")


def test_without_an_api() -> None:
    assert render(Refusal(NOT_FOUND), exchange()).body == render_early(Refusal(NOT_FOUND), "request-1").body


@given(st.text(), st.text(max_size=30), st.binary(max_size=40), st.text())
def test_no_request_breaks_the_answer(detail: str, request_id: str, accept: bytes, message: str) -> None:
    for sent in (accept, b"application/problem+json;" + accept):
        request = exchange()
        request.request_id = request_id
        request.fields[b"accept"] = sent
        for fields in (
            {},
            {"error_template": {"d": "{{.Detail}}", "m": "{{.Message}}"}},
            {"error_overrides": {"not-found": {"message": message}}},
        ):
            body = json.loads(answer(Refusal(NOT_FOUND, detail=detail), request, **fields).body)
            assert body
