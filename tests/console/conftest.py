"""The pages of auth, straight and behind the gateway, and browsers with and without scripts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.console.browsing import ADMIN, PASSWORD, SERVICE, House
from tests.support.gateway import definition, gateway
from tests.support.processes import running


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("auth-pages")
    env = {
        "AUTH_DATABASE_URL": f"sqlite:///{folder}/auth.db",
        "AUTH_DATA": str(folder / "auth"),
        "AUTH_ADMIN_PASSWORD": PASSWORD,
        "AUTH_SERVICE_CLIENTS": "=".join(SERVICE),
        "AUTH_ARGON2_MEMORY_KIB": "8192",
    }
    with running("auth", env, folder) as (url, _):
        yield url


@pytest.fixture(scope="module", params=["straight", "behind the gateway"])
def house(request: pytest.FixtureRequest, direct: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if request.param == "straight":
        yield House(direct, direct, {})
        return
    with gateway(tmp_path_factory.mktemp("gateway"), [definition("auth", f"{direct}/")]) as proxy:
        starts = {f"{proxy.url}/": "Nothing listens here", f"{proxy.operator_url}/": "The operator's port"}
        yield House(f"{proxy.url}/auth", direct, starts)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    binary = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def context(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(java_script_enabled=request.param)
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


_people = iter(range(1_000_000))


@pytest.fixture
def person(house: House) -> str:
    """A user of this test alone, with PASSWORD."""
    email = f"person{next(_people)}@example.org"
    body = {"email": email, "password": PASSWORD, "domain": "gatehouse", "full_name": "Ada"}
    assert house.ask("POST", "/users", body, auth=(ADMIN, PASSWORD)).status_code == 201
    return email
