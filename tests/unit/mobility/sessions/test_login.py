"""How a client asks for a key, with what, and over what; and tokens of the house instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from services.common import logging as logs
from tests.support.fake_auth import FakeAuth
from tests.unit.mobility.conftest import API, PASSWORD, STATION, A, MakeAPI, good, refused

WRITE = {"data": {"k": "v"}}
EMAIL = f"{A}@example.org"


@pytest.fixture
def api(sqlite_api: API) -> Iterator[API]:
    """The shared application, with no session alive."""
    yield sqlite_api
    sqlite_api.clock.move(60)


def post(api: API, **options: Any) -> TestResponse:
    return api.send("POST", "/get_session", **options)


def test_a_key_is_asked_for_in_the_query_in_json_and_in_a_form(api: API) -> None:
    given = {"e": EMAIL, "p": PASSWORD}
    as_text = f'{{"e": "{EMAIL}", "p": "{PASSWORD}"}}'
    asked: list[tuple[str, dict[str, Any]]] = [
        ("GET", {"query_string": given}),
        ("POST", {"json": given}),
        ("POST", {"data": given}),
        ("POST", {"data": as_text, "content_type": "application/x-www-form-urlencoded"}),
        ("POST", {"data": as_text}),
    ]
    for method, options in asked:
        answer = api.send(method, "/get_session", **options)
        good(answer)
        assert list(answer.json or {}) == ["status", "results"]
        assert answer.headers["Cache-Control"] == "no-store"
        api.clock.move(60)


@pytest.mark.parametrize("password", ["a+b & c=d%41#?", "pässwörd ☃ 密码", " spaces ", 'quo"te\\'])
def test_any_password_arrives_as_it_is(api: API, house: FakeAuth, password: str) -> None:
    house.add_person("odd", password, level="EDITOR", domain="d")
    given = {"e": "odd@example.org", "p": password}
    good(api.send("GET", "/get_session", query_string=given))
    for options in ({"json": given}, {"data": given}):
        api.clock.move(60)
        good(post(api, **options))


@pytest.mark.parametrize(
    "given", [{}, {"e": EMAIL}, {"p": PASSWORD}, {"e": "nobody@example.org", "p": PASSWORD}, {"e": EMAIL, "p": "x" * 5000}]
)
def test_what_is_missing_or_wrong_is_all_the_same(api: API, given: dict[str, str]) -> None:
    refused(api.send("GET", "/get_session", query_string=given), 401, "Not Authorized")
    refused(post(api, json=given), 401, "Not Authorized")
    if given:
        refused(post(api, data=given), 401, "Not Authorized")


@pytest.mark.parametrize("given", [{"e": 5, "p": "x"}, {"e": EMAIL, "p": None}, {"e": [EMAIL], "p": {}}])
def test_wrong_types_are_named(api: API, given: dict[str, Any]) -> None:
    refused(post(api, json=given), 422, "'e' and 'p' must be texts: the e-mail and the password")


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff", b'{"e": "a\\u0000", "p": "x"}', b"[" * 10_000])
def test_bodies_that_cannot_be_read_are_refused(api: API, body: bytes) -> None:
    assert post(api, data=body, content_type="application/json").status_code == 422


def test_too_many_failures_are_auth_s_to_judge(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def busy(email: str, password: str, address: str | None) -> object:
        from services.common.identity.refusals import Throttled

        asked.append(address)
        raise Throttled("too many failures, try again in 2 s", "2")

    monkeypatch.setattr(api.parts.owners._identities, "basic", busy)
    answer = api.send("GET", "/get_session", query_string={"e": EMAIL, "p": "x"}, headers={"X-Forwarded-For": "203.0.113.9", **HTTPS})
    refused(answer, 429, "too many failures, try again in 2 s")
    assert (answer.headers["Retry-After"], asked) == ("2", ["203.0.113.9"])


# plain HTTP

HTTPS = {"X-Forwarded-Proto": "https"}
STRANGER = {"X-Forwarded-For": "203.0.113.9"}
NEEDS_HTTPS = "Ask for a session key over HTTPS: a password must not travel in plain HTTP."


@pytest.mark.parametrize(
    ("plain", "headers", "status"),
    [
        ("loopback", {}, 200),
        ("loopback", {"X-Forwarded-For": "::1"}, 200),
        ("loopback", {"X-Forwarded-For": "127.0.0.53"}, 200),
        ("loopback", STRANGER, 403),
        ("loopback", {**STRANGER, "X-Forwarded-Proto": "http"}, 403),
        ("loopback", {**STRANGER, "X-Forwarded-Proto": "https, http"}, 403),
        ("loopback", {**STRANGER, **HTTPS}, 200),
        ("never", {}, 403),
        ("never", HTTPS, 200),
        ("always", STRANGER, 200),
    ],
)
def test_plain_http_is_for_clients_on_this_machine(make_api: MakeAPI, plain: str, headers: dict[str, str], status: int) -> None:
    api = make_api(plain_login=plain)
    for method in ("GET", "POST"):
        options: Any = {"query_string": {"e": EMAIL, "p": PASSWORD}} if method == "GET" else {"json": {"e": EMAIL, "p": PASSWORD}}
        answer = api.send(method, "/get_session", headers=headers, **options)
        assert answer.status_code == status
        if status == 403:
            refused(answer, 403, NEEDS_HTTPS)
        api.clock.move(60)


def test_only_the_gateway_says_that_it_was_https(make_api: MakeAPI) -> None:
    api = make_api()
    direct: Any = {"environ_overrides": {"REMOTE_ADDR": "203.0.113.9"}}
    refused(api.send("GET", "/get_session", headers=HTTPS, query_string={"e": EMAIL, "p": PASSWORD}, **direct), 403, NEEDS_HTTPS)


# what is written down


def test_no_log_holds_the_password_or_the_key(api: API, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("mobility", "DEBUG")
    key = good(api.login(A))["results"][0]
    api.login(A, "wrong password")
    api.put(f"/{STATION}/a.rail", WRITE, None, headers={"X-Auth": key})
    api.send("GET", f"/{key}")
    good(api.send("GET", "/release_session", headers={"X-Auth": key}))
    written = "".join(capsys.readouterr())
    assert written.count('"path": "/get_session"') == 2
    for secret in (PASSWORD, PASSWORD.replace(" ", "+"), "wrong", key, key[-20:]):
        assert secret not in written


# tokens of the house


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, 200),
        ({"permission": "write"}, 200),
        ({"kind": "user"}, 200),
        ({"kind": "user", "client_id": "app", "scope": "openid mobility"}, 200),
        ({"kind": "user", "client_id": "app", "scope": "openid"}, 403),
        ({"permission": "read"}, 403),
        ({"kind": "analysis"}, 403),
    ],
)
def test_a_token_of_the_house_writes_what_its_user_may(api: API, house: FakeAuth, options: dict[str, Any], status: int) -> None:
    bearer = {"Authorization": f"Bearer {house.add('gh_acc_' + 'x' * 49, A, **options)}"}
    api.clock.move(6)  # what auth said of the case before is forgotten
    answer = api.put(f"/{STATION}/a.rail", WRITE, None, headers=bearer)
    assert answer.status_code == status
    if status == 403:
        refused(answer, 403, "This token may not change mobility data.")
    else:
        refused(api.put(f"/{STATION}/b.poi", WRITE, None, headers=bearer), 403, "Not authorized for layer 'b.poi'.")


def test_a_token_that_does_not_count_is_refused(api: API, house: FakeAuth) -> None:
    for token in ("gh_acc_unknown", "rubbish", "a.b.c"):
        answer = api.put(f"/{STATION}/a.rail", WRITE, None, headers={"Authorization": f"Bearer {token}"})
        refused(answer, 401, "invalid token")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    refused(api.put(f"/{STATION}/a.rail", WRITE, None, headers={"Authorization": "Basic eDp5"}), 401, "Not Authorized")
    good_one = house.add("gh_acc_" + "y" * 49, A)
    headers = {"Authorization": f"Bearer {good_one}", "X-Auth": "gh_mob_" + "0" * 64}
    refused(api.put(f"/{STATION}/a.rail", WRITE, None, headers=headers), 401, "Not Authorized")  # the key decides
