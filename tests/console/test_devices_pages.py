"""The pages of devices in a real browser, behind the gateway's `/devices/` as it is deployed: list, search, charts, live values, CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.console.readable import check_readable
from tests.support.fake_auth import FakeAuth
from tests.support.gateway import gateway
from tests.support.processes import ROOT, running

pytestmark = pytest.mark.browser

ACCOUNT, OTHER = "gh_acc_console", "gh_acc_nobody"
NOW = dt.datetime.now(dt.UTC)


class Devices:
    """The service, where a browser finds it (`url`, and `on_host`, a host of its own), and an account with devices."""

    def __init__(self, url: str, on_host: str = "") -> None:
        self.url = url
        self.on_host = on_host

    def send(self, method: str, path: str, token: str = ACCOUNT, body: Any = None) -> Any:
        answer = requests.request(method, self.url + path, json=body, headers={"Token": token}, timeout=20)
        assert answer.ok, answer.text
        return answer.json()["result"]

    def device(self, name: str, **fields: Any) -> tuple[str, str]:
        """Create a device: (id, its token)."""
        made = self.send("POST", "/device", body={"name": name, "type": "mutable", **fields})
        return made["device_id"], made["token"]


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devices]:
    folder = tmp_path_factory.mktemp("devices-pages")
    auth = FakeAuth()
    auth.add(ACCOUNT, "one")
    env = {
        "DEVICES_DATABASE_URL": f"sqlite:///{folder}/devices.db",
        "DEVICES_DATA": str(folder / "devices"),
        "DEVICES_AUTH_SECRET": "a secret",
        "AUTH_URL": auth.url,
    }
    deployed = [json.loads((ROOT / f"deploy/apis/{name}.json").read_text()) for name in ("devices", "devices-host")]
    with running("devices", env, folder) as (url, _), gateway(folder, deployed, {"UPSTREAM_DEVICES": url}) as proxy:
        yield Devices(f"{proxy.url}/devices", f"http://devices.localhost:{proxy.port}")
    auth.close()


@pytest.fixture(scope="module")
def greenhouse(devices: Devices) -> tuple[str, str]:
    """A device with a day of temperatures, a switch, messages and a place, among others."""
    found = devices.device("Greenhouse", tags=[{"key": "site", "value": "north"}])
    for number in range(60):
        devices.device(f"Sensor {number:02}")
    devices.device("Averylongnamewithoutablank" * 3, active=False)
    start = NOW - dt.timedelta(hours=23)
    records: list[dict[str, Any]] = [
        {"variable": "temperature", "value": 20 + number / 10, "unit": "°C", "time": (start + dt.timedelta(minutes=5 * number)).isoformat()}
        for number in range(100)
    ]
    records += [
        {"variable": "pump", "value": number % 2 == 0, "time": (start + dt.timedelta(hours=number)).isoformat()} for number in range(9)
    ]
    records += [
        {"variable": "message", "value": '=HYPERLINK("http://evil.example")', "time": start.isoformat()},
        {"variable": "message", "value": 'a "quoted", long word', "group": "second"},
        {"variable": "counter", "value": 12345678901234567890},
        {"variable": "counter", "value": -5, "time": start.isoformat()},
        {"variable": "place", "location": {"lat": -35.7, "lng": 78.6}},
    ]
    devices.send("POST", "/data", found[1], records)
    return found


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page; what its scripts fail with, or its policy forbids, fails the test."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console", lambda line: errors.append(line.text) if line.type == "error" and "Failed to load resource" not in line.text else None
    )
    yield page
    assert errors == []


def enter(page: Page, devices: Devices, token: str, path: str = "/") -> None:
    page.goto(devices.url + path)
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Token")).to_have_count(0)


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def chart(page: Page, variable: str) -> Any:
    """The card of a variable, in sight and drawn."""
    card = page.get_by_role("region", name=variable, exact=True)
    expect(card).to_be_attached()
    card.evaluate("""async (card) => {
        while (!card.classList.contains("drawn") || card.hasAttribute("aria-busy")) {
            card.scrollIntoView({block: "center", behavior: "instant"});
            await new Promise(requestAnimationFrame);
        }
    }""")
    return card


def test_by_keyboard_alone(page: Page, devices: Devices, greenhouse: tuple[str, str]) -> None:
    page.goto(devices.url + "/")
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(OTHER)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This token is not valid, or no longer.")
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(ACCOUNT)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your devices")).to_be_focused()
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(50)
    page.keyboard.press("Tab")
    page.keyboard.type("house")
    expect(page.get_by_text("1 device named like “house”")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Greenhouse")).to_be_focused()
    assert page.url == f"{devices.url}/view/{greenhouse[0]}"

    card = chart(page, "temperature")
    card.get_by_role("group", name="Chart of temperature").focus()
    page.keyboard.press("End")
    expect(card.locator(".readout")).to_contain_text(": 29.9 °C")
    page.keyboard.press("ArrowLeft")
    expect(card.locator(".readout")).to_contain_text(": 29.8 °C")
    page.keyboard.press("Home")
    expect(card.locator(".readout")).to_contain_text(": 20 °C")
    page.go_back()
    heading(page, "Your devices")
    expect(page.get_by_label("Search")).to_have_value("house")


def test_search_takes_signs_as_they_are_and_finds_ids(page: Page, devices: Devices, greenhouse: tuple[str, str]) -> None:
    enter(page, devices, ACCOUNT)
    more = page.get_by_role("button", name="More devices")
    more.click()
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(62)
    expect(more).to_be_hidden()
    for text in ("%", "_", "'"):
        page.get_by_label("Search").fill(text)
        expect(page.get_by_text(f"No device is named like “{text}”.")).to_be_visible()
    page.get_by_label("Search").fill(greenhouse[0])
    expect(page.get_by_role("main").get_by_role("listitem")).to_contain_text(["Greenhouse"])


def test_values_appear_as_they_come(page: Page, devices: Devices) -> None:
    made, token = devices.device("Live")
    enter(page, devices, ACCOUNT, f"/view/{made}")
    heading(page, "Live")
    expect(page.get_by_text("This device has sent nothing yet.")).to_be_visible()
    expect(page.get_by_text("Live: values as they come")).to_be_visible()
    devices.send("POST", "/data", token, {"variable": "level", "value": 41.5, "unit": "cm"})
    row = page.get_by_role("row", name=re.compile("^level"))
    expect(row).to_contain_text("41.5 cm")
    card = chart(page, "level")
    devices.send("POST", "/data", token, [{"variable": "level", "value": 43, "unit": "cm"}, {"variable": "later", "value": True}])
    expect(row).to_contain_text("43 cm")
    expect(card).to_contain_text("2 values, from 41.5 to 43 cm.")
    expect(page.get_by_role("row", name=re.compile("^later"))).to_contain_text("true")
    early = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)).isoformat()
    devices.send("POST", "/data", token, {"variable": "level", "value": 7, "unit": "cm", "time": early})  # arrives late
    expect(card).to_contain_text("3 values, from 7 to 43 cm.")
    expect(row).to_contain_text("43 cm")
    devices.send("DELETE", "/data?variables=later&qty=100", token)
    expect(page.get_by_role("row", name=re.compile("^later"))).to_have_count(0)


def test_what_is_seen_is_saved_as_csv(page: Page, devices: Devices, greenhouse: tuple[str, str]) -> None:
    enter(page, devices, greenhouse[1])
    with page.expect_download() as download:
        page.get_by_role("button", name="All as CSV").click()
    text = download.value.path().read_bytes().decode()
    assert download.value.suggested_filename.startswith("Greenhouse_")
    assert text.startswith("\ufefftime,variable,value,") and text.count("\r\n") == text.count("\n") == 115
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    values = {name: [row["value"] for row in rows if row["variable"] == name] for name in ("counter", "message", "pump", "temperature")}
    assert values["counter"] == ["-5", "12345678901234567890"]
    assert values["message"] == ['\'=HYPERLINK("http://evil.example")', 'a "quoted", long word']
    assert values["pump"] == ["true", "false"] * 4 + ["true"]
    assert values["temperature"][:2] == ["20", "20.1"] and len(values["temperature"]) == 100
    assert [(row["latitude"], row["longitude"]) for row in rows if row["variable"] == "place"] == [("-35.7", "78.6")]
    assert {row["unit"] for row in rows if row["variable"] == "temperature"} == {"°C"}

    page.get_by_label("1 hour", exact=True).check()
    expect(page).to_have_url(re.compile(r"\?range=1h$"))
    card = chart(page, "counter")
    with page.expect_download() as download:
        card.get_by_role("button", name="Save counter as CSV").click()
    assert [row.split(",")[2] for row in download.value.path().read_text().splitlines()[1:]] == ["12345678901234567890"]


def test_a_range_is_drawn_or_typed(page: Page, devices: Devices, greenhouse: tuple[str, str]) -> None:
    page.set_viewport_size({"width": 1280, "height": 2600})  # all charts in sight: none moves while one is drawn in
    enter(page, devices, ACCOUNT, f"/view/{greenhouse[0]}?range=1h")
    expect(chart(page, "temperature")).to_contain_text("No values in this range.")
    page.get_by_label("24 hours").check()
    card = chart(page, "temperature")
    expect(card).to_contain_text("100 values, from 20 to 29.9 °C.")
    expect(page.locator(".chart[aria-busy]")).to_have_count(0)
    box = card.get_by_role("group", name="Chart of temperature").bounding_box()
    assert box
    page.mouse.move(box["x"] + 100, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 180, box["y"] + 80, steps=4)
    page.mouse.up()
    expect(page.get_by_label("Own range")).to_be_checked()
    expect(card).to_contain_text(re.compile(r"^\s*temperature\s+\d\d values"))
    page.get_by_label("From (UTC)").fill("2020-01-02T00:00:00")
    page.get_by_label("To (UTC)").fill("2020-01-01T00:00:00")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("The range must end after it begins.")).to_be_visible()
    page.get_by_label("To (UTC)").fill("2020-01-03T00:00:00")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile("range=2020-01-02T00"))
    expect(chart(page, "temperature")).to_contain_text("No values in this range.")


def test_a_token_is_nowhere_but_in_memory(context: BrowserContext, page: Page, devices: Devices, greenhouse: tuple[str, str]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    enter(page, devices, greenhouse[1])
    heading(page, "Greenhouse")
    assert page.url == f"{devices.url}/view/{greenhouse[0]}"
    expect(page.get_by_role("link", name="All devices")).to_be_hidden()  # it is its own device's token
    chart(page, "temperature")
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie, history.state]") == [0, 0, "", None]
    assert greenhouse[1] not in page.content() and not any(greenhouse[1] in url for url in asked)
    assert all(url.startswith((devices.url, "blob:")) for url in asked)
    assert context.cookies() == []
    page.get_by_role("link", name="Devices", exact=True).click()  # the page stays, and so does the token
    heading(page, "Greenhouse")
    page.reload()
    heading(page, "See your devices")
    expect(page.get_by_label("Token")).to_have_value("")


def test_another_accounts_device(page: Page, devices: Devices, greenhouse: tuple[str, str]) -> None:
    enter(page, devices, ACCOUNT, f"/view/{'0' * 24}")
    expect(page.get_by_role("alert")).to_have_text("There is no such device, or it is another account's.")
    page.get_by_role("link", name="All devices").click()
    heading(page, "Your devices")


def test_a_device_that_is_switched_off(page: Page, devices: Devices) -> None:
    made, token = devices.device("Off")
    devices.send("POST", "/data", token, {"variable": "level", "value": 1})
    devices.send("PUT", f"/device/{made}", body={"active": False})
    enter(page, devices, ACCOUNT, f"/view/{made}")
    expect(page.get_by_text("switched off", exact=True)).to_be_visible()
    expect(page.get_by_text("Not live. This device is switched off")).to_be_visible()
    devices.send("PUT", f"/device/{made}", body={"active": True})
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_text("Live: values as they come")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^level"))).to_be_visible()


def test_on_a_host_of_its_own(page: Page, devices: Devices, greenhouse: tuple[str, str]) -> None:
    """Chromium finds all names below `localhost` on this machine (RFC 6761)."""
    here = Devices(devices.on_host)
    enter(page, here, greenhouse[1])
    heading(page, "Greenhouse")
    assert page.url == f"{here.url}/view/{greenhouse[0]}"
    expect(page.get_by_text("Live: values as they come")).to_be_visible()
    expect(chart(page, "temperature")).to_contain_text("100 values")


def test_when_the_service_cannot_answer(page: Page, devices: Devices, greenhouse: tuple[str, str]) -> None:
    answers = {
        "busy": {"status": 503, "headers": {"Retry-After": "1"}, "json": {"status": False, "message": "x"}},
        "too many": {
            "status": 429,
            "headers": {"Retry-After": "9"},
            "json": {"status": False, "message": "Too many requests (Retry-After: 9)"},
        },
        "denied": {"status": 401, "json": {"status": False, "message": "Authorization denied"}},
    }
    now: list[str] = ["busy"]

    def answer(route: Route) -> None:
        if now[0] == "well":
            route.fallback()
        elif now[0] == "away":
            route.abort()
        else:
            route.fulfill(**answers[now[0]])

    page.route(re.compile(r"/data(/live)?(\?|$)"), answer)
    enter(page, devices, greenhouse[1])
    sign = page.locator("[data-role=live]")
    expect(sign).to_contain_text("Not connected. Trying again in")
    expect(page.get_by_role("main").get_by_role("alert").first).to_have_text("The service is not available now.")
    now[0] = "well"
    page.get_by_role("button", name="Try now").click()
    expect(sign).to_contain_text("Live")
    expect(page.get_by_role("row", name=re.compile("^counter"))).to_contain_text("12345678901234567890")
    card = chart(page, "temperature")
    now[0] = "too many"
    page.get_by_label("6 hours").check()
    card.scroll_into_view_if_needed()  # the choice scrolls to its own place; a card out of sight loads later
    expect(card).to_contain_text("Too many requests with this token. Try again in 9 seconds.")
    now[0] = "away"
    card.get_by_role("button", name="Try again").click()
    expect(card).to_contain_text("Not loaded: The service does not answer.")
    now[0] = "well"
    card.get_by_role("button", name="Try again").click()
    expect(card).to_contain_text("No values in this range.")
    now[0] = "denied"
    page.get_by_label("24 hours").click()
    expect(page.get_by_role("alert")).to_have_text("This token is not valid, or no longer.")
    heading(page, "See your devices")


def test_cells_and_streams(page: Page, devices: Devices) -> None:
    """What a spreadsheet would run is kept from it, and nothing else is changed; events are read however they are cut."""
    page.goto(devices.url + "/")
    cells = page.evaluate(
        """async (root) => {
            const {cell} = await import(`${root}/pages/csv.js`);
            const values = ["=1+1", "+1", "-1", "@a", " =1", "\\t=1", "\\r", "＝1", "a,b", 'a"b', "a\\nb", "%", "°C", ""];
            return [...values, -1, 1.5, true, null, {a: [1]}].map(cell);
        }""",
        devices.url,
    )
    assert cells == [
        "'=1+1", "'+1", "'-1", "'@a", "' =1", "'\t=1", "\"'\r\"", "'＝1", '"a,b"', '"a""b"', '"a\nb"', "%", "°C", "",
        "-1", "1.5", "true", "", '"{""a"":[1]}"',
    ]  # fmt: skip
    events = page.evaluate(
        """async (root) => {
            const {events} = await import(`${root}/pages/live.js`);
            const text = ": beat\\n\\nid: 7\\r\\nevent: data\\r\\ndata: {\\"a\\":\\r\\ndata:  \\"°\\"}\\r\\n\\r\\ndata: x\\r\\rdata: cut";
            const bytes = new TextEncoder().encode(text);
            const found = [];
            for (const size of [1, 3, bytes.length]) {
                async function* cut() { for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size); }
                const read = [];
                for await (const event of events(cut())) read.push(event);
                found.push(JSON.stringify(read));
            }
            return found;
        }""",
        devices.url,
    )
    wanted = [{"event": "data", "data": '{"a":\n "°"}', "id": "7"}, {"event": "message", "data": "x", "id": "7"}]
    assert [json.loads(text) for text in events] == [wanted] * 3


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_readable(chromium: Browser, devices: Devices, greenhouse: tuple[str, str], width: int, scheme: Any) -> None:
    with chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(devices.url + "/")
        check_readable(page)
        enter(page, devices, ACCOUNT)
        heading(page, "Your devices")
        check_readable(page)
        page.get_by_label("Search").fill("green")
        page.get_by_role("link", name="Greenhouse").click()
        expect(page.get_by_text("Live: values as they come")).to_be_visible()
        for variable in ("counter", "message", "temperature"):
            chart(page, variable)
            check_readable(page)
        page.get_by_label("Own range").check()
        check_readable(page)
        ink = page.locator(".plot canvas").first.evaluate(
            """(canvas) => {
                const points = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                const seen = new Set();
                for (let at = 0; at < points.length; at += 4) if (points[at + 3] === 255) seen.add(points.slice(at, at + 3).join());
                return [...seen];
            }"""
        )
        assert ("140,196,242" if scheme == "dark" else "29,92,143") in ink  # the line has the colour of the scheme
