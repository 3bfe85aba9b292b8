"""Where a key is looked for, what is made of it, and what of it the upstream sees."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import lint
from services.gateway.definitions.model import Places, Way
from services.gateway.keys.model import secret_hash
from services.gateway.middleware import auth_key
from services.gateway.middleware.auth_key import Spec
from services.gateway.refusals import KEY_MISSING, KEY_UNKNOWN
from tests.unit.gateway.exchanges import KnownKeys, ask, built, definition, exchange, make_key, mistakes, ports, refusal, spec

KEY = make_key()
SECRETS = {"s3cret": KEY, "in query": make_key("query"), "cookie": make_key("cookie"), "grün": make_key("green")}


def asking(keys: KnownKeys | None = None, **auth: Any) -> Any:
    return built(auth_key, ports(keys or KnownKeys(SECRETS)), auth={"auth_header_name": "X-Key", **auth})


def test_a_keyless_api_asks_for_no_key() -> None:
    assert built(auth_key, ports(), use_keyless=True) is None


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("sent", ["s3cret", "Bearer s3cret", "bearer  s3cret", "BEARER s3cret "])
def test_a_key_in_the_header(sent: str, later: bool) -> None:
    request = exchange(headers=[("x-KEY", sent)])
    assert ask(asking(KnownKeys(SECRETS, later=later)), request) is None
    assert (request.key, request.presented_key) == (KEY, "s3cret")
    assert request.drop_headers is None


@pytest.mark.parametrize("later", [False, True])
def test_an_unknown_key(later: bool) -> None:
    request = exchange(headers=[("X-Key", "other")])
    told = refusal(asking(KnownKeys(SECRETS, later=later)), request, KEY_UNKNOWN)
    assert request.key is None
    assert request.presented_key == "other"
    assert "other" not in str(told)
    assert "other" not in (told.detail or "")


@pytest.mark.parametrize("headers", [[], [("X-Key", "")], [("X-Key", "Bearer  ")], [("X-Other", "s3cret")], [("Authorization", "s3cret")]])
def test_no_key(headers: list[tuple[str, str]]) -> None:
    keys = KnownKeys(SECRETS)
    told = refusal(asking(keys), exchange(target="/api/?X-Key=s3cret", headers=[*headers, ("Cookie", "X-Key=s3cret")]), KEY_MISSING)
    assert keys.asked == []
    assert told.headers == ()
    assert told.detail == "Send a key in the header `X-Key`."


def test_a_missing_key_is_told_every_way_in() -> None:
    everywhere = asking(use_param=True, param_name="p", use_cookie=True)
    assert refusal(everywhere, exchange(), KEY_MISSING).detail == (
        "Send a key in the header `X-Key` or the query parameter `p` or the cookie `X-Key`."
    )
    assert refusal(asking(disable_header=True, use_cookie=True, cookie_name="c"), exchange(), KEY_MISSING).detail == (
        "Send a key in the cookie `c`."
    )


def test_a_missing_key_names_the_way_in_only_for_the_standard_header() -> None:
    rule = built(auth_key, ports(), name='The "best"\\ \r\nÄpi')
    told = refusal(rule, exchange(), KEY_MISSING)
    assert told.headers == ((b"WWW-Authenticate", b"Bearer realm=\"The 'best' pi\""),)


def test_what_is_too_long_to_be_a_key_is_not_hashed() -> None:
    keys = KnownKeys({"k" * 1025: KEY, "k" * 1024: KEY})
    assert ask(asking(keys), exchange(headers=[("X-Key", "k" * 1024)])) is None
    refusal(asking(keys), exchange(headers=[("X-Key", "k" * 1025)]), KEY_UNKNOWN)
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
    ask(asking(**auth), request)
    assert request.presented_key == expected
    assert request.key is SECRETS[expected]


def test_a_key_without_any_header() -> None:
    rule = asking(auth_header_name="", use_param=True, param_name="key")
    request = exchange(target="/api/?key=s3cret", headers=[("X-Key", "other")])
    ask(rule, request)
    assert request.key is KEY
    refusal(rule, exchange(headers=[("X-Key", "s3cret")]), KEY_MISSING)


def test_the_upstream_sees_the_key_unless_it_is_stripped() -> None:
    request = exchange(target="/api/?X-Key=s3cret", headers=[("Cookie", "X-Key=s3cret")])
    ask(asking(use_param=True, use_cookie=True), request)
    assert (request.drop_headers, request.set_headers, request.upstream_query) == (None, None, None)


@pytest.mark.parametrize("later", [False, True])
def test_stripping_takes_the_key_out_of_every_place(later: bool) -> None:
    rule = asking(KnownKeys(SECRETS, later=later), use_param=True, use_cookie=True, strip_auth_data=True)
    headers = [("X-Key", "other"), ("Cookie", "a=1; X-Key=s3cret"), ("cookie", "X-Key=again;  b=2")]
    request = exchange(target="/api/?a=%20&X-Key=x&b&X%2DKey=y", headers=headers)
    ask(rule, request)
    assert request.drop_headers == {b"x-key", b"cookie"}
    assert request.set_headers == [(b"Cookie", b"a=1; b=2")]
    assert request.upstream_query == "a=%20&b"


def test_a_cookie_header_that_held_nothing_but_the_key_goes() -> None:
    request = exchange(headers=[("Cookie", "X-Key=s3cret")])
    ask(asking(use_cookie=True, strip_auth_data=True), request)
    assert request.drop_headers == {b"x-key", b"cookie"}
    assert request.set_headers is None


def test_stripping_leaves_alone_what_is_no_place_for_keys() -> None:
    request = exchange(target="/api/?X-Key=a&=b", headers=[("X-Key", "s3cret"), ("Cookie", "X-Key=c")])
    ask(asking(strip_auth_data=True), request)
    assert (request.drop_headers, request.set_headers, request.upstream_query) == ({b"x-key"}, None, None)


def test_a_way_of_authentication_that_is_not_served_is_a_mistake() -> None:
    """Served with keys alone it would be open to the wrong clients. A keyless API is open anyway, as in Tyk."""
    assert mistakes(auth_key, use_go_plugin_auth=True) == ["/use_go_plugin_auth"]
    assert mistakes(auth_key, use_go_plugin_auth=False) == []
    assert mistakes(auth_key, use_go_plugin_auth=True, use_keyless=True) == []


@pytest.mark.parametrize(
    ("auth", "place"),
    [
        ({"auth_header_name": "ü"}, "/auth/auth_header_name"),
        ({"disable_header": True}, "/auth/disable_header"),
        ({"disable_header": True, "param_name": "p"}, "/auth/disable_header"),
    ],
)
def test_a_key_that_could_never_be_found(auth: dict[str, Any], place: str) -> None:
    assert mistakes(auth_key, auth=auth) == [place]


def places(**more: Any) -> Places:
    found: Places = spec(auth_key, **more).way.places
    return found


def test_where_keys_are_looked_for() -> None:
    auth = {
        "auth_header_name": "X-Key",
        "use_param": True,
        "param_name": "p",
        "use_cookie": True,
        "cookie_name": "c",
        "strip_auth_data": True,
    }
    assert spec(auth_key, auth=auth) == Spec("Api", Way(Places("X-Key", True, "p", True, "c", True)))
    assert places(auth={"use_param": True, "param_name": "k"}).param_name == "k"
    for auth in ({}, None, {"auth_header_name": ""}, {"auth_header_name": None, "use_param": True}):
        assert places(auth=auth).header == "Authorization"
    elsewhere = places(auth={"disable_header": True, "use_param": True, "use_cookie": True, "cookie_name": "c"})
    assert (elsewhere.header, elsewhere.param_name, elsewhere.cookie_name) == ("", "Authorization", "c")


def test_the_later_place_of_auth_outranks_the_former() -> None:
    later = {"authToken": {"auth_header_name": "X-Later", "use_cookie": True}, "jwt": {"auth_header_name": "other"}}
    for auth in ({}, {"auth_header_name": "X-Former", "param_name": "p"}):
        found = places(auth=auth, auth_configs=later)
        assert (found.header, found.use_cookie, found.param_name) == ("X-Later", True, "")
        assert lint(definition(auth=auth, auth_configs=later)) == []
    assert places(auth={"strip_auth_data": True}, auth_configs=later).strip
    for nothing in (None, {}, {"authToken": {}}, {"authToken": {"auth_header_name": ""}}):
        assert places(auth={"auth_header_name": "X-Former"}, auth_configs=nothing).header == "X-Former"
    assert mistakes(auth_key, auth_configs={"authToken": 5}) == ["/auth_configs/authToken"]
    assert "/auth_configs/authToken/auth_header_name" in mistakes(auth_key, auth_configs={"authToken": {"auth_header_name": "a b"}})


def test_keys_are_stripped_wherever_the_definition_says_so() -> None:
    """Tyk's place is the definition itself: unseen there, keys would go on to the upstream."""
    assert places(strip_auth_data=True).strip
    assert lint(definition(strip_auth_data=True)) == []
    assert places(auth={"auth_header_name": "a", "strip_auth_data": True}).strip
    assert not places(strip_auth_data=False).strip
    assert mistakes(auth_key, strip_auth_data="yes") == ["/strip_auth_data"]
