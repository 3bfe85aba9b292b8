"""OAuth2: codes, tokens, rotation, revocation, introspection. The consent itself is asked in process; the pages have tests of their own."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from werkzeug.test import TestResponse

from services.common import logging as logs
from tests.unit.auth.conftest import ADMIN, PASSWORD, SERVICE, Auth

VERIFIER = "a-verifier-of-at-least-forty-three-characters-1234"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "https://app.example.org/back?kept=1"


def client_of(auth: Auth, admin: str, **fields: Any) -> dict[str, Any]:
    answer = auth.ask("POST", "/clients", {"name": "App", "redirect_uris": [REDIRECT], **fields}, token=admin)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


class Browser:
    """A person with a browser, without scripts."""

    def __init__(self, auth: Auth) -> None:
        self.client = auth.app.test_client()

    def sign_in(self, email: str = ADMIN, password: str = PASSWORD) -> TestResponse:
        form = {"csrf": self.csrf("/account/sign-in"), "email": email, "password": password}
        return self.client.post("/account/sign-in", data=form)

    def csrf(self, path: str, **options: Any) -> str:
        page = self.client.get(path, **options)
        return page.text.partition('name="csrf" value="')[2].partition('"')[0]

    def authorize(self, client_id: str, decision: str = "allow", **changes: str | None) -> TestResponse:
        asked = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": REDIRECT,
            "scope": "openid profile email",
            "state": "a state/é",
            "nonce": "n-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        query = {name: value for name, value in asked.items() if value is not None}
        page = self.client.get("/oauth/authorize", query_string=query)
        if page.status_code != 200:
            return page
        csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        return self.client.post("/oauth/authorize", query_string=query, data={"csrf": csrf, "decision": decision})


def sent_back(answer: TestResponse) -> dict[str, str]:
    assert answer.status_code in (302, 303), answer.text
    assert answer.location.startswith("https://app.example.org/back?kept=1&")
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


@pytest.fixture
def browser(auth: Auth) -> Browser:
    browser = Browser(auth)
    assert browser.sign_in().status_code == 303
    return browser


def exchange(auth: Auth, client: dict[str, Any], code: str | None, **changes: str | None) -> TestResponse:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER, **changes}
    basic = (client["client_id"], client["client_secret"]) if "client_secret" in client else None
    if basic is None:
        form["client_id"] = client["client_id"]
    return auth.ask("POST", "/oauth/token", data={name: value for name, value in form.items() if value is not None}, basic=basic)


def refresh(auth: Auth, token: str, client: dict[str, Any] | None = None) -> TestResponse:
    basic = (client["client_id"], client["client_secret"]) if client else None
    return auth.ask("POST", "/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token}, basic=basic)


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


def test_an_unknown_client_gets_a_page(auth: Auth, browser: Browser) -> None:
    answer = browser.authorize("nobody")
    assert answer.status_code in (400, 401)
    assert "Location" not in answer.headers


# refresh tokens


def test_refresh_tokens_rotate_and_a_reused_one_ends_the_family(auth: Auth) -> None:
    first = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json
    second = refresh(auth, first["refresh_token"])
    assert second.status_code == 200
    assert second.json["refresh_token"] != first["refresh_token"]
    assert auth.verify(second.json["access_token"]).status_code == 200
    again = refresh(auth, first["refresh_token"])
    assert (again.status_code, again.json["error"]) == (400, "invalid_grant")
    assert refresh(auth, second.json["refresh_token"]).status_code == 400
    assert auth.verify(second.json["access_token"]).json["code"] == "token-revoked"
    audit = auth.ask("GET", "/audit", basic=(ADMIN, PASSWORD), query_string={"action": "refresh-token.reused"})
    assert audit.json["total"] == 1


def test_of_two_refreshes_at_once_one_wins(auth: Auth) -> None:
    first = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json["refresh_token"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: refresh(auth, first), range(4)))
    assert sorted(one.status_code for one in answers) == [200, 400, 400, 400]


def test_a_clients_refresh_token_needs_the_client(auth: Auth, admin: str, browser: Browser) -> None:
    client, other = client_of(auth, admin), client_of(auth, admin)
    tokens = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json
    assert refresh(auth, tokens["refresh_token"]).status_code == 400
    assert refresh(auth, tokens["refresh_token"], other).json["error"] == "invalid_grant"
    second = refresh(auth, tokens["refresh_token"], client)
    assert second.status_code == 200
    assert refresh(auth, tokens["refresh_token"], client).json["error"] == "invalid_grant"
    assert refresh(auth, second.json["refresh_token"], client).json["error"] == "invalid_grant"


def test_a_refresh_token_ends_with_the_sign_in_and_the_user(auth: Auth, admin: str) -> None:
    user = auth.add_user("u@example.org", admin)
    tokens = auth.ask("POST", "/login", {"email": "u@example.org", "password": PASSWORD}).json
    other = auth.ask("POST", "/login", {"email": "u@example.org", "password": PASSWORD}).json
    auth.clock.move(30 * 24 * 3600)
    assert refresh(auth, tokens["refresh_token"]).status_code == 400
    auth.clock.move(-1)
    admin = auth.log_in()
    auth.ask("PATCH", f"/users/{user['id']}", {"active": False}, token=admin)
    assert refresh(auth, other["refresh_token"]).status_code == 400


# client credentials


def test_a_service_gets_a_token_for_itself(auth: Auth) -> None:
    answer = auth.ask("POST", "/oauth/token", data={"grant_type": "client_credentials"}, basic=SERVICE)
    assert answer.status_code == 200, answer.text
    assert set(answer.json) == {"access_token", "token_type", "expires_in"}
    verified = auth.verify(answer.json["access_token"]).json
    assert (verified["kind"], verified["subject"], verified["user"]) == ("client", "client:sessions", None)
    assert auth.ask("GET", "/me", token=answer.json["access_token"]).status_code == 401


def test_the_audit_names_the_client_that_asked(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin, name="Garden app", grants=["authorization_code", "refresh_token", "client_credentials"])
    tokens = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json
    basic = (client["client_id"], client["client_secret"])
    auth.ask("POST", "/oauth/token", data={"grant_type": "client_credentials"}, basic=basic)
    refresh(auth, tokens["refresh_token"], client)
    refresh(auth, tokens["refresh_token"], client)
    lines = auth.ask("GET", "/audit", token=admin, query_string={"actor_id": client["client_id"]}).json["items"]
    assert [(one["action"], one["actor"]) for one in lines] == [("refresh-token.reused", "Garden app"), ("client.token", "Garden app")]


def test_a_grant_the_client_has_not_is_refused(auth: Auth, admin: str) -> None:
    client = client_of(auth, admin)
    basic = (client["client_id"], client["client_secret"])
    answer = auth.ask("POST", "/oauth/token", data={"grant_type": "client_credentials"}, basic=basic)
    assert answer.json["error"] == "unauthorized_client"


def test_a_token_request_with_a_repeated_parameter_is_refused(auth: Auth) -> None:
    answer = auth.ask(
        "POST",
        "/oauth/token",
        data="grant_type=client_credentials&grant_type=refresh_token",
        content_type="application/x-www-form-urlencoded",
        basic=SERVICE,
    )
    assert answer.json["error"] == "invalid_request"


def test_an_applications_token_does_not_manage_the_account(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    token = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json["access_token"]
    assert auth.ask("GET", "/me", token=token).status_code == 200
    for method, path in [("POST", "/me/login-key"), ("GET", "/me/tokens"), ("GET", "/users"), ("POST", "/signing-keys/rotate")]:
        assert auth.ask(method, path, token=token).status_code == 403


# introspection and revocation


def introspect(auth: Auth, token: str, basic: tuple[str, str] = SERVICE) -> dict[str, Any]:
    answer = auth.ask("POST", "/oauth/introspect", data={"token": token}, basic=basic)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def test_introspection(auth: Auth, admin: str) -> None:
    tokens = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json
    secret = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json["secret"]
    found = introspect(auth, tokens["access_token"])
    assert (found["active"], found["username"], found["token_type"]) == (True, ADMIN, "Bearer")
    assert introspect(auth, tokens["refresh_token"])["active"]
    assert introspect(auth, secret)["active"]
    assert introspect(auth, "nonsense") == {"active": False}
    refresh(auth, tokens["refresh_token"])
    assert introspect(auth, tokens["refresh_token"]) == {"active": False}
    client = client_of(auth, admin)
    assert introspect(auth, secret, (client["client_id"], client["client_secret"])) == {"active": False}
    assert auth.ask("POST", "/oauth/introspect", data={"token": secret}).status_code in (400, 401)


def test_revocation(auth: Auth, admin: str, browser: Browser) -> None:
    client, other = client_of(auth, admin), client_of(auth, admin)
    tokens = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json

    def revoke(token: str, who: dict[str, Any] | None) -> int:
        basic = (who["client_id"], who["client_secret"]) if who else None
        return auth.ask("POST", "/oauth/revoke", data={"token": token}, basic=basic).status_code

    assert revoke(tokens["access_token"], other) == 400
    assert revoke(tokens["access_token"], None) == 401
    assert introspect(auth, tokens["access_token"])["active"]
    assert revoke("unknown", None) == 200
    assert revoke(tokens["access_token"], client) == 200
    assert not introspect(auth, tokens["access_token"])["active"]
    assert revoke("unknown", client) == 200
    for path in ("/oauth/revoke", "/oauth/introspect"):  # a hint that is not known is ignored
        form = {"token": "unknown", "token_type_hint": "ticket"}
        assert auth.ask("POST", path, data=form, basic=(client["client_id"], client["client_secret"])).status_code == 200
    assert revoke(tokens["refresh_token"], client) == 200
    assert refresh(auth, tokens["refresh_token"], client).status_code == 400


def test_signing_out_without_a_client(auth: Auth) -> None:
    tokens = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json
    assert auth.ask("POST", "/oauth/revoke", data={"token": tokens["refresh_token"]}).status_code == 200
    assert auth.verify(tokens["access_token"]).json["code"] == "token-revoked"
    assert refresh(auth, tokens["refresh_token"]).status_code == 400


def test_what_is_not_taken_back_is_not_said_to_be(auth: Auth, admin: str) -> None:
    access = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json["secret"]
    role = auth.ask("POST", "/role-tokens", {"subject": "admin"}, token=admin).json["token"]
    for token in (access, role):
        answer = auth.ask("POST", "/oauth/revoke", data={"token": token})
        assert (answer.status_code, answer.json["error"]) == (400, "unsupported_token_type")
        assert auth.verify(token).status_code == 200


def test_a_refresh_without_a_token_is_malformed(auth: Auth) -> None:
    answer = auth.ask("POST", "/oauth/token", data={"grant_type": "refresh_token"})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_a_client_that_is_removed_takes_its_sign_ins_with_it(auth: Auth, admin: str, browser: Browser) -> None:
    client = client_of(auth, admin)
    tokens = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json
    assert auth.ask("DELETE", f"/clients/{client['client_id']}", token=admin).status_code == 204
    assert auth.verify(tokens["access_token"]).status_code == 401


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example.org/",
        "https://app.example.org/#f",
        "https://user:pw@app.example.org/",
        "https://*.example.org/",
        "/back",
        "javascript:alert(1)",
        "https://",
        "https://a b/",
        "https://a.example.org;script-src/",
        "https://a.example.org,b.example.org/",
    ],
)
def test_wrong_redirect_uris_are_refused(auth: Auth, admin: str, uri: str) -> None:
    answer = auth.ask("POST", "/clients", {"name": "x", "redirect_uris": [uri]}, token=admin)
    assert answer.status_code == 422
    assert list(answer.json["fields"]) == ["redirect_uris"]


@pytest.mark.parametrize("uri", ["https://app.example.org/back", "http://127.0.0.1:8000/", "http://[::1]/", "com.example.app:/back"])
def test_good_redirect_uris(auth: Auth, admin: str, uri: str) -> None:
    assert client_of(auth, admin, redirect_uris=[uri])["redirect_uris"] == [uri]
