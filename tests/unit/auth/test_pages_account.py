"""The pages of one's own account: profile, password, login key, tokens."""

from __future__ import annotations

import html
import re

import pytest

from tests.unit.auth.browsing import (
    TOKEN,
    Browser,
    made,
    send,
    shown_secret,
    told,
)
from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth


def test_too_many_wrong_current_passwords_say_when_to_come_back(browser: Browser) -> None:
    form = {"current_password": "a wrong password", "new_password": "another horse battery"}
    answers = [send(browser, "/account/password", **form) for _ in range(6)]
    assert [one.status_code for one in answers] == [422] * 5 + [429]
    assert answers[-1].headers["Retry-After"] == "2"


def test_the_profile(browser: Browser) -> None:
    page = told(browser, send(browser, "/account", full_name="<Ada>", email="ada@example.org"), "/account").text
    assert "Your profile was saved." in page
    assert 'value="&lt;Ada&gt;"' in page
    answer = send(browser, "/account", full_name="Ada", email="nonsense")
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert "Not a valid e-mail address." in answer.text


def test_the_password_page_keeps_this_sign_in_and_ends_others(auth: Auth, admin: str, browser: Browser) -> None:
    answer = send(browser, "/account/password", current_password="a wrong password", new_password="another horse battery")
    assert answer.status_code == 422
    assert "Not the current password." in answer.text
    answer = send(browser, "/account/password", current_password=PASSWORD, new_password="another horse battery")
    assert "The password was changed." in told(browser, answer, "/account/password").text
    assert browser.client.get("/account").status_code == 200
    assert auth.ask("GET", "/me", token=admin).status_code == 401


def test_the_login_key_page(auth: Auth, browser: Browser) -> None:
    key = made(browser, "/account/login-key")
    assert auth.verify_basic(ADMIN, key).status_code == 200
    page = browser.client.get("/account/login-key").text
    assert key not in page
    for way, button in (("replace", "Replace the key"), ("remove", "Remove the key")):
        assert f'href="/account/login-key/{way}"' in page
        asked = browser.client.get(f"/account/login-key/{way}")
        assert (asked.status_code, button in asked.text) == (200, True)
    assert auth.verify_basic(ADMIN, key).status_code == 200
    answer = send(browser, "/account/login-key/remove")
    assert "Your login key was removed." in told(browser, answer, "/account/login-key").text
    assert "You have no login key." in browser.client.get("/account/login-key").text
    assert "You had no login key." in told(browser, send(browser, "/account/login-key/remove"), "/account/login-key").text


def test_the_tokens_page(auth: Auth, browser: Browser) -> None:
    answer = told(browser, send(browser, "/account/tokens", **TOKEN), "/account/tokens")
    assert "The token “Lab &lt;1&gt;” was made." in answer.text
    secret = shown_secret(answer)
    verified = auth.verify(secret).json
    assert verified["policy"] == [{"resource": "device", "actions": ["read", "edit"]}, {"resource": "bucket", "actions": ["read"]}]
    page = browser.client.get("/account/tokens").text
    assert "Lab &lt;1&gt;" in page
    assert '<time datetime="2026-03-02T12:00:00Z">2 Mar 2026, 12:00 UTC</time>' in page
    assert secret not in page
    path = "/account/tokens/" + page.partition('href="/account/tokens/')[2].partition("/")[0]
    for way in ("rotate", "remove"):
        asked = browser.client.get(f"{path}/{way}")
        assert (asked.status_code, "the token “Lab &lt;1&gt;”?" in asked.text) == (200, True)
    assert auth.verify(secret).status_code == 200
    answer = told(browser, send(browser, path + "/rotate"), "/account/tokens")
    assert "The token “Lab &lt;1&gt;” was replaced." in answer.text
    assert auth.verify(shown_secret(answer)).status_code == 200
    assert auth.verify(secret).status_code == 401
    asked = browser.csrf(path + "/remove")
    answer = browser.client.post(path + "/remove", data={"csrf": asked})
    assert "The token “Lab &lt;1&gt;” was removed." in told(browser, answer, "/account/tokens").text
    assert "You have none." in browser.client.get("/account/tokens").text
    again = told(browser, browser.client.post(path + "/remove", data={"csrf": asked}), "/account/tokens")
    assert "This token is not there any more." in again.text
    assert browser.client.get(path + "/remove").status_code == 404


def test_a_token_ends_after_30_days_unless_chosen_otherwise(auth: Auth, browser: Browser) -> None:
    assert '<option value="2592000" selected>In 30 days</option>' in browser.client.get("/account/tokens").text
    for chosen, end in (
        ({}, "2026-03-31T12:00:00.000Z"),
        ({"expires_in": "86400"}, "2026-03-02T12:00:00.000Z"),
        ({"expires_in": "never"}, None),
    ):
        secret = made(browser, "/account/tokens", kind="account", permission="full", **chosen)
        assert auth.verify(secret).json["expires_at"] == end


def test_the_api_leaves_the_end_to_its_caller(auth: Auth, admin: str) -> None:
    assert auth.ask("POST", "/me/tokens", {"kind": "account"}, token=admin).json["expires_at"] is None


def test_a_token_that_has_ended_says_so(auth: Auth, browser: Browser) -> None:
    made(browser, "/account/tokens", **TOKEN)
    assert ">Ended<" not in browser.client.get("/account/tokens").text
    auth.clock.move(86_400)
    browser.sign_in()
    assert ">Ended<" in browser.client.get("/account/tokens").text


def marked(page: str) -> dict[str, str]:
    """What stands at the fields that are wrong: each takes the focus and is described by its mistake."""
    names = re.findall(r'name="(\w+)"[^>]* aria-invalid="true" autofocus aria-describedby="\1-wrong', page)
    return {name: html.unescape(page.partition(f'id="{name}-wrong">')[2].partition("<")[0]) for name in names}


MISTAKES: list[tuple[str, dict[str, str], str, str]] = [
    ("/account", {"full_name": "x" * 201, "email": ADMIN}, "full_name", "Longer than maximum length 200."),
    ("/account", {"full_name": "Ada", "email": "nonsense"}, "email", "Not a valid e-mail address."),
    ("/account/password", {"current_password": PASSWORD, "new_password": "tooshort"}, "new_password", "Shorter than 12 characters."),
    ("/account/password", {"current_password": "wrong one", "new_password": "tooshort"}, "current_password", "Not the current password."),
    (
        "/account/tokens",
        {**TOKEN, "policy": "device: read\ndevice"},
        "policy",
        "Line 2 has no colon. Write the resource, a colon, and what may be done.",
    ),
    ("/account/tokens", {**TOKEN, "policy": ""}, "policy", "A token of kind analysis needs at least one entry."),
    ("/account/tokens", {**TOKEN, "label": "x" * 101}, "label", "Longer than maximum length 100."),
    ("/account/tokens", {**TOKEN, "expires_in": "soon"}, "expires_in", "Choose one from the list."),
    ("/account/tokens", {**TOKEN, "kind": "x"}, "kind", "Must be one of: account, analysis, middleware."),
]


def test_a_mistake_is_told_at_its_field(browser: Browser) -> None:
    for page, form, field, words in MISTAKES:
        answer = send(browser, page, **form)
        assert answer.status_code == 422
        assert marked(answer.text) == {field: words}
        assert "<title>Error: " in answer.text
        for name, typed in form.items():
            if name not in ("kind", "expires_in"):
                assert (html.escape(typed) in answer.text) != name.endswith("password"), (words, name)


@pytest.mark.parametrize(
    "form", [{"kind": "analysis", "permission": "read", "policy": ""}, {"kind": "x", "permission": "y", "policy": ":"}]
)
def test_a_wrong_token_form_says_so(browser: Browser, form: dict[str, str]) -> None:
    answer = send(browser, "/account/tokens", **form)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
