"""Where a key is looked for, what is made of it, and what of it the upstream sees."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.keys.model import secret_hash
from services.gateway.middleware.auth_key import AuthKey
from services.gateway.refusals import KEY_MISSING, KEY_UNKNOWN
from tests.unit.gateway.exchanges import KnownKeys, ask, definition, exchange, make_key, ports, refusal

KEY = make_key()
SECRETS = {"s3cret": KEY, "in query": make_key("query"), "cookie": make_key("cookie"), "grün": make_key("green")}


def auth_key(keys: KnownKeys | None = None, **auth: Any) -> Any:
    return AuthKey.from_definition(definition(auth={"auth_header_name": "X-Key", **auth}), ports(keys or KnownKeys(SECRETS)))


def test_a_keyless_api_asks_for_no_key() -> None:
    assert AuthKey.from_definition(definition(use_keyless=True), ports()) is None


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("sent", ["s3cret", "Bearer s3cret", "bearer  s3cret", "BEARER s3cret "])
def test_a_key_in_the_header(sent: str, later: bool) -> None:
    request = exchange(headers=[("x-KEY", sent)])
    assert ask(auth_key(KnownKeys(SECRETS, later=later)), request) is None
    assert (request.key, request.presented_key) == (KEY, "s3cret")
    assert request.drop_headers is None


@pytest.mark.parametrize("later", [False, True])
def test_an_unknown_key(later: bool) -> None:
    request = exchange(headers=[("X-Key", "other")])
    told = refusal(auth_key(KnownKeys(SECRETS, later=later)), request, KEY_UNKNOWN)
    assert request.key is None
    assert request.presented_key == "other"
    assert "other" not in str(told)
    assert "other" not in (told.detail or "")


@pytest.mark.parametrize("headers", [[], [("X-Key", "")], [("X-Key", "Bearer  ")], [("X-Other", "s3cret")], [("Authorization", "s3cret")]])
def test_no_key(headers: list[tuple[str, str]]) -> None:
    keys = KnownKeys(SECRETS)
    told = refusal(auth_key(keys), exchange(target="/api/?X-Key=s3cret", headers=[*headers, ("Cookie", "X-Key=s3cret")]), KEY_MISSING)
    assert keys.asked == []
    assert told.headers == ()
    assert told.detail == "Send a key in the header `X-Key`."


def test_a_missing_key_is_told_every_way_in() -> None:
    everywhere = auth_key(use_param=True, param_name="p", use_cookie=True)
    assert refusal(everywhere, exchange(), KEY_MISSING).detail == (
        "Send a key in the header `X-Key` or the query parameter `p` or the cookie `X-Key`."
    )
    assert refusal(auth_key(disable_header=True, use_cookie=True, cookie_name="c"), exchange(), KEY_MISSING).detail == (
        "Send a key in the cookie `c`."
    )


def test_a_missing_key_names_the_way_in_only_for_the_standard_header() -> None:
    rule = AuthKey.from_definition(definition(name='The "best"\\ \r\nÄpi'), ports())
    told = refusal(rule, exchange(), KEY_MISSING)
    assert told.headers == ((b"WWW-Authenticate", b"Bearer realm=\"The 'best' pi\""),)


def test_what_is_too_long_to_be_a_key_is_not_hashed() -> None:
    keys = KnownKeys({"k" * 1025: KEY, "k" * 1024: KEY})
    assert ask(auth_key(keys), exchange(headers=[("X-Key", "k" * 1024)])) is None
    refusal(auth_key(keys), exchange(headers=[("X-Key", "k" * 1025)]), KEY_UNKNOWN)
    assert keys.asked == [secret_hash("k" * 1024)]


@pytest.mark.parametrize(
    ("auth", "target", "cookie", "expected"),
    [
        ({"use_param": True}, "/api/?a=1&X-Key=in+query", "", "in query"),
        ({"use_param": True}, "/api/?X-Key=in%20query&X-Key=other", "", "in query"),
        ({"use_param": True, "param_name": "k"}, "/api/?k=gr%C3%BCn&X-Key=other", "", "grün"),
        ({"use_param": True}, "/api/?x-key=in+query", "", "s3cret"),
        ({"use_param": True}, "/api/?X-Key=", "", "s3cret"),
        ({"use_param": True, "use_cookie": True}, "/api/?X-Key=in+query", "a=b; X-Key=cookie", "cookie"),
        ({"use_cookie": True, "cookie_name": "k"}, "/api/", 'k="cookie"', "cookie"),
        ({"use_cookie": True, "cookie_name": "k"}, "/api/", "ak=cookie; K=cookie; k", "s3cret"),
        ({}, "/api/?X-Key=in+query", "X-Key=cookie", "s3cret"),
    ],
)
def test_query_and_cookie(auth: dict[str, Any], target: str, cookie: str, expected: str) -> None:
    """As in Tyk 3.1 the query outranks the header and a cookie outranks both."""
    request = exchange(target=target, headers=[("X-Key", "s3cret"), ("Cookie", cookie)])
    ask(auth_key(**auth), request)
    assert request.presented_key == expected
    assert request.key is SECRETS[expected]


def test_a_key_without_any_header() -> None:
    rule = auth_key(auth_header_name="", use_param=True, param_name="key")
    request = exchange(target="/api/?key=s3cret", headers=[("X-Key", "other")])
    ask(rule, request)
    assert request.key is KEY
    refusal(rule, exchange(headers=[("X-Key", "s3cret")]), KEY_MISSING)


def test_the_upstream_sees_the_key_unless_it_is_stripped() -> None:
    request = exchange(target="/api/?X-Key=s3cret", headers=[("Cookie", "X-Key=s3cret")])
    ask(auth_key(use_param=True, use_cookie=True), request)
    assert (request.drop_headers, request.set_headers, request.upstream_query) == (None, None, None)


@pytest.mark.parametrize("later", [False, True])
def test_stripping_takes_the_key_out_of_every_place(later: bool) -> None:
    rule = auth_key(KnownKeys(SECRETS, later=later), use_param=True, use_cookie=True, strip_auth_data=True)
    headers = [("X-Key", "other"), ("Cookie", "a=1; X-Key=s3cret"), ("cookie", "X-Key=again;  b=2")]
    request = exchange(target="/api/?a=%20&X-Key=x&b&X%2DKey=y", headers=headers)
    ask(rule, request)
    assert request.drop_headers == {b"x-key", b"cookie"}
    assert request.set_headers == [(b"Cookie", b"a=1; b=2")]
    assert request.upstream_query == "a=%20&b"


def test_a_cookie_header_that_held_nothing_but_the_key_goes() -> None:
    request = exchange(headers=[("Cookie", "X-Key=s3cret")])
    ask(auth_key(use_cookie=True, strip_auth_data=True), request)
    assert request.drop_headers == {b"x-key", b"cookie"}
    assert request.set_headers is None


def test_stripping_leaves_alone_what_is_no_place_for_keys() -> None:
    request = exchange(target="/api/?X-Key=a&=b", headers=[("X-Key", "s3cret"), ("Cookie", "X-Key=c")])
    ask(auth_key(strip_auth_data=True), request)
    assert (request.drop_headers, request.set_headers, request.upstream_query) == ({b"x-key"}, None, None)
