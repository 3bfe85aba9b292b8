"""OAuth2: requests, codes and what is given for them. The consent itself is asked in process; the pages have tests of their own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from services.common import logging as logs
from tests.unit.auth.browsing import (
    REDIRECT,
    Browser,
    client_of,
    exchange,
    refresh,
    sent_back,
)
from tests.unit.auth.conftest import ADMIN, Auth


def test_the_whole_flow(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    back = sent_back(browser.authorize(client["client_id"]))
    assert (back["state"], back["iss"], back["kept"]) == ("a state/é", auth.parts.settings.issuer, "1")
    answer = exchange(auth, client, back["code"])
    assert answer.status_code == 200, answer.text
    assert set(answer.json) == {"access_token", "token_type", "expires_in", "refresh_token", "scope", "id_token"}
    assert (answer.json["token_type"], answer.json["expires_in"], answer.json["scope"]) == ("Bearer", 900, "openid profile email")
    assert answer.headers["Cache-Control"] == "no-store"
    assert auth.ask("GET", "/me", token=answer.json["access_token"]).json["email"] == ADMIN
    claims = jwt.decode(answer.json["id_token"], options={"verify_signature": False})
    assert (claims["aud"], claims["nonce"], claims["email"]) == (client["client_id"], "n-1", ADMIN)
    assert claims["auth_time"] == int(auth.clock.now().timestamp())
    verified = auth.verify(answer.json["access_token"]).json
    assert (verified["kind"], verified["scope"], verified["client_id"]) == ("user", "openid profile email", client["client_id"])
    assert auth.verify(answer.json["id_token"]).status_code == 401


@pytest.fixture
def log_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("log_restored")
def test_no_level_of_the_log_holds_a_token(auth: Auth, admin: str, browser: Browser, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("auth", "DEBUG", colour=False)
    client = client_of(auth, admin)
    code = sent_back(browser.authorize(client["client_id"]))["code"]
    first = exchange(auth, client, code).json
    second = refresh(auth, first["refresh_token"], client).json
    written = capsys.readouterr().err
    assert '"path": "/oauth/token"' in written
    for secret in (client["client_secret"], code, *(one[name] for one in (first, second) for name in ("access_token", "refresh_token"))):
        assert secret not in written


def test_a_public_client_needs_no_secret(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin, public=True)
    assert "client_secret" not in client
    code = sent_back(browser.authorize(client["client_id"]))["code"]
    tokens = exchange(auth, client, code).json
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client["client_id"]}
    assert auth.ask("POST", "/oauth/token", data=form).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "another-verifier-of-at-least-forty-three-chars-1"}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"redirect_uri": "https://app.example.org/other"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"code": "gh_cod_unknown"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_wrong_exchange_is_refused(auth: Auth, admin: str, browser: Browser, changes: dict[str, str | None], error: str) -> None:
    client = client_of(auth, admin)
    code = sent_back(browser.authorize(client["client_id"]))["code"]
    answer = exchange(auth, client, **{"code": code, **changes})
    assert (answer.status_code, answer.json["error"]) == (400, error)


@pytest.mark.parametrize("repeated", [None, REDIRECT])
def test_an_address_that_the_client_left_out_need_not_be_repeated(auth: Auth, admin: str, browser: Browser, repeated: str | None) -> None:
    client = client_of(auth, admin)
    code = sent_back(browser.authorize(client["client_id"], redirect_uri=None))["code"]
    assert exchange(auth, client, code, redirect_uri=repeated).status_code == 200


def test_a_code_belongs_to_its_client(auth: Auth, admin: str, browser: Browser) -> None:
    client, other = client_of(auth, admin), client_of(auth, admin)
    code = sent_back(browser.authorize(client["client_id"]))["code"]
    assert exchange(auth, other, code).json["error"] == "invalid_grant"
    assert exchange(auth, client, code).status_code == 200


def test_a_code_lives_a_minute(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    code = sent_back(browser.authorize(client["client_id"]))["code"]
    auth.clock.move(60)
    assert exchange(auth, client, code).json["error"] == "invalid_grant"


def test_a_code_used_twice_ends_what_it_gave(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    code = sent_back(browser.authorize(client["client_id"]))["code"]
    tokens = exchange(auth, client, code).json
    assert exchange(auth, client, code).json["error"] == "invalid_grant"
    assert auth.verify(tokens["access_token"]).status_code == 401
    assert refresh(auth, tokens["refresh_token"], client).json["error"] == "invalid_grant"


def test_a_wrong_client_secret_is_401(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    code = sent_back(browser.authorize(client["client_id"]))["code"]
    answer = exchange(auth, {**client, "client_secret": "gh_cli_wrong"}, code)
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("header", ["Basic", "Basic ", "Basic #", "Basic /zr/", "Basic YQ==", "Bearer ", "Bearer x", "\xc3\xa9"])
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
def test_client_credentials_that_are_none_are_401(auth: Auth, path: str, header: str) -> None:
    form = {"grant_type": "client_credentials", "token": "x"}
    answer = auth.ask("POST", path, data=form, headers={"Authorization": header})
    assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


def test_denying_is_told_to_the_client(auth: Auth, admin: str, browser: Browser) -> None:
    back = sent_back(browser.authorize(client_of(auth, admin)["client_id"], decision="deny"))
    assert (back["error"], back["state"]) == ("access_denied", "a state/é")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"nonce": "n" * 256}, "invalid_request"),
        ({"nonce": "é"}, "invalid_request"),
        ({"prompt": "none"}, "interaction_required"),
    ],
)
def test_a_wrong_request_is_told_to_the_client(
    auth: Auth, admin: str, browser: Browser, changes: dict[str, str | None], error: str
) -> None:
    back = sent_back(browser.authorize(client_of(auth, admin)["client_id"], **changes))
    assert (back["error"], back["state"]) == (error, "a state/é")


@pytest.mark.parametrize(
    "redirect",
    [
        "https://evil.example.org/",
        REDIRECT + "&more=1",
        REDIRECT.replace("app.", "app.example.org.evil."),
        "https://app.example.org@evil.example.org/back?kept=1",
        "//app.example.org/back?kept=1",
        "javascript:alert(1)",
        "https://äpp.example.org/",
        'https://app.example.org/"\\\r\nX: y',
    ],
)
def test_nobody_is_sent_to_an_unknown_address(auth: Auth, admin: str, browser: Browser, redirect: str) -> None:
    answer = browser.authorize(client_of(auth, admin)["client_id"], redirect_uri=redirect)
    assert answer.status_code == 400
    assert "Location" not in answer.headers
    assert answer.mimetype == "text/html"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_program_on_the_persons_machine_takes_any_port(auth: Auth, admin: str, browser: Browser, host: str) -> None:
    registered, there = f"http://{host}/back?kept=1", f"http://{host}:49152/back?kept=1"
    client = client_of(auth, admin, redirect_uris=[registered], public=True)
    back = browser.authorize(client["client_id"], redirect_uri=there)
    assert back.location.startswith(f"{there}&code=")
    code = parse_qs(urlsplit(back.location).query)["code"][0]
    assert exchange(auth, client, code, redirect_uri=registered).json["error"] == "invalid_grant"
    assert exchange(auth, client, code, redirect_uri=there).status_code == 200


@pytest.mark.parametrize(
    ("registered", "other"),
    [
        ("http://127.0.0.1:1/back", "http://127.0.0.1:2/other"),
        ("http://127.0.0.1:1/back", "http://[::1]:2/back"),
        ("http://127.0.0.1:1/back", "http://127.0.0.1:2@evil.example.org/back"),
        ("http://127.0.0.1:1/back", "http://127.0.0.1.evil.example.org/back"),
        ("http://127.0.0.1:1/back", "https://127.0.0.1:2/back"),
        ("http://127.0.0.1:1/back", "http://127.0.0.1:2/back\n"),
        ("http://127.0.0.1:1/" + "a" * 1980, "http://127.0.0.1:11111/" + "a" * 1980),
        ("http://localhost:1/back", "http://localhost:2/back"),
        ("https://app.example.org:1/back", "https://app.example.org:2/back"),
    ],
    ids=range(9),
)
def test_nothing_but_the_port_on_a_loopback_address_may_differ(
    auth: Auth, admin: str, browser: Browser, registered: str, other: str
) -> None:
    answer = browser.authorize(client_of(auth, admin, redirect_uris=[registered])["client_id"], redirect_uri=other)
    assert answer.status_code == 400
    assert "Location" not in answer.headers


def test_a_response_type_that_cannot_be_quoted(auth: Auth, admin: str, browser: Browser) -> None:
    answer = browser.authorize(client_of(auth, admin)["client_id"], response_type='"é\n')
    assert (answer.status_code, answer.mimetype) == (400, "text/html")


def test_an_unknown_client_gets_a_page(browser: Browser) -> None:
    answer = browser.authorize("nobody")
    assert answer.status_code in (400, 401)
    assert "Location" not in answer.headers
