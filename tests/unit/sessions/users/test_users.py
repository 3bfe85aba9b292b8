"""Users are asked of auth in the caller's own name; what auth refuses is refused in its words."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from services.sessions.users import rules
from services.sessions.users.service import Accounts
from tests.unit.sessions.conftest import API, PASSWORD, PEOPLE, MakeAPI, refused, value
from tests.unit.sessions.users.scripted_auth import Answer, Asked, ScriptedAuth


@pytest.fixture
def auth() -> Iterator[ScriptedAuth]:
    found = ScriptedAuth(PEOPLE, PASSWORD)
    yield found
    found.close()


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """No user is in the database."""
    return sqlite_url


@pytest.fixture
def api(make_api: MakeAPI, auth: ScriptedAuth) -> API:
    return make_api(auth_url=auth.url)


def user(api: API, name: str, who: str | None, *values: Any, password: str = PASSWORD, **options: Any) -> TestResponse:
    """Fire an event of users as today's clients do."""
    credential = (f"{who}@example.org", password) if who else None
    return api.app.test_client().post(f"/api/event/user/{name}/?f=JSON", auth=credential, json=list(values), **options)


def no(status: int, error: str, **fields: Any) -> Answer:
    """A refusal as auth writes it."""
    return status, {"error": error, "code": "some-code", **({"fields": fields} if fields else {})}


@pytest.mark.parametrize("path", ["/api/services/myuser/", "/api/myuser/"])
def test_ones_own_account(api: API, path: str) -> None:
    found = value(api.get(path, "host"))
    assert (found["userName"], found["maxOption"], found["domain"]) == ("host@example.org", "HOST_SESSION", "d")
    assert (found["firstName"], found["lastName"], found["active"]) == ("Host", "van Dam", True)
    assert value(user(api, "get_my_user", "host")) == found
    assert value(api.get("/api/services/mydomain/", "join")) == {"name": "d"}
    assert api.send("GET", path, "join").mimetype == "text/html"
    refused(api.get(path, "none"), 400, "INSUFFICIENT_RIGHTS")


def test_a_login_key_is_made_by_auth(api: API, auth: ScriptedAuth) -> None:
    auth.answers["POST /me/login-key"] = (201, {"key": "gh_key_1", "expires_at": "2026-02-01T00:00:00Z"})
    assert value(user(api, "get_my_login_key", "host", environ_base={"REMOTE_ADDR": "192.0.2.7"})) == "gh_key_1"
    assert auth.asked == [Asked("POST", "/me/login-key", None, "host@example.org", PASSWORD, "192.0.2.7")]
    # it is the password from now on, and asking again with it ends nobody's key
    auth.passwords["host@example.org"].add("gh_key_1")
    assert value(user(api, "get_my_login_key", "host", password="gh_key_1")) == "gh_key_1"
    assert len(auth.asked) == 1


TODAY = "/api/event/user/get_my_login_key/"


def test_todays_sdk_gets_the_login_key_by_get(api: API, auth: ScriptedAuth) -> None:
    auth.answers["POST /me/login-key"] = (201, {"key": "gh_key_1", "expires_at": "2026-02-01T00:00:00Z"})
    assert value(api.get(TODAY, "host")) == "gh_key_1"
    assert (
        value(api.send("GET", TODAY.upper().replace("/API/EVENT", "/api/event"), "host", headers={"Accept": "application/json"}))
        == "gh_key_1"
    )
    assert auth.asked == [Asked("POST", "/me/login-key", None, "host@example.org", PASSWORD, "127.0.0.1")] * 2
    refused(api.get(TODAY), 401, "Log in")
    refused(api.get(TODAY, "none"), 400, "INSUFFICIENT_RIGHTS")
    assert len(auth.asked) == 2


def test_nothing_else_is_fired_by_get(api: API, auth: ScriptedAuth) -> None:
    for path in (
        "/api/services/event/UserServicesEventType/GET_MY_LOGIN_KEY/",
        "/api/services/event/user/get_my_login_key/",
        "/api/event/UserServicesEventType/GET_MY_LOGIN_KEY/",
        "/api/event/user/get_my_user/",
        "/api/event/io/get_my_joinable_sessions/",
    ):
        answer = api.get(path, "host")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST"), path
    assert api.send("HEAD", TODAY, "host", query_string={"f": "JSON"}).status_code == 405
    form = api.send("GET", TODAY, "host", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (form.status_code, form.mimetype) == (200, "text/html")
    assert "gh_key" not in form.text
    assert auth.asked == []


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}])
def test_no_other_site_gets_a_login_key_made(api: API, auth: ScriptedAuth, headers: dict[str, str]) -> None:
    assert api.send("GET", TODAY, "host", query_string={"f": "JSON"}, headers=headers).status_code == 403
    assert auth.asked == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("GET_DOMAIN_USERS", []),
        ("ADD_USER", ["a@example.org"]),
        ("REMOVE_USER", ["join@example.org"]),
        ("SET_USER_ACTIVE", ["join@example.org", False]),
        ("SET_USER_PASSWD", ["join@example.org", "a new password"]),
        ("RESET_PASSWD", ["join@example.org"]),
    ],
)
def test_below_an_administrator_auth_is_not_asked(api: API, auth: ScriptedAuth, name: str, values: list[Any]) -> None:
    refused(user(api, name, "edit", *values), 400, "INSUFFICIENT_RIGHTS")
    assert auth.asked == []


def test_the_users_of_a_domain(api: API, auth: ScriptedAuth) -> None:
    auth.users("join", "host")
    found = value(user(api, "GET_DOMAIN_USERS", "admin"))
    assert [one["userName"] for one in found] == ["join@example.org", "host@example.org"]
    assert found[0]["lastLogin"] == 1_767_225_601_000
    assert auth.asked[0].path == "/users?domain=d&page=1&per_page=200"
    refused(user(api, "GET_DOMAIN_USERS", "admin", "e"), 400, "INSUFFICIENT_RIGHTS: another domain needs SUPER_USER")
    assert value(user(api, "GET_DOMAIN_USERS", "root", "e"))
    assert auth.asked[-1].path == "/users?domain=e&page=1&per_page=200"


def test_all_pages_are_read(api: API, auth: ScriptedAuth) -> None:
    auth.users("join", total=401)
    assert len(value(user(api, "GET_DOMAIN_USERS", "admin"))) == 3
    assert [one.path.partition("&page=")[2] for one in auth.asked] == ["1&per_page=200", "2&per_page=200", "3&per_page=200"]


def test_a_user_is_added(api: API, auth: ScriptedAuth) -> None:
    auth.answers["POST /users"] = (201, {})
    assert value(user(api, "ADD_USER", "admin", None, "new@example.org", "a good password", "EDITOR", "A B")) is True
    expected = {"email": "new@example.org", "password": "a good password", "domain": "d", "level": "EDITOR", "full_name": "A B"}
    assert auth.asked[-1].body == expected
    assert value(user(api, "ADD_USER", "admin", "d", "new@example.org")) is True  # as today's clients send it
    first = auth.asked[-1].body
    assert value(user(api, "ADD_USER", "admin", "new@example.org")) is True
    second = auth.asked[-1].body
    assert (first["domain"], second["domain"], first["level"]) == ("d", "d", "JOIN_ONLY")
    assert len(first["password"]) >= 20 and first["password"] != second["password"]


def test_users_are_found_by_name(api: API, auth: ScriptedAuth) -> None:
    auth.users("join", "host")
    auth.answers |= {"PATCH /users/id%2Fhost": (200, {}), "DELETE /users/id%2Fjoin": (204, None)}
    assert value(user(api, "SET_USER_ACTIVE", "admin", "HOST@example.org", False)) is True
    assert (auth.asked[-1].path, auth.asked[-1].body) == ("/users/id%2Fhost", {"active": False})
    assert value(user(api, "SET_USER_ACTIVE", "admin", None, "host@example.org", True)) is True
    assert auth.asked[-1].body == {"active": True}
    assert value(user(api, "REMOVE_USER", "admin", "join@example.org")) is True
    assert value(user(api, "REMOVE_USER", "admin", "nobody@example.org")) is False
    refused(user(api, "SET_USER_ACTIVE", "admin", "ost@example.org", False), 404, "There is no user 'ost@example.org'")


def test_ones_own_password(api: API, auth: ScriptedAuth) -> None:
    auth.answers |= {"POST /me/password": (204, None), "POST /me/login-key": (201, {"key": "gh_key_2"})}
    assert value(user(api, "SET_USER_PASSWD", "join", "Join@example.org", "the new password")) == "gh_key_2"
    change, key = auth.asked
    assert change.body == {"current_password": PASSWORD, "new_password": "the new password"}
    assert (key.user, key.password) == ("join@example.org", "the new password")
    # changed all the same when no key can be had
    auth.answers["POST /me/login-key"] = None
    assert value(user(api, "SET_USER_PASSWD", "join", "join@example.org", "the new password")) == ""
    # a login key does not stand for the password
    auth.passwords["join@example.org"].add("gh_key_2")
    auth.asked.clear()
    answer = user(api, "SET_USER_PASSWD", "join", "join@example.org", "the new password", password="gh_key_2")
    refused(answer, 400, "INSUFFICIENT_RIGHTS: log in with the password itself")
    assert auth.asked == []


def test_the_password_of_another(api: API, auth: ScriptedAuth) -> None:
    auth.users("join")
    auth.answers["POST /users/id%2Fjoin/password"] = (204, None)
    assert value(user(api, "SET_USER_PASSWD", "admin", "join@example.org", "the new password")) == ""
    assert auth.asked[-1].body == {"new_password": "the new password"}
    told = value(user(api, "RESET_PASSWD", "admin", "join@example.org"))
    assert auth.asked[-1].body == {"new_password": told}
    assert len(told) >= 20


REFUSED: tuple[tuple[Any, int, str], ...] = (
    (no(401, "invalid credentials"), 401, "invalid credentials"),
    (no(403, "not allowed: sign in with the password for this"), 400, "INSUFFICIENT_RIGHTS: not allowed: sign in"),
    (no(409, "e-mail taken"), 409, "E-mail taken."),
    (no(422, "some fields are not valid", password=["Too short."]), 400, "INVALID_REQUEST: password: Too short."),
    (no(429, "too many failures, try again in 9 s"), 429, "too many failures"),
    (no(500, "internal error"), 503, "Accounts cannot be checked now"),
    ((200, "<html>"), 503, "Accounts cannot be checked now"),
    ((502, "[]"), 503, "Accounts cannot be checked now"),
    (None, 503, "Accounts cannot be checked now"),
)


def test_what_auth_refuses(api: API, auth: ScriptedAuth, caplog: pytest.LogCaptureFixture) -> None:
    for answer, status, text in REFUSED:
        auth.asked.clear()
        auth.answers["POST /users"] = answer
        auth.retry_after = "9" if status == 429 else None
        got = user(api, "ADD_USER", "admin", None, "new@example.org", "a very secret word")
        refused(got, status, text)
        assert got.headers.get("Retry-After") == {429: "9", 503: "1"}.get(status)
        assert ("WWW-Authenticate" in got.headers) == (status == 401)
        assert len(auth.asked) == 1  # a change is never sent twice
    assert "secret word" not in caplog.text and PASSWORD not in caplog.text


def test_a_form_never_shows_a_password(api: API, auth: ScriptedAuth) -> None:
    path, auth.answers["POST /users"] = "/api/services/event/UserServicesEventType/ADD_USER/", no(409, "e-mail taken")
    assert 'type="password"' in api.send("GET", path, "admin").text
    page = api.send("POST", path, "admin", data={"userName": "new@example.org", "password": "a very secret word"})
    assert page.status_code == 409
    assert "E-mail taken." in page.text and "new@example.org" in page.text and "secret word" not in page.text
    refused(user(api, "ADD_USER", "admin", None, "new@example.org", 4711), 400, "INVALID_REQUEST: password of ADD_USER: expected a text")
    assert "4711" not in user(api, "ADD_USER", "admin", None, "new@example.org", 4711).text


def test_an_auth_that_does_not_answer_holds_nobody_up(make_api: MakeAPI, auth: ScriptedAuth) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        api = make_api(auth_url=auth.url)
        api.parts.accounts = Accounts(f"http://127.0.0.1:{silent.getsockname()[1]}", read_s=0.2)
        refused(user(api, "get_my_login_key", "host"), 503, "Accounts cannot be checked now")


@pytest.mark.parametrize("credential", ["Bearer x", "Basic", "Basic !", "Basic " + "YQ==", ""])
def test_what_is_no_basic_credential(credential: str) -> None:
    assert rules.basic(credential) is None


def test_a_basic_credential_is_read_as_it_is_written() -> None:
    assert rules.basic(rules.as_basic("a@example.org", "pass:wörd")) == ("a@example.org", "pass:wörd")
