"""What a page tells once, and forms that are sent twice."""

from __future__ import annotations

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from services.auth.credentials.service import notes
from services.auth.models import BrowserSession, Note
from tests.unit.auth.browsing import (
    TOKEN,
    Browser,
    hidden,
    made,
    send,
    shown_secret,
    told,
)
from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth


def test_a_form_sent_once_is_done_once(auth: Auth, browser: Browser) -> None:
    """What a browser loads again after a form is the page that it was led to."""
    answer = send(browser, "/account/tokens", **TOKEN)
    for _ in range(3):
        assert browser.client.get(answer.location).status_code == 200
    assert auth.ask("GET", "/me/tokens", basic=(ADMIN, PASSWORD)).json["total"] == 1


def test_a_form_sent_twice_makes_one_token(auth: Auth, browser: Browser) -> None:
    page = browser.client.get("/account/tokens").text
    form = {"csrf": hidden(page, "csrf"), "once": hidden(page, "once"), **TOKEN}
    wrong = browser.client.post("/account/tokens", data={**form, "policy": "x"})
    assert (wrong.status_code, hidden(wrong.text, "once") not in ("", form["once"])) == (422, True)
    answers = [browser.client.post("/account/tokens", data=form) for _ in range(2)]
    assert answers[0].location == answers[1].location
    assert "was made" in told(browser, answers[1], "/account/tokens").text
    again = told(browser, browser.client.post("/account/tokens", data=form), "/account/tokens")
    assert "was sent before, and was not done again" in again.text
    assert auth.ask("GET", "/me/tokens", basic=(ADMIN, PASSWORD)).json["total"] == 1
    for other in (hidden(again.text, "once"), "x" * 5000, "é" * 22, ""):
        made(browser, "/account/tokens", once=other, **TOKEN)
    assert auth.ask("GET", "/me/tokens", basic=(ADMIN, PASSWORD)).json["total"] == 5


def test_two_requests_of_one_form_at_once_make_one_token(auth: Auth, browser: Browser) -> None:
    page = browser.client.get("/account/tokens").text
    form = {"csrf": hidden(page, "csrf"), "once": hidden(page, "once"), **TOKEN}
    cookie = browser.client.get_cookie("gatehouse_session")
    assert cookie is not None

    def post(_: int) -> str:
        client = auth.app.test_client()
        client.set_cookie("gatehouse_session", cookie.value)
        answer = client.post("/account/tokens", data=form)
        assert answer.status_code == 303
        return answer.location

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(post, range(4)))) == 1
    assert auth.ask("GET", "/me/tokens", basic=(ADMIN, PASSWORD)).json["total"] == 1


def test_a_sign_in_that_ends_meanwhile_makes_no_token(auth: Auth, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    add = auth.parts.access_tokens.add

    def ended(*given: Any) -> Any:
        auth.parts.database.run(lambda session: session.execute(sa.delete(BrowserSession)))
        return add(*given)

    monkeypatch.setattr(auth.parts.access_tokens, "add", ended)
    answer = send(browser, "/account/tokens", **TOKEN)
    assert (answer.status_code, answer.location) == (303, "/account/sign-in?next=%2Faccount%2Ftokens")
    assert auth.ask("GET", "/me/tokens", basic=(ADMIN, PASSWORD)).json["total"] == 0


def test_what_waits_to_be_told_is_bounded(auth: Auth, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "MOST", 3)
    for number in range(5):
        auth.clock.move(1)
        last = send(browser, "/account", email=ADMIN, full_name=f"A {number}").location
    with auth.parts.database.read() as session:
        assert len(session.scalars(sa.select(Note)).all()) == 3
    assert "was saved" in browser.client.get(last).text


def test_the_secret_is_for_this_browser_alone_and_for_a_few_minutes(auth: Auth, browser: Browser) -> None:
    other = Browser(auth)
    other.sign_in()
    here = send(browser, "/account/tokens", **TOKEN).location
    assert "gh_ana_" not in other.client.get(here).text
    assert "gh_ana_" not in auth.app.test_client().get(here, follow_redirects=True).text
    assert browser.client.head(here).status_code == 200
    assert "gh_ana_" in browser.client.get(here).text
    late = send(browser, "/account/tokens", **TOKEN).location
    auth.clock.move(301)
    assert "gh_ana_" not in browser.client.get(late).text
    auth.parts.forget_expired()
    with auth.parts.database.read() as session:
        assert session.scalars(sa.select(Note)).all() == []


def test_what_waits_to_be_told_is_no_secret_to_who_reads_the_database(auth: Auth, browser: Browser) -> None:
    answer = send(browser, "/account/tokens", **TOKEN)
    with auth.parts.database.read() as session:
        kept = session.scalars(sa.select(Note)).one()
    secret = shown_secret(browser.client.get(answer.location))
    sealed = kept.sealed + kept.id + kept.session
    assert secret.startswith("gh_ana_")
    assert secret not in sealed + answer.text + str(answer.headers)
    assert secret.encode() not in base64.b64decode(kept.sealed)


def test_what_waits_to_be_told_ends_with_the_sign_in(auth: Auth, browser: Browser) -> None:
    here = send(browser, "/account/tokens", **TOKEN).location
    cookie = browser.client.get_cookie("gatehouse_session")
    assert cookie is not None
    send(browser, "/account", "/account/sign-out")
    browser.client.set_cookie("gatehouse_session", cookie.value)
    assert browser.client.get(here).status_code == 303
    with auth.parts.database.read() as session:
        assert session.scalars(sa.select(Note)).all() == []


def test_a_login_key_that_replaces_itself_is_shown_all_the_same(auth: Auth, browser: Browser) -> None:
    """The sign-in ends with the old key, so no page of it could show the new one."""
    key = made(browser, "/account/login-key")
    by_key = Browser(auth)
    by_key.sign_in(password=key)
    form = {"csrf": by_key.csrf("/account/login-key/replace")}
    answer = by_key.client.post("/account/login-key", data=form)
    assert answer.status_code == 201
    assert auth.verify_basic(ADMIN, shown_secret(answer)).status_code == 200
    again = by_key.client.post("/account/login-key", data=form)
    assert urlsplit(again.location).path == "/account/sign-in"
    assert auth.verify_basic(ADMIN, shown_secret(answer)).status_code == 200


def test_who_ends_the_own_sign_in_is_told_when_signing_in(auth: Auth, browser: Browser) -> None:
    by_key = Browser(auth)
    by_key.sign_in(password=made(browser, "/account/login-key"))
    answer = send(by_key, "/account/login-key/remove")
    assert "It ended your sign-in" in by_key.client.get(answer.location).text
    assert "You are signed out." in browser.client.get(send(browser, "/account", "/account/sign-out").location).text


def test_only_a_page_with_a_secret_runs_a_script(browser: Browser) -> None:
    shown = browser.client.get(send(browser, "/account/tokens", **TOKEN).location)
    nonce = re.search(r"script-src 'nonce-([\w-]+)'; ", shown.headers["Content-Security-Policy"])
    assert nonce is not None
    assert re.search(rf'<script type="module" src="/account/assets/copy.js\?v=\w+" nonce="{nonce[1]}"></script>', shown.text)
    assert "<script" not in browser.client.get("/account/tokens").text
