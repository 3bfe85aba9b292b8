"""Every page of auth is readable: on a small telephone, in the dark, with names for all fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from tests.console.browsing import ADMIN, PASSWORD, House, request_of, sign_in
from tests.console.readable import check_readable

pytestmark = pytest.mark.browser


PAGES = [
    "/account/sign-in", "/", "/account", "/account/password", "/account/login-key", "/account/login-key/remove", "/account/tokens",
]  # fmt: skip


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_readable(chromium: Browser, house: House, person: str, width: int, scheme: Any) -> None:
    """No sideways scrolling on a small telephone, text of enough contrast (WCAG 2.2: 4.5), every field and button has a name."""
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text) if message.type in ("error", "warning") else None)
    page.goto(house.url + PAGES[0])
    check_readable(page)
    sign_in(page, house, person)
    back = "https://" + "long-" * 20 + "name.example.org/back"
    client = {"name": "A" * 100, "redirect_uris": [back], "public": True}
    client_id = house.ask("POST", "/clients", client, auth=(ADMIN, PASSWORD)).json()["client_id"]
    for path in [*PAGES[1:], "/oauth/authorize?" + urlencode(request_of(client_id, back))]:
        page.goto(house.url + path)
        check_readable(page)
    page.goto(house.url + "/account/tokens")
    page.get_by_label("Label").fill("averylongwordwithoutablank" * 3)
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    check_readable(page)
    page.get_by_role("link", name="Remove the token").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Remove the token")
    check_readable(page)
    assert messages == []
    for address, heading in house.starts.items():
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        expect(page.locator("header")).to_have_css("display", "flex")
        check_readable(page)
    assert [text for text in messages if "404" not in text] == []
    context.close()


def test_a_screenshot_for_the_documentation(chromium: Browser, house: House, person: str, tmp_path: Path) -> None:
    """The style sheet is there and counts: the page is not the browser's bare default."""
    page = chromium.new_page()
    sign_in(page, house, person, path="/account/tokens")
    expect(page.locator(".card").first).to_have_css("border-radius", "8px")
    picture = tmp_path / "tokens.png"
    page.screenshot(path=str(picture), full_page=True)
    assert picture.stat().st_size > 10_000
    page.close()
