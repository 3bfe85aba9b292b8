"""Whatever somebody gets who came with a login key ends when the key does: at its end, when it is replaced, when it is removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from services.auth.models import AccessToken, Client, User
from tests.unit.auth.browsing import Browser, client_of, made, refresh, send
from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth

Way = dict[str, Any]
WAYS: dict[str, Callable[[Auth, str], Way]] = {
    "Basic": lambda auth, key: {"basic": (ADMIN, key)},
    "a sign-in": lambda auth, key: {"token": auth.log_in(password=key)},
    "a sign-in that was refreshed": lambda auth, key: {
        "token": refresh(auth, auth.ask("POST", "/login", {"email": ADMIN, "password": key}).json["refresh_token"]).json["access_token"]
    },
}
HOUR = 3600


@pytest.fixture
def key(auth: Auth, admin: str) -> str:
    """One that lives for an hour."""
    auth.ask("PATCH", "/domains/gatehouse", {"login_key_lifetime_s": HOUR}, token=admin)
    made = auth.ask("POST", "/me/login-key", token=admin).json
    assert made["expires_at"] == "2026-03-01T13:00:00.000Z"
    return str(made["key"])


def end_of_the_hour(auth: Auth, admin: str) -> None:
    auth.clock.move(HOUR)


def replaced(auth: Auth, admin: str) -> None:
    assert auth.ask("POST", "/me/login-key", token=admin).status_code == 201


def removed(auth: Auth, admin: str) -> None:
    assert auth.ask("DELETE", "/me/login-key", token=admin).status_code == 204


def new_password(auth: Auth, admin: str) -> None:
    body = {"current_password": PASSWORD, "new_password": "another horse battery"}
    assert auth.ask("POST", "/me/password", body, token=admin).status_code == 204


ENDS = [end_of_the_hour, replaced, removed, new_password]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("way", WAYS)
def test_an_access_token(auth: Auth, admin: str, key: str, way: str, end: Callable[[Auth, str], None]) -> None:
    mine = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json
    for expires_in in (None, 10 * HOUR, 60):
        made = auth.ask("POST", "/me/tokens", {"kind": "account", "expires_in": expires_in}, **WAYS[way](auth, key)).json
        assert made["expires_at"] == ("2026-03-01T12:01:00.000Z" if expires_in == 60 else "2026-03-01T13:00:00.000Z")
        if expires_in is None:
            secret = made["secret"]
    assert auth.verify(secret).status_code == 200
    end(auth, admin)
    assert auth.verify(secret).status_code == 401
    assert auth.verify(mine["secret"]).status_code == 200
    if end is not end_of_the_hour:
        with auth.parts.database.read() as session:
            assert session.scalars(sa.select(AccessToken.id)).all() == [mine["id"]]


@pytest.mark.parametrize("way", WAYS)
def test_the_new_secret_of_an_access_token(auth: Auth, admin: str, key: str, way: str) -> None:
    """Rotating the owner's own token would give a secret that has no end."""
    mine = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json
    answer = auth.ask("POST", f"/me/tokens/{mine['id']}/rotate", **WAYS[way](auth, key))
    assert (answer.status_code, answer.json["code"]) == (403, "password-needed")
    assert auth.verify(mine["secret"]).status_code == 200
    made = auth.ask("POST", "/me/tokens", {"kind": "account"}, **WAYS[way](auth, key)).json
    rotated = auth.ask("POST", f"/me/tokens/{made['id']}/rotate", **WAYS[way](auth, key)).json
    assert rotated["expires_at"] == "2026-03-01T13:00:00.000Z"
    again = auth.ask("POST", f"/me/tokens/{made['id']}/rotate", token=admin).json["secret"]
    auth.clock.move(HOUR)
    assert [auth.verify(secret).status_code for secret in (rotated["secret"], again)] == [401, 401]


@pytest.mark.parametrize("end", ENDS)
def test_a_sign_in(auth: Auth, admin: str, key: str, end: Callable[[Auth, str], None]) -> None:
    auth.clock.move(HOUR - 600)
    admin = auth.log_in()
    tokens = auth.ask("POST", "/login", {"email": ADMIN, "password": key}).json
    assert tokens["expires_in"] == 600
    next_ones = refresh(auth, tokens["refresh_token"]).json
    if end is end_of_the_hour:
        auth.clock.move(600)
    else:
        end(auth, admin)
    for token in (tokens["access_token"], next_ones["access_token"]):
        assert auth.verify(token).status_code == 401
        assert auth.ask("GET", "/me", token=token).status_code == 401
    assert refresh(auth, next_ones["refresh_token"]).status_code == 400


@pytest.mark.parametrize("end", ENDS)
def test_a_sign_in_on_the_pages(auth: Auth, admin: str, key: str, end: Callable[[Auth, str], None]) -> None:
    browser = Browser(auth)
    assert browser.sign_in(password=key).status_code == 303
    secret = made(browser, "/account/tokens", kind="account", permission="full", expires_in="never")
    assert auth.verify(secret).json["expires_at"] == "2026-03-01T13:00:00.000Z"
    end(auth, admin)
    assert browser.client.get("/account").status_code == 303
    assert auth.verify(secret).status_code == 401


@pytest.mark.parametrize("form", ["/account/login-key", "/account/login-key/remove"])
def test_a_sign_in_on_the_pages_that_ends_its_own_key(auth: Auth, key: str, form: str) -> None:
    browser = Browser(auth)
    browser.sign_in(password=key)
    answer = send(browser, "/account/login-key", form)
    assert answer.status_code in (201, 303)
    assert browser.client.get("/account").status_code == 303


@pytest.mark.parametrize("way", WAYS)
def test_the_next_login_key(auth: Auth, key: str, way: str) -> None:
    auth.clock.move(1800)
    for _ in range(3):
        made = auth.ask("POST", "/me/login-key", **WAYS[way](auth, key)).json
        assert made["expires_at"] == "2026-03-01T13:00:00.000Z"
        key = made["key"]
    auth.clock.move(1800)
    assert auth.verify_basic(ADMIN, key).json["code"] == "login-key-expired"


@pytest.mark.parametrize("way", WAYS)
def test_a_role_token(auth: Auth, key: str, way: str) -> None:
    for expires_in in (None, 10 * HOUR):
        made = auth.ask("POST", "/role-tokens", {"subject": "admin", "expires_in": expires_in}, **WAYS[way](auth, key)).json
        assert made["expires_at"] == "2026-03-01T13:00:00.000Z"
    assert (
        auth.ask("POST", "/role-tokens", {"subject": "admin", "expires_in": 60}, **WAYS[way](auth, key))
        .json["expires_at"]
        .endswith("12:01:00.000Z")
    )
    auth.clock.move(HOUR + 30)
    assert auth.verify(made["token"]).status_code == 401


@pytest.mark.parametrize("way", WAYS)
def test_what_has_no_end_is_not_made(auth: Auth, admin: str, key: str, way: str) -> None:
    """A client's secret, another account's password, a higher level: who has the key would have them for ever."""
    user = auth.add_user("u@example.org", admin)
    for path, body in [
        ("/clients", {"name": "App", "service": True}),
        ("/users", {"email": "new@example.org", "password": PASSWORD, "domain": "gatehouse", "level": "SUPER_USER"}),
        (f"/users/{user['id']}/password", {"new_password": "the password of the thief"}),
    ]:
        answer = auth.ask("POST", path, body, **WAYS[way](auth, key))
        assert (answer.status_code, answer.json["code"]) == (403, "password-needed"), path
    answer = auth.ask("PATCH", f"/users/{user['id']}", {"level": "SUPER_USER"}, **WAYS[way](auth, key))
    assert (answer.status_code, answer.json["code"]) == (403, "password-needed")
    answer = auth.ask("PATCH", f"/users/{user['id']}", {"level": "NONE", "full_name": "Una"}, **WAYS[way](auth, key))
    assert (answer.status_code, answer.json["level"]) == (200, "NONE")
    with auth.parts.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Client)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(User)) == 2
    assert auth.log_in("u@example.org")


@pytest.mark.parametrize("change", [{"active": True}, {"domain": "lab"}, {"layer_domains": ["streets", "water"]}])
@pytest.mark.parametrize("way", WAYS)
def test_nobody_gets_more_rights(auth: Auth, admin: str, key: str, way: str, change: Way) -> None:
    """Whoever has the key may have an account as well: it would be good for more when the key has ended."""
    auth.ask("POST", "/domains", {"name": "lab"}, token=admin)
    user = auth.add_user("u@example.org", admin, level="DOMAIN_ADMIN", layer_domains=["streets"], active="active" not in change)
    path = f"/users/{user['id']}"
    answer = auth.ask("PATCH", path, change, **WAYS[way](auth, key))
    assert (answer.status_code, answer.json["code"]) == (403, "password-needed")
    assert auth.ask("GET", path, token=admin).json == user
    less = {"active": False, "layer_domains": [], "domain": "gatehouse", "full_name": "Una"}
    assert auth.ask("PATCH", path, less, **WAYS[way](auth, key)).status_code == 200
    assert auth.ask("PATCH", path, change, token=admin).status_code == 200


@pytest.mark.parametrize("way", WAYS)
def test_role_tokens_that_were_cut_off_stay_so(auth: Auth, admin: str, key: str, way: str) -> None:
    token = auth.ask("POST", "/role-tokens", {"subject": "admin"}, token=admin).json["token"]
    path = "/role-tokens/cut-off/admin"
    for moment in ("2026-03-01T12:00:01Z", "2026-03-01T12:00:02Z"):
        assert auth.ask("PUT", path, {"cut_off": moment}, **WAYS[way](auth, key)).status_code == 200
    answer = auth.ask("PUT", path, {"cut_off": "2026-03-01T12:00:00Z"}, **WAYS[way](auth, key))
    assert (answer.status_code, answer.json["code"]) == (403, "password-needed")
    assert auth.verify(token).status_code == 401
    assert auth.ask("PUT", path, {"cut_off": "2026-03-01T12:00:00Z"}, token=admin).status_code == 200
    assert auth.verify(token).status_code == 200


def test_no_code_for_an_application(auth: Auth, admin: str, key: str) -> None:
    client = client_of(auth, admin)
    browser = Browser(auth)
    browser.sign_in(password=key)
    answer = browser.authorize(client["client_id"])
    assert answer.location.startswith("/account/sign-in")
    assert "why=password" in answer.location


@pytest.mark.parametrize("way", ["Basic", "a sign-in", "pages"])
def test_a_key_that_ends_while_it_makes_something(auth: Auth, admin: str, key: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was let in, and then the owner replaced it: nothing may be created that belongs to the new key."""
    browser = Browser(auth)
    if way == "pages":
        browser.sign_in(password=key)
        csrf = browser.csrf("/account/tokens")
    by = {} if way == "pages" else WAYS[way](auth, key)
    add = auth.parts.access_tokens.add

    def late(*given: Any) -> Any:
        monkeypatch.setattr(auth.parts.access_tokens, "add", add)
        replaced(auth, admin)
        return add(*given)

    monkeypatch.setattr(auth.parts.access_tokens, "add", late)
    if way == "pages":
        form = {"csrf": csrf, "kind": "account", "permission": "full", "expires_in": "never"}
        assert "gh_acc_" not in browser.client.post("/account/tokens", data=form).text
    else:
        assert auth.ask("POST", "/me/tokens", {"kind": "account"}, **by).json["code"] == "token-revoked"
    assert auth.ask("GET", "/me/tokens", token=admin).json["total"] == 0


def test_an_access_jwt_ends_with_its_sign_in_and_not_after_the_skew(auth: Auth, key: str) -> None:
    auth.clock.move(HOUR - 600)
    token = auth.log_in(password=key)
    auth.clock.move(599)
    assert auth.verify(token).status_code == 200
    auth.clock.move(1)
    assert auth.verify(token).json["code"] == "token-expired"
