"""Every way to say no: the table, the answers, and their document."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.compiler import compile_api
from services.gateway.definitions.event_schema import EVENTS
from services.gateway.exchange import Exchange, Reply
from services.gateway.refusals import (
    BAD_PATH,
    KEY_MISSING,
    NOT_FOUND,
    QUOTA_EXCEEDED,
    RATE_LIMITED,
    REGISTRY,
    Refusal,
    RefusalKind,
    counted,
    document,
    fill,
    render,
    render_early,
    template_variables,
    wants_problem,
)
from tests.unit.gateway.exchanges import definition, exchange, ports

PROBLEM = ("Accept", "application/problem+json")

# Tyk 3.1, word for word: clients compare them.
TYK = {
    "not-found": (404, "Not Found", None),
    "ip-refused": (403, "access from this IP has been disallowed", "AuthFailure"),
    "organisation-inactive": (403, "This organisation access has been disabled, please contact your API administrator.", None),
    "organisation-quota-exceeded": (
        403, "This organisation quota has been exceeded, please contact your API administrator", "OrgQuotaExceeded",
    ),
    "version-missing": (403, "Version information not found", "VersionFailure"),
    "version-unknown": (403, "This API version does not seem to exist", "VersionFailure"),
    "version-expired": (403, "Api Version has expired, please check documentation or contact administrator", "VersionFailure"),
    "endpoint-forbidden": (403, "Requested endpoint is forbidden", "VersionFailure"),
    "key-missing": (401, "Authorization field missing", None),
    "key-unknown": (403, "Access to this API has been disallowed", "AuthFailure"),
    "basic-missing": (401, "Authorization field missing", None),
    "basic-malformed": (400, "Attempted access with malformed header, header not in basic auth format", None),
    "basic-not-encoded": (400, "Attempted access with malformed header, auth data not encoded correctly", None),
    "basic-no-colon": (400, "Attempted access with malformed header, values not in basic auth format", None),
    "basic-refused": (401, "User not authorised", "AuthFailure"),
    "hmac-malformed": (400, "Authorization field missing, malformed or invalid", None),
    "hmac-refused": (400, "Authorization field missing, malformed or invalid", "AuthFailure"),
    "hmac-date-out-of-range": (400, "Date is out of allowed range.", None),
    "bearer-missing": (400, "Authorization field missing", None),
    "bearer-malformed": (400, "Bearer token malformed", None),
    "token-unknown": (403, "Key not authorised", "AuthFailure"),
    "key-inactive": (403, "Key is inactive, please renew", "KeyExpired"),
    "key-expired": (401, "Key has expired, please renew", "KeyExpired"),
    "access-denied": (403, "Access to this API has been disallowed", None),
    "rate-limit-exceeded": (429, "Rate limit exceeded", "RatelimitExceeded"),
    "quota-exceeded": (403, "Quota exceeded", "QuotaExceeded"),
    "batch-malformed": (400, "Batch request malformed", None),
    "batch-entry-malformed": (400, "Batch request creation failed , request structure malformed", None),
    "upstream-unreachable": (502, "There was a problem proxying the request", None),
    "upstream-timeout": (504, "There was a problem proxying the request", None),
    "upstream-broken": (502, "There was a problem proxying the request", None),
}  # fmt: skip

# What is refused as an attack ends the connection: nothing that follows on it can be believed.
ATTACKS = {
    "malformed-request": 400, "bad-path": 400, "ambiguous-length": 400, "bad-host": 400, "bad-header": 400, "head-too-large": 431,
    "target-too-long": 414, "body-too-large": 413,
}  # fmt: skip


def answer(refusal: Refusal, request: Exchange | None = None, **fields: Any) -> Reply:
    """What an API with these fields answers."""
    request = request or exchange()
    request.api = compile_api(definition(**fields), ports(), 1)
    return render(refusal, request)


@pytest.mark.parametrize("code", TYK)
def test_the_words_of_tyk(code: str) -> None:
    kind = REGISTRY[code]
    assert (kind.status, kind.message, kind.event) == TYK[code]


@pytest.mark.parametrize("code", ATTACKS)
def test_attacks_end_the_connection(code: str) -> None:
    assert (REGISTRY[code].status, REGISTRY[code].closes) == (ATTACKS[code], True)


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=REGISTRY)
def test_every_row_of_the_table(kind: RefusalKind) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
    assert 400 <= kind.status <= 599
    assert kind.message
    assert kind.event is None or kind.event in EVENTS
    assert bool(kind.event) is bool(kind.event_message)
    body = json.loads(render_early(Refusal(kind), "id-1").body)
    detail = {} if kind.detail is None else {"detail": kind.detail}
    assert body == {"error": kind.message, "code": kind.code, **detail, "request_id": "id-1"}


def test_the_document_lists_every_code_once() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \|", document(), re.M) == list(REGISTRY)


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
    assert Refusal(BAD_PATH).detail == BAD_PATH.detail
    assert Refusal(BAD_PATH, detail="here").detail == "here"
    assert json.loads(answer(Refusal(BAD_PATH, detail='a "b" <c> &\n')).body)["detail"] == 'a "b" <c> &\n'


def test_the_reason_of_the_event() -> None:
    assert Refusal(BAD_PATH).reason == BAD_PATH.message
    assert Refusal(BAD_PATH, reason="because").reason == "because"


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


def test_numbers_and_their_units() -> None:
    assert [counted(number, "second") for number in (1, 2, 0.5, 1.0, 0)] == [
        "1 second",
        "2 seconds",
        "0.5 seconds",
        "1 second",
        "0 seconds",
    ]
