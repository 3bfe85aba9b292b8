"""The pages of auth in a real browser, straight and behind the gateway's `/auth/`, with scripts and without, by mouse and by keyboard."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.console.browsing import PASSWORD, House, sign_in

pytestmark = pytest.mark.browser


def test_signing_in_and_out(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person)
    expect(page.get_by_role("heading", level=1)).to_have_text("My account")
    assert page.url == house.url + "/account"
    expect(page.get_by_label("Full name")).to_have_value("Ada")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto(house.url + "/account")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_wrong_password(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person, "a wrong password")
    expect(page.get_by_role("alert")).to_contain_text("E-mail or password is not right.")
    expect(page.get_by_label("E-mail")).to_have_value(person)
    expect(page.get_by_label("Password or login key")).to_have_value("")
    sign_in(page, house, person)
    expect(page.get_by_role("heading", level=1)).to_have_text("My account")


def test_signing_in_leads_back_to_the_page_that_was_asked_for(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person, path="/account/tokens")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tokens")


def test_by_keyboard_alone(page: Page, house: House, person: str) -> None:
    page.goto(house.url + "/account")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type(person)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("My account")


def test_signing_out_in_two_tabs(context: BrowserContext, page: Page, house: House, person: str) -> None:
    sign_in(page, house, person)
    other = context.new_page()
    other.goto(house.url + "/account/tokens")
    page.get_by_role("button", name="Sign out").click()
    other.get_by_role("button", name="Sign out").click()
    other.get_by_label("E-mail").fill(person)
    other.get_by_label("Password or login key").fill(PASSWORD)
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("My account")


def test_the_profile(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person)
    page.get_by_label("Full name").fill("Ada <b>Lovelace</b>")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Your profile was saved.")
    expect(page.get_by_label("Full name")).to_have_value("Ada <b>Lovelace</b>")
    page.get_by_label("E-mail").fill("nonsense")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("E-mail")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("E-mail")).to_be_focused()
    expect(page.get_by_label("E-mail")).to_have_accessible_description("Not a valid e-mail address.")


def test_the_password(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person)
    page.get_by_role("link", name="Password").click()
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill("short")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_label("New password")).to_be_focused()
    expect(page.get_by_label("New password")).to_have_accessible_description(re.compile("Shorter than 12 characters."))
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill("another horse battery")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("status")).to_contain_text("The password was changed.")
    assert house.ask("POST", "/login", {"email": person, "password": "another horse battery"}).status_code == 200


def test_the_login_key(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person)
    page.get_by_role("link", name="Login key").click()
    page.get_by_role("button", name="Make a key").click()
    key = page.get_by_label("The secret").input_value()
    assert house.ask("GET", "/me", auth=(person, key)).status_code == 200
    page.reload()
    expect(page.get_by_label("The secret")).to_have_count(0)
    page.get_by_role("link", name="Remove the key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Remove your login key?")
    page.get_by_role("link", name="Cancel").click()
    assert house.ask("GET", "/me", auth=(person, key)).status_code == 200
    page.get_by_role("link", name="Remove the key").click()
    page.get_by_role("button", name="Remove the key").click()
    expect(page.get_by_role("status")).to_have_text("Your login key was removed.")
    expect(page.get_by_text("You have no login key.")).to_be_visible()
    assert house.ask("GET", "/me", auth=(person, key)).status_code == 401


def test_tokens(page: Page, house: House, person: str) -> None:
    sign_in(page, house, person, path="/account/tokens")
    page.get_by_label("Label").fill("Greenhouse")
    page.get_by_label("Kind").select_option("Analysis")
    page.get_by_label("Permission").select_option("Read only")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_label("Access policy")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Access policy")).to_be_focused()
    expect(page.get_by_label("Label")).to_have_value("Greenhouse")
    expect(page.get_by_label("Ends")).to_have_value(str(30 * 24 * 3600))
    page.get_by_label("Access policy").fill("device: access, edit")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_role("status").first).to_contain_text("The token “Greenhouse” was made.")
    first = page.get_by_label("The secret").input_value()
    assert house.verify(first).json()["policy"] == [{"resource": "device", "actions": ["access", "edit"]}]
    page.reload()  # sends nothing again
    expect(page.get_by_role("region", name="Greenhouse")).to_have_count(1)
    expect(page.get_by_label("The secret")).to_have_count(0)
    page.get_by_role("link", name="Replace the token “Greenhouse”").click()
    assert house.verify(first).status_code == 200
    page.get_by_role("button", name="Replace the token").click()
    expect(page.get_by_role("status").first).to_contain_text("The token “Greenhouse” was replaced.")
    second = page.get_by_label("The secret").input_value()
    assert (house.verify(first).status_code, house.verify(second).status_code) == (401, 200)
    page.get_by_role("link", name="Remove the token “Greenhouse”").click()
    assert house.verify(second).status_code == 200
    page.get_by_role("button", name="Remove the token").click()
    expect(page.get_by_role("status")).to_have_text("The token “Greenhouse” was removed.")
    expect(page.get_by_text("You have none.")).to_be_visible()
    assert house.verify(second).status_code == 401


def test_a_secret_is_copied(context: BrowserContext, page: Page, house: House, person: str) -> None:
    """By the button, with the keyboard; without scripts, or where copying is not allowed, the secret is selected when one comes to it."""
    sign_in(page, house, person, path="/account/tokens")
    page.get_by_label("Label").fill("Shed")
    page.get_by_role("button", name="Make the token").click()
    field = page.get_by_label("The secret")
    secret = field.input_value()
    button = page.get_by_role("button", name="Copy")
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Tab")
    expect(field).to_be_focused()
    if button.count() == 0:
        page.keyboard.press("ControlOrMeta+c")
        page.get_by_label("Label").focus()
        page.keyboard.press("ControlOrMeta+v")
        expect(page.get_by_label("Label")).to_have_value(secret)
        return
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    expect(button).to_be_focused()
    page.evaluate("navigator.clipboard.writeText('')")
    page.evaluate("void (navigator.clipboard.writeText = () => Promise.reject())")  # as without TLS
    page.keyboard.press("Enter")
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
