"""CORS: what preflights are answered, what other answers say, and which definitions are mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import compile_api, lint, parse
from services.gateway.exchange import Exchange, Reply, ResponseHead
from services.gateway.middleware import cors
from services.gateway.refusals import KEY_MISSING, Refusal
from services.gateway.rendering import render
from tests.support.log_lines import captured
from tests.unit.gateway.exchanges import ask, built, definition, document, exchange, mistakes, ports, spec

PAGE, OTHER = "https://app.example", "https://evil.example"
VARY = {"Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}


def rule(**more: Any) -> Any:
    return built(cors, ports(), CORS={"enable": True, "allowed_origins": [PAGE], **more})


def preflight(origin: str | None = PAGE, method: str = "GET", headers: str = "", **more: Any) -> Exchange:
    fields = [("Access-Control-Request-Method", method)]
    fields += [] if origin is None else [("Origin", origin)]
    fields += [("Access-Control-Request-Headers", headers)] if headers else []
    return exchange("OPTIONS", headers=fields, **more)


def asked(checked: Any, request: Exchange) -> dict[str, str]:
    """The header fields of the answer to a preflight."""
    reply = ask(checked, request)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (200, b"")
    return {name.decode(): value.decode() for name, value in reply.headers}


def said(checked: Any, origin: str | None = PAGE, method: str = "GET") -> dict[str, str]:
    """What the answer to a request says."""
    request = exchange(method, headers=[] if origin is None else [("Origin", origin)])
    assert ask(checked, request) is None
    return {name.decode(): value.decode() for name, value in request.answer_headers}


@pytest.mark.parametrize("own", [{}, {"enable": False}, {"enable": False, "allowed_origins": ["https://*x"], "exposed_headers": ["a b"]}])
def test_it_is_not_in_the_chain_unless_it_is_switched_on(own: dict[str, Any]) -> None:
    assert spec(cors, CORS=own) is None


@pytest.mark.parametrize(
    ("own", "place"),
    [
        ({"allowed_origins": ["https://a", "https://*a.example"]}, "/CORS/allowed_origins/1"),
        ({"allowed_origins": [1]}, "/CORS/allowed_origins/0"),
        ({"allowed_methods": ["GET", "A B"]}, "/CORS/allowed_methods/1"),
        ({"allowed_headers": ["a:"]}, "/CORS/allowed_headers/0"),
        ({"exposed_headers": ["a\r\nb"]}, "/CORS/exposed_headers/0"),
        ({"max_age": "1"}, "/CORS/max_age"),
        ({"max_age": 0.5}, "/CORS/max_age"),
        ({"allow_credentials": 1}, "/CORS/allow_credentials"),
    ],
)
def test_mistakes(own: dict[str, Any], place: str) -> None:
    assert mistakes(cors, CORS={"enable": True, **own}) == [place]


@pytest.mark.parametrize(
    ("own", "place"),
    [
        ({"allow_credentials": True}, "/CORS/allowed_origins"),
        ({"allow_credentials": True, "allowed_origins": ["*"]}, "/CORS/allowed_origins"),
        ({"allow_credentials": True, "allowed_origins": ["https://*"]}, "/CORS/allowed_origins"),
        ({"allowed_methods": ["*"]}, "/CORS/allowed_methods"),
        ({"allowed_origins": ["app.example"]}, "/CORS/allowed_origins/0"),
        ({"allowed_origins": [PAGE, "null"]}, "/CORS/allowed_origins/1"),
        ({"allowed_headers": ["Accept"]}, "/CORS/allowed_headers"),
        ({"allowed_headers": []}, "/CORS/allowed_headers"),
    ],
)
def test_warnings(own: dict[str, Any], place: str) -> None:
    found = parse(document(CORS={"enable": True, "allowed_headers": ["*"], **own}))
    assert [one.pointer for one in lint(found)] == [place]


def test_a_warning_of_preflights_that_name_no_version() -> None:
    versions = {"definition": {"location": "header", "key": "v"}, "version_data": {"versions": {"v1": {"name": "v1"}}}}
    for passthrough in (False, True):
        own = {"enable": True, "allowed_headers": ["*"], "options_passthrough": passthrough}
        found = lint(parse(document(CORS=own, **versions)))
        assert [one.pointer for one in found] == ["/CORS/options_passthrough"] * passthrough


def test_no_warnings() -> None:
    own = {"enable": True, "allowed_origins": [PAGE], "allowed_headers": ["Authorization"], "allow_credentials": True, "debug": False}
    assert lint(parse(document(CORS=own))) == []
    assert lint(parse(document(CORS={"enable": True}, use_keyless=True))) == []


def test_a_preflight_that_is_allowed() -> None:
    checked = rule(allowed_methods=["get", "DELETE"], allowed_headers=["X-Key", "accept"], max_age=60)
    assert asked(checked, preflight(PAGE, "DELETE", "x-key, Accept,origin")) == {
        **VARY,
        "Access-Control-Allow-Origin": PAGE,
        "Access-Control-Allow-Methods": "DELETE",
        "Access-Control-Allow-Headers": "x-key, Accept, origin",
        "Access-Control-Max-Age": "60",
    }
    assert asked(checked, preflight()) == {
        **VARY,
        "Access-Control-Allow-Origin": PAGE,
        "Access-Control-Allow-Methods": "GET",
        "Access-Control-Max-Age": "60",
    }


@pytest.mark.parametrize(
    "request_",
    [preflight(OTHER), preflight(None), preflight(method="DELETE"), preflight(method="get"), preflight(headers="accept,x-key"),
     preflight(headers="a\xff"), preflight(PAGE + "x" * 1000)],
)  # fmt: skip
def test_a_preflight_that_is_not_allowed_says_nothing(request_: Exchange) -> None:
    assert asked(rule(allow_credentials=True, max_age=60, exposed_headers=["a"]), request_) == VARY


def test_what_is_allowed_without_lists() -> None:
    checked = rule(allowed_origins=[])
    for method in ("GET", "POST", "HEAD"):
        assert asked(checked, preflight(OTHER, method, "accept,content-type,origin,x-requested-with"))["Access-Control-Allow-Origin"] == "*"
    assert asked(checked, preflight(OTHER, "PUT")) == VARY
    assert asked(checked, preflight(OTHER, headers="authorization")) == VARY


def test_every_header_and_negative_age() -> None:
    found = asked(rule(allowed_headers=["*"], max_age=-1), preflight(headers="x-a"))
    assert (found["Access-Control-Allow-Headers"], found["Access-Control-Max-Age"]) == ("x-a", "0")


@pytest.mark.parametrize("origins", [[], ["*"], [PAGE, "*"]])
def test_credentials_of_every_origin(origins: list[str]) -> None:
    """Browsers take no `*` then."""
    checked = rule(allowed_origins=origins, allow_credentials=True)
    for found in (said(checked, OTHER), asked(checked, preflight(OTHER))):
        assert (found["Access-Control-Allow-Origin"], found["Access-Control-Allow-Credentials"]) == (OTHER, "true")
    assert said(rule(allowed_origins=origins), OTHER)["Access-Control-Allow-Origin"] == "*"


def test_an_ordinary_answer() -> None:
    checked = rule(exposed_headers=["X-A", "X-B"], allow_credentials=True, max_age=60)
    allowed = {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": PAGE,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "X-A, X-B",
    }
    assert said(checked) == said(checked) == said(checked, method="OPTIONS") == allowed
    for found in (said(checked, OTHER), said(checked, None), said(checked, method="DELETE"), said(checked, PAGE + "x" * 1000)):
        assert found == {"Vary": "Origin"}


def test_an_origin_is_compared_without_case_and_given_back_as_it_came() -> None:
    assert said(rule(), "HTTPS://app.Example")["Access-Control-Allow-Origin"] == "HTTPS://app.Example"


def test_what_is_remembered_is_bounded() -> None:
    checked = rule(allowed_origins=["*"])
    for n in range(5000):
        said(checked, f"https://a{n}.example")
    assert len(checked._known) <= 512


def test_refusals_say_the_same() -> None:
    request = exchange(headers=[("Origin", PAGE)])
    ask(rule(), request)
    assert (b"Access-Control-Allow-Origin", PAGE.encode()) in render(Refusal(KEY_MISSING), request).headers


def test_replies_of_the_definition_say_it_once() -> None:
    request = exchange(headers=[("Origin", PAGE)])
    ask(rule(), request)
    reply = Reply(200, [(b"access-control-allow-origin", b"*"), (b"Vary", b"Accept"), (b"A", b"b")])
    request.complete(reply)
    assert reply.headers == [
        (b"Vary", b"Accept"), (b"A", b"b"), (b"Vary", b"Origin"), (b"Access-Control-Allow-Origin", PAGE.encode()),
        (b"X-Request-Id", b"request-1"),
    ]  # fmt: skip


def upstream_says(checked: Any, request: Exchange) -> list[bytes]:
    ask(checked, request)
    own = [b"Access-Control-Allow-Origin", b"access-control-allow-credentials", b"Vary", b"Content-Type"]
    head = ResponseHead(200, b"OK", [(name, b"*") for name in own])
    checked.on_response(request, head)
    return [name for name, _ in head.headers]


def test_the_upstream_does_not_decide() -> None:
    for origin in (PAGE, OTHER):
        assert upstream_says(rule(), exchange(headers=[("Origin", origin)])) == [b"Vary", b"Content-Type"]
    assert upstream_says(rule(options_passthrough=True), exchange(headers=[("Origin", OTHER)])) == [b"Vary", b"Content-Type"]


def test_preflights_for_the_upstream() -> None:
    checked = rule(options_passthrough=True)
    request = preflight()
    assert upstream_says(checked, request) == [b"Vary", b"Content-Type"]
    assert request.ignored and (b"Access-Control-Allow-Origin", PAGE.encode()) in request.answer_headers
    request = preflight(OTHER)
    assert len(upstream_says(checked, request)) == 4
    assert request.ignored and [name for name, _ in request.answer_headers] == [b"Vary"]
    for other in (exchange("OPTIONS"), exchange("OPTIONS", headers=[("Origin", PAGE)])):
        assert ask(checked, other) is None
        assert not other.ignored
    assert asked(checked, preflight(body_length=1))["Access-Control-Allow-Origin"] == PAGE


def test_debug_says_why() -> None:
    for own, count in (({"debug": True}, 1), ({}, 0)):
        with captured() as lines:
            asked(rule(**own), preflight(OTHER))
        assert [line["event"] for line in lines] == ["preflight not allowed"] * count


def test_it_comes_before_versions_and_for_envelopes() -> None:
    versions = {"definition": {"location": "header", "key": "v"}, "version_data": {"versions": {"v1": {"name": "v1"}}}}
    api = compile_api(
        definition(CORS={"enable": True, "allowed_origins": [PAGE]}, enable_batch_request_support=True, **versions), ports(), 1
    )
    for stages in (api.open_stages, api.envelope_stages):
        answers = (stage(preflight()) for stage in stages)
        assert isinstance(next(answer for answer in answers if answer is not None), Reply)
