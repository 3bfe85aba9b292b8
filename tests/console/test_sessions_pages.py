"""The API of sessions in a real browser, straight and behind the gateway: all by forms and links, without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.console.readable import check_readable
from tests.support.sessions_house import PASSWORD, House, email, sessions_auth, sessions_house

pytestmark = pytest.mark.browser

EVENTS = "/api/services/event/IOServicesEventType/"


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("sessions-pages")
    with sessions_auth(folder) as auth, sessions_house(auth, f"sqlite:///{folder}/sessions.db", folder, ["sessions"]) as house:
        yield house


@pytest.fixture(params=["straight", "behind the gateway"])
def root(request: pytest.FixtureRequest, sessions: House) -> str:
    return sessions.straight if request.param == "straight" else sessions.url


def signed_in(chromium: Browser, name: str, **options: Any) -> BrowserContext:
    context = chromium.new_context(http_credentials={"username": email(name), "password": PASSWORD}, **options)
    context.set_default_timeout(30_000)
    return context


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Page]:
    context = signed_in(chromium, "edit", java_script_enabled=False)
    yield context.new_page()
    context.close()


_names = iter(range(1_000_000))


def fire(page: Page) -> None:
    """Press the button of the form."""
    with page.expect_navigation():
        page.get_by_role("button", name="Fire", exact=False).click()


def go(page: Page, name: str | re.Pattern[str]) -> None:
    """Follow a link."""
    with page.expect_navigation():
        page.get_by_role("link", name=name).first.click()


def joined(page: Page, root: str) -> None:
    """Create a project, start it and join it, from the first page on; ends on the page that tells the tokens."""
    page.goto(f"{root}/api/")
    go(page, "Projects and sessions")
    go(page, "CREATE_NEW_PROJECT")
    page.get_by_label("name").fill(f"pages-{next(_names)}")
    fire(page)
    go(page, re.compile("^Start "))
    page.get_by_label("sessionType").select_option("MULTI")
    fire(page)
    go(page, re.compile("^Join session"))
    page.get_by_label("computerName").fill("<b>browser</b>")
    fire(page)


def test_a_person_starts_joins_selects_and_leaves_by_forms_only(browser: Page, root: str) -> None:
    joined(browser, root)
    go(browser, re.compile("^Open session"))
    expect(browser.get_by_role("heading", level=1)).to_be_visible()
    go(browser, "Its events")
    go(browser, "STAKEHOLDER_SELECT")
    expect(browser.get_by_label("clientToken")).not_to_have_value("")
    browser.get_by_label("stakeholderID").fill("1")
    fire(browser)
    expect(browser.get_by_role("status")).to_have_text("Done. The answer:")
    expect(browser.locator(".plain-value")).to_have_text("true")
    go(browser, "This session")
    go(browser, re.compile("^items"))
    go(browser, re.compile("^STAKEHOLDERS"))
    expect(browser.get_by_role("row", name=re.compile("Stakeholder 2"))).to_contain_text("<b>browser</b>")
    assert browser.url.startswith(f"{root}/api/")
    go(browser, "Leave this session")
    expect(browser.get_by_label("sessionID")).not_to_have_value("")
    fire(browser)
    expect(browser.locator(".plain-value")).to_have_text("true")


def test_a_mistake_is_told_beside_its_field(browser: Page, root: str) -> None:
    browser.goto(f"{root}{EVENTS}CREATE_NEW_PROJECT/")
    browser.get_by_label("name").fill("No Good Name!")
    fire(browser)
    expect(browser.get_by_role("alert")).to_contain_text("3 to 20 small letters")
    expect(browser.get_by_label("name")).to_have_value("No Good Name!")
    browser.get_by_label("name").fill(f"good-{next(_names)}")
    fire(browser)
    expect(browser.get_by_role("status")).to_have_text("Done. The answer:")


def test_by_keyboard_alone(browser: Page, root: str) -> None:
    browser.goto(f"{root}{EVENTS}CREATE_NEW_PROJECT/")
    browser.keyboard.press("Tab")
    expect(browser.get_by_text("Skip to the content")).to_be_focused()
    browser.keyboard.press("Enter")
    for _ in range(10):
        browser.keyboard.press("Tab")
        if browser.get_by_label("name").evaluate("element => element === document.activeElement"):
            break
    browser.keyboard.type(f"keys-{next(_names)}")
    with browser.expect_navigation():
        browser.keyboard.press("Enter")
    expect(browser.get_by_role("status")).to_have_text("Done. The answer:")


def test_without_an_account_there_is_a_page_that_says_so(chromium: Browser, root: str) -> None:
    context = chromium.new_context(http_credentials={"username": "nobody@example.org", "password": "wrong"})
    page = context.new_page()
    answer = page.goto(f"{root}/api/")
    assert answer is not None
    assert answer.status == 401
    context.close()


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_every_kind_of_page_is_readable(chromium: Browser, sessions: House, width: int, scheme: Any) -> None:
    root = sessions.url
    context = signed_in(chromium, "edit", viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text) if message.type in ("error", "warning") else None)
    joined(page, root)
    check_readable(page)
    go(page, re.compile("^Open session"))
    check_readable(page)
    token = page.url.partition("?")[2]
    paths = [
        "/api/", "/api/services/", EVENTS, f"{EVENTS}START_NEW_SESSION/", "/api/session/event/logic/",
        "/api/session/event/logic/BUILDING_PLACE/", "/api/session/items/STAKEHOLDERS/", "/api/session/items/LOGS/",
    ]  # fmt: skip
    for path in paths:
        page.goto(f"{root}{path}?{token}")
        expect(page.locator("main")).to_have_css("padding-bottom", "64px")
        check_readable(page)
    page.goto(f"{root}{EVENTS}START_NEW_SESSION/")
    page.get_by_label("project").fill("w" * 64)
    assert messages == []
    fire(page)
    expect(page.get_by_role("alert")).to_be_visible()
    check_readable(page)
    context.close()


def test_no_page_asks_for_anything_outside(browser: Page, root: str) -> None:
    asked: list[str] = []
    browser.on("request", lambda request: asked.append(request.url))
    joined(browser, root)
    assert all(one.startswith(f"{root}/") for one in asked)
    assert [one for one in asked if "/pages/sessions.css" in one]
