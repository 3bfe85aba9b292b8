"""The pages in a browser, driven by the keyboard: the archive, and a visitor from the pass to the token."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.processes import Process, running
from tests.system.test_tokens_service import SVG, Client, environment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]


@pytest.fixture
def service(sqlite_url: str, tmp_path: Path) -> Iterator[tuple[str, Process]]:
    with running("tokens", environment(sqlite_url, tmp_path), tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A phone in the dark; anything the page reports as an error fails the test."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark", has_touch=True)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" and "status of 504" not in line.text else None)
    yield page
    context.close()
    assert errors == []


def archive(url: str, keywords: list[str], svg: str = SVG) -> str:
    status, body = Client(url, "generator").send("PUT", "/token", {"svg": svg, "generated": "2026-05-01T12:00:00Z", "keywords": keywords})
    assert status == 200, body
    found: str = json.loads(body)["id"]
    return found


def test_archive_scrolls_to_the_oldest(service: tuple[str, Process], page: Page) -> None:
    url, _ = service
    ids = [archive(url, ["care", "water", f"n{number}"]) for number in range(60)]
    page.goto(url + "/")
    cards = page.locator("#grid li")
    expect(cards.first).to_contain_text("care, water, n59")
    expect(page.locator("#total")).to_have_text("60 tokens, the newest first")
    page.wait_for_function("document.querySelector('#grid img').naturalWidth > 0")
    while (before := cards.count()) < 60:
        cards.last.scroll_into_view_if_needed()
        page.wait_for_function("before => document.querySelectorAll('#grid li').length > before", arg=before)
    texts = cards.locator(".words").all_text_contents()
    assert texts == [f"care, water, n{number}" for number in reversed(range(60))]
    expect(page.locator("#more")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    links = cards.first.locator("a")
    assert [link.get_attribute("href") for link in links.all()] == [f"/{kind}?id={ids[-1]}&download" for kind in ("svg", "png")]
    for kind in ("SVG", "PNG"):
        with page.expect_download() as download:
            links.filter(has_text=kind).click()
        assert download.value.suggested_filename == f"token-{ids[-1]}.{kind.lower()}"


def test_empty_archive(service: tuple[str, Process], page: Page) -> None:
    page.goto(service[0] + "/")
    expect(page.locator("#total")).to_have_text("No tokens yet.")


def test_visitor_by_keyboard(service: tuple[str, Process], page: Page) -> None:
    url, _ = service
    generator = Client(url, "generator")
    pass_ = Client(url, "exhibition")._headers["Authorization"].partition(" ")[2]
    page.goto(f"{url}/visitor#token={pass_}")
    expect(page).to_have_url(f"{url}/visitor")  # the pass does not stay in the address
    ask = page.get_by_role("button", name="Ask for a turn")
    ask.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Choose three words")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
    expect(page.locator("#chosen")).to_have_text("3 of 3 chosen")
    expect(page.get_by_label("river")).to_be_disabled()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#position")).to_be_visible()
    new = generator.json("/new_interaction_updates")
    assert new["keywords"] == ["care", "future", "water"]
    generator.get("/update_interaction", id=new["id"], queue_position=3)
    expect(page.locator("#position")).to_have_text("Place 3 in the queue")
    page.reload()
    expect(page.locator("#position")).to_have_text("Place 3 in the queue")
    generator.get("/update_interaction", id=new["id"], token_id=archive(url, ["care", "future", "water"]))
    expect(page.get_by_role("img", name="Token of the words care, future, water")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def served(generator: Client, url: str, visitor: Client) -> None:
    """Another visitor's whole turn."""
    turn = visitor.json("/request_interaction")["id"]
    visitor.get("/deposit_interaction", id=turn, keywords="a,b,c")
    generator.get("/update_interaction", id=turn, token_id=archive(url, ["a", "b", "c"]))


def test_visitor_sees_how_long_it_takes_and_leaves(service: tuple[str, Process], page: Page) -> None:
    url, _ = service
    generator, visitor = Client(url, "generator"), Client(url, "exhibition")
    page.goto(f"{url}/visitor#token={visitor._headers['Authorization'].partition(' ')[2]}")
    page.get_by_role("button", name="Ask for a turn").click()
    for word in ("care", "future", "water"):
        page.get_by_label(word).check()
    page.get_by_role("button", name="Send my words").click()
    expect(page.get_by_role("heading", name="Your turn")).to_be_focused()
    turn = generator.json("/new_interaction_updates")["id"]
    generator.get("/update_interaction", id=turn, queue_position=3)
    expect(page.locator("#estimate")).to_have_text("How long it takes is not known yet.")
    for _ in range(3):
        served(generator, url, visitor)
    generator.get("/update_interaction", id=turn, queue_position=2)
    expect(page.locator("#estimate")).to_have_text("Your token will be ready in less than a minute.")

    page.get_by_role("button", name="Leave the queue").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Give up your turn?")).to_be_focused()
    page.get_by_role("link", name="Skip to the content").press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    expect(page.get_by_role("heading", name="Give up your turn?")).to_be_visible()
    page.get_by_role("button", name="Keep my turn").click()
    expect(page.get_by_role("button", name="Leave the queue")).to_be_focused()
    assert visitor.send("GET", f"/interaction_updates?id={turn}&timeout=0")[0] == 200
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Give it up").click()
    expect(page.get_by_text("You gave up your turn.")).to_be_visible()
    expect(page.get_by_role("button", name="Ask for a turn")).to_be_focused()
    assert visitor.send("GET", f"/interaction_updates?id={turn}&timeout=0")[0] == 404
    page.reload()
    expect(page.get_by_role("button", name="Ask for a turn")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_visitor_with_a_bad_pass(service: tuple[str, Process], browser: Browser) -> None:
    url, _ = service
    page = browser.new_page()
    page.goto(url + "/visitor")
    page.get_by_label("Pass").fill("nonsense")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Ask for a turn").click()
    expect(page.get_by_role("alert")).to_have_text("This pass is not valid.")
    expect(page.get_by_label("Pass")).to_be_visible()
    page.close()
