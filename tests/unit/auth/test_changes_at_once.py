"""Two things at the same moment: what ends sign-ins leaves none over, and whoever comes second is answered clearly."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.auth import refusals
from services.auth.audit.rules import COMMAND_LINE
from services.auth.credentials.store import accounts
from services.auth.people import store as users
from services.common.refusal import Refusal
from tests.unit.auth.browsing import Browser, client_of, exchange, refresh, sent_back
from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth

NEW = "another horse, same battery"
USER = "u@example.org"


def in_between(auth: Auth, monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Let `change` happen once, right after a credential of somebody was found right."""
    found = auth.parts.sign_in.check
    left = [change]

    def check(*given: Any) -> Any:
        proven = found(*given)
        if left:
            left.pop()()
        return proven

    monkeypatch.setattr(auth.parts.sign_in, "check", check)


@pytest.fixture
def user(auth: Auth, admin: str) -> dict[str, Any]:
    return auth.add_user(USER, admin)


ENDS: dict[str, Callable[[Auth, str], object]] = {
    "a new password": lambda auth, user_id: auth.parts.people.set_password(None, user_id, NEW, COMMAND_LINE),
    "not active": lambda auth, user_id: auth.parts.people.change(None, user_id, {"active": False}, COMMAND_LINE),
    "removed": lambda auth, user_id: auth.parts.people.remove(None, user_id, COMMAND_LINE),
}


@pytest.mark.parametrize("what", ENDS)
def test_a_log_in_does_not_outlive_what_ends_all_sign_ins(
    auth: Auth, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    in_between(auth, monkeypatch, lambda: ENDS[what](auth, user["id"]))
    answer = auth.ask("POST", "/login", {"email": USER, "password": PASSWORD})
    assert (answer.status_code, answer.json["code"]) == (401, "invalid-credentials")


@pytest.mark.parametrize("what", ENDS)
def test_nor_does_a_sign_in_on_the_pages(auth: Auth, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    in_between(auth, monkeypatch, lambda: ENDS[what](auth, user["id"]))
    browser = Browser(auth)
    assert browser.sign_in(USER).status_code == 401
    assert browser.client.get("/account").status_code == 303


def test_nor_does_a_sign_in_by_a_login_key_that_ends_meanwhile(auth: Auth, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    own = auth.log_in(USER)
    key = auth.ask("POST", "/me/login-key", token=own).json["key"]
    in_between(auth, monkeypatch, lambda: auth.ask("DELETE", "/me/login-key", token=own))
    assert auth.ask("POST", "/login", {"email": USER, "password": key}).status_code == 401


def test_a_change_that_ends_nothing_does_not_disturb(auth: Auth, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    in_between(auth, monkeypatch, lambda: auth.parts.people.change(None, user["id"], {"full_name": "Una"}, COMMAND_LINE))
    assert auth.log_in(USER)


def test_no_login_key_is_made_by_the_old_password(auth: Auth, user: dict[str, Any]) -> None:
    """The caller was let in, and before the key was made the password was changed: the key would outlive the change."""
    caller, _ = auth.parts.verifier.caller(auth.log_in(USER))
    auth.parts.people.set_password(None, user["id"], NEW, COMMAND_LINE)
    with pytest.raises(Refusal, match="token revoked"):
        auth.parts.login_keys.add(caller, COMMAND_LINE)
    with auth.parts.database.read() as session:
        assert accounts.login_key(session, user["id"]) is None


def while_hashing(auth: Auth, monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Let `change` happen once, while the next password is hashed."""
    hash_now = auth.parts.hasher.hash
    left = [change]

    def slowly(password: str) -> str:
        if left:
            left.pop()()
        return hash_now(password)

    monkeypatch.setattr(auth.parts.hasher, "hash", slowly)


def test_no_password_is_changed_by_one_that_was_changed_meanwhile(
    auth: Auth, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    thief = auth.log_in(USER)
    while_hashing(auth, monkeypatch, lambda: auth.parts.people.set_password(None, user["id"], NEW, COMMAND_LINE))
    body = {"current_password": PASSWORD, "new_password": "the password of the thief"}
    assert auth.ask("POST", "/me/password", body, token=thief).json["code"] == "token-revoked"
    assert auth.log_in(USER, NEW)


def test_no_password_is_set_of_somebody_who_rose_meanwhile(
    auth: Auth, admin: str, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    auth.add_user("boss@example.org", admin, level="DOMAIN_ADMIN")
    boss = auth.log_in("boss@example.org")
    while_hashing(auth, monkeypatch, lambda: auth.parts.people.change(None, user["id"], {"level": "SUPER_USER"}, COMMAND_LINE))
    answer = auth.ask("POST", f"/users/{user['id']}/password", {"new_password": NEW}, token=boss)
    assert (answer.status_code, answer.json["code"]) == (403, "not-allowed")
    assert auth.log_in(USER)


@pytest.mark.parametrize("what", ["not active", "removed"])
def test_no_token_is_made_for_somebody_who_has_gone(auth: Auth, user: dict[str, Any], what: str) -> None:
    caller, _ = auth.parts.verifier.caller(auth.log_in(USER))
    ENDS[what](auth, user["id"])
    with pytest.raises(Refusal, match="token revoked"):
        auth.parts.access_tokens.add(caller, {"kind": "account"}, COMMAND_LINE)


def test_no_code_is_made_for_a_client_that_has_gone(auth: Auth, admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(auth, admin)
    browser = Browser(auth)
    browser.sign_in()
    give = auth.parts.authorizing.new_code

    def late(*given: Any) -> str:
        auth.parts.clients.remove(client["client_id"], COMMAND_LINE)
        return give(*given)

    monkeypatch.setattr(auth.parts.authorizing, "new_code", late)
    answer = browser.authorize(client["client_id"])
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


@pytest.mark.parametrize("what", ENDS)
def test_a_code_that_is_out_ends_with_the_sign_ins(auth: Auth, admin: str, user: dict[str, Any], what: str) -> None:
    client = client_of(auth, admin)
    browser = Browser(auth)
    browser.sign_in(USER)
    code = sent_back(browser.authorize(client["client_id"]))["code"]
    ENDS[what](auth, user["id"])
    answer = exchange(auth, client, code)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")


def test_no_code_comes_out_of_a_consent_after_them(auth: Auth, admin: str, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(auth, admin)
    browser = Browser(auth)
    browser.sign_in(USER)
    give = auth.parts.authorizing.new_code

    def late(*given: Any) -> str:
        auth.parts.people.set_password(None, user["id"], NEW, COMMAND_LINE)
        return give(*given)

    monkeypatch.setattr(auth.parts.authorizing, "new_code", late)
    answer = browser.authorize(client["client_id"])
    assert answer.status_code == 401
    assert "code=" not in answer.headers.get("Location", "")
    assert "<h1>" in answer.text


def test_one_jwt_revoked_by_many_at_once(auth: Auth, admin: str) -> None:
    known = auth.parts.authorizing.find_token(admin)
    assert known is not None
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: auth.parts.authorizing.revoke(known, COMMAND_LINE), range(8)))
    assert auth.verify(admin).json["code"] == "token-revoked"


def test_first_cut_offs_of_a_subject_at_once(auth: Auth, admin: str) -> None:
    def put(second: int) -> int:
        body = {"cut_off": f"2026-03-01T12:00:0{second}Z"}
        return auth.ask("PUT", "/role-tokens/cut-off/public", body, token=admin).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(put, range(8))) == {200}
    assert len(auth.ask("GET", "/role-tokens", token=admin).json["cut_offs"]) == 1


def test_a_domain_that_goes_while_a_user_is_added(auth: Auth, admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "domain", lambda *_: object())  # it was there a moment ago
    answer = auth.ask("POST", "/users", {"email": USER, "password": PASSWORD, "domain": "gone"}, token=admin)
    assert (answer.status_code, answer.json["fields"]) == (422, {"domain": ["No such domain."]})


def test_an_old_consent_form_is_refused_on_a_page(auth: Auth, admin: str) -> None:
    client = client_of(auth, admin)
    browser = Browser(auth)
    browser.sign_in(ADMIN)
    answer = browser.authorize(client["client_id"])
    assert answer.status_code == 303
    query = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": client["redirect_uris"][0],
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
    }
    forged = browser.client.post("/oauth/authorize", query_string=query, data={"csrf": "forged", "decision": "allow"})
    assert forged.status_code == 403
    assert forged.mimetype == "text/html"
    assert "too old" in forged.text


def test_the_last_use_never_goes_back(auth: Auth, admin: str) -> None:
    """Of two processes that write behind, the one with the older news may come last."""
    made = auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json
    now = auth.clock.now()
    for moment in (now, now - dt.timedelta(seconds=5)):
        auth.parts.last_used.note(made["id"], moment)
        auth.parts.last_used.flush()
    assert auth.ask("GET", "/me/tokens", token=admin).json["items"][0]["last_used_at"] == "2026-03-01T12:00:00.000Z"


def test_a_code_that_two_bring_at_once_ends_what_the_first_got(auth: Auth, admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(auth, admin)
    browser = Browser(auth)
    browser.sign_in()
    code = sent_back(browser.authorize(client["client_id"]))["code"]
    find, found = auth.parts.authorizing.find_code, []

    def as_before(*given: Any) -> Any:
        found.append(find(*given) if not found else found[0])  # the second saw it unused, too
        return found[-1]

    monkeypatch.setattr(auth.parts.authorizing, "find_code", as_before)
    first = exchange(auth, client, code)
    assert auth.verify(first.json["access_token"]).status_code == 200
    second = exchange(auth, client, code)
    assert (second.status_code, second.json["error"]) == (400, "invalid_grant")
    assert auth.verify(first.json["access_token"]).json["code"] == "token-revoked"


@pytest.mark.parametrize("with_client", [False, True])
def test_a_refresh_that_cannot_be_signed_spends_nothing(auth: Auth, admin: str, monkeypatch: pytest.MonkeyPatch, with_client: bool) -> None:
    """It is not an invalid grant: a client that hears so gives up its sign-in."""
    client = None
    tokens = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD}).json
    if with_client:
        client = client_of(auth, admin)
        browser = Browser(auth)
        browser.sign_in()
        tokens = exchange(auth, client, sent_back(browser.authorize(client["client_id"]))["code"]).json

    def away(*_: Any, **__: Any) -> None:
        raise refusals.signing_key_unreadable()

    with monkeypatch.context() as patched:
        patched.setattr(auth.parts.keys, "sign", away)
        assert refresh(auth, tokens["refresh_token"], client).status_code == 503
    assert refresh(auth, tokens["refresh_token"], client).status_code == 200
