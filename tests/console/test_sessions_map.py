"""The map of a running session in a real browser, behind the gateway's `/sessions/` as it is deployed: watching, building, talking."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.console.readable import check_readable
from tests.support.fake_auth import FakeAuth
from tests.support.gateway import gateway
from tests.support.processes import ROOT, running

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
PEOPLE = {"edit": "EDITOR", "join": "JOIN_ONLY"}
MIDDLE = [[200, 200], [300, 200], [300, 300], [200, 300]]  # of a new project's map, which is 500 m wide
_numbers = itertools.count()


@dataclass(frozen=True)
class Session:
    """A running session, and a client of it that is a program. url: of the service at the gateway."""

    url: str
    id: int
    token: str
    client: str

    @property
    def page(self) -> str:
        return f"{self.url}/api/session/map/?token={self.token}"

    def fire(self, name: str, *values: Any) -> Any:
        return sent(f"{self.url}/api/session/event/PlayerEventType/{name}/", values, {"token": self.token, "clientToken": self.client})

    def items(self, name: str) -> list[dict[str, Any]]:
        found = requests.get(f"{self.url}/api/session/items/{name}/?f=JSON", headers={"token": self.token}, timeout=20)
        assert found.ok, found.text
        items: list[dict[str, Any]] = found.json()
        return items

    def io(self, name: str, *values: Any, who: str = "edit") -> Any:
        return io(self.url, name, *values, who=who)

    def place(self, name: str, corners: Any = MIDDLE) -> Any:
        """Select the second stakeholder and place a building of it; its id."""
        assert self.fire("STAKEHOLDER_SELECT", 1, self.client) is True
        return self.fire("BUILDING_PLACE", 1, name, 3, corners)


def sent(url: str, body: Any, headers: dict[str, str], auth: tuple[str, str] | None = None) -> Any:
    found = requests.post(url, json=body, headers={"Accept": "application/json", **headers}, auth=auth, timeout=20)
    assert found.ok, found.text
    return found.json()


def io(url: str, name: str, *values: Any, who: str = "edit") -> Any:
    return sent(f"{url}/api/services/event/IOServicesEventType/{name}/?f=JSON", values, {}, (f"{who}@example.org", PASSWORD))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("sessions-map")
    auth = FakeAuth()
    for name, level in PEOPLE.items():
        auth.add_person(name, PASSWORD, level=level, domain="d")
    env = {
        "SESSIONS_DATABASE_URL": f"sqlite:///{folder}/sessions.db",
        "SESSIONS_DATA": str(folder / "sessions"),
        "SESSIONS_AUTH_SECRET": "a secret",
        "AUTH_URL": auth.url,
    }
    deployed = [json.loads((ROOT / "deploy/apis/sessions.json").read_text())]
    with running("sessions", env, folder) as (url, _), gateway(folder, deployed, {"UPSTREAM_SESSIONS": url}) as proxy:
        yield f"{proxy.url}/sessions"
    auth.close()


@pytest.fixture
def session(service: str) -> Session:
    name = f"map_{next(_numbers)}"
    io(service, "CREATE_NEW_PROJECT", name)
    number = io(service, "START_NEW_SESSION", "MULTI", name)
    joined = io(service, "JOIN_SESSION", number, "PARTICIPANT", "robot")
    return Session(service, number, joined["apiToken"], joined["client"]["clientToken"])


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that knows the password of `edit`, and has a touch screen as well as a mouse."""
    known = {"username": "edit@example.org", "password": PASSWORD}
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, has_touch=True, http_credentials=known)  # type: ignore[arg-type]
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page; what its scripts fail with, or its policy forbids, fails the test, and so does a token in an address that they ask."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console", lambda line: errors.append(line.text) if line.type == "error" and "Failed to load resource" not in line.text else None
    )
    page.on("request", lambda asked: errors.append(asked.url) if asked.resource_type == "fetch" and "oken=" in asked.url else None)
    yield page
    assert errors == []


def watch(page: Page, session: Session) -> None:
    page.goto(session.page)
    live(page)


def live(page: Page) -> None:
    expect(page.locator("#live")).to_have_text("Live")


def take_part(page: Page, session: Session, stakeholder: str = "Stakeholder 1") -> None:
    watch(page, session)
    page.get_by_role("button", name="Join").click()
    expect(page.locator("#me")).to_have_text("You have joined this session.")
    page.get_by_role("button", name=f"Select {stakeholder}", exact=True).click()
    expect(page.get_by_role("button", name=f"Release {stakeholder}", exact=True)).to_be_visible()


def buildings(page: Page) -> Any:
    return page.get_by_role("region", name="Buildings").get_by_role("listitem")


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a part of the map's element is on the screen. x, y: from 0 to 1."""
    box = page.locator("#map").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * x, box["y"] + box["height"] * y


def test_a_reader_sees_what_others_do(page: Page, session: Session) -> None:
    watch(page, session)
    expect(page.locator("#buildings-count")).to_have_text("No buildings yet.")
    number = session.place("Tower <b>")
    expect(buildings(page)).to_have_count(1)
    expect(buildings(page)).to_contain_text("Tower <b>")
    expect(buildings(page)).to_contain_text("Stakeholder 2, 3 floors, 10,000 m²")
    expect(page.locator("#news")).to_have_text("Tower <b> placed or moved.")
    expect(page.locator("#stakeholders")).to_contain_text("robot")
    page.mouse.click(*at(page, 0.5, 0.5))  # it is in the middle of the map
    expect(page.get_by_role("button", name="Tower <b>", exact=True)).to_have_attribute("aria-pressed", "true")

    session.fire("BUILDING_MOVE", 1, number, [[0, 0], [100, 0], [100, 50], [0, 50]])
    expect(buildings(page)).to_contain_text("5,000 m²")
    session.fire("MESSAGE_SEND", 1, None, "Hello <i>all</i>")
    session.fire("MESSAGE_SEND", 1, 2, "A secret")
    messages = page.get_by_role("log").get_by_role("listitem")
    expect(messages).to_have_count(2)
    expect(messages.first).to_contain_text("Hello <i>all</i>")
    expect(messages.last).to_contain_text("Stakeholder 2 to Stakeholder 3")
    session.fire("TIME_ADVANCE", 2)
    expect(page.locator("#time")).to_contain_text("day 3")
    session.fire("SETTINGS_ALLOW_GAME_INTERACTION", False)
    expect(page.locator("#paused")).to_have_text("Paused: nothing is built.")
    session.fire("SETTINGS_ALLOW_GAME_INTERACTION", True)
    expect(page.locator("#paused")).to_have_text("Running")
    session.fire("BUILDING_REMOVE", 1, number)
    expect(buildings(page)).to_have_count(0)
    expect(page.locator("#news")).to_have_text("Tower <b> removed.")
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()  # who only reads changes nothing
    expect(page.locator("#build")).to_be_hidden()


def test_a_building_is_drawn_moved_and_removed(page: Page, session: Session) -> None:
    take_part(page, session)
    page.get_by_label("Name", exact=True).fill("School")
    page.get_by_label("Floors").fill("4")
    page.get_by_role("button", name="Draw on the map").click()
    for place in ((0.45, 0.45), (0.55, 0.45), (0.55, 0.55)):
        page.mouse.click(*at(page, *place))
    expect(page.locator("#build-area")).to_contain_text("3 corners.")
    page.get_by_role("button", name="Place", exact=True).click()
    expect(buildings(page)).to_contain_text("Stakeholder 1, 4 floors")
    (before,) = session.items("BUILDINGS")
    corners = before["polygons"]["coordinates"][0]
    assert (before["name"], before["stakeholderID"], len(corners)) == ("School", 0, 4)
    assert all(150 < x < 350 and 150 < y < 350 for x, y in corners)

    page.get_by_role("button", name="Move School", exact=True).click()
    expect(page.locator("#build-title")).to_have_text("Move School")
    expect(page.locator("#build-title")).to_be_focused()
    expect(page.locator("#build-area")).to_contain_text("3 corners.")
    page.mouse.click(*at(page, 0.35, 0.3))
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.locator("#build-title")).to_have_text("Place a building")
    (after,) = session.items("BUILDINGS")
    moved = after["polygons"]["coordinates"][0]
    assert max(x for x, _ in moved) < max(x for x, _ in corners) and min(y for _, y in moved) > min(y for _, y in corners)

    page.get_by_role("button", name="Remove School", exact=True).click()
    expect(buildings(page)).to_have_count(0)
    assert session.items("BUILDINGS") == []


def test_a_building_of_several_parts_is_seen_and_moved(page: Page, session: Session) -> None:
    take_part(page, session)
    parts = [[[[x, 100], [x + 20, 100], [x + 20, 120], [x, 120]]] for x in (100, 150)]
    session.fire("BUILDING_PLACE", 0, "Twins", 1, {"type": "MultiPolygon", "coordinates": parts})  # an editor acts for all
    expect(buildings(page)).to_contain_text("Stakeholder 1, 1 floor, 800 m²")
    page.get_by_role("button", name="Move Twins", exact=True).click()
    expect(page.get_by_label("Corners")).to_have_value("This building has several parts. Move it on the map.")
    page.mouse.click(*at(page, 0.5, 0.5))
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.locator("#build-title")).to_have_text("Place a building")
    (moved,) = session.items("BUILDINGS")
    assert (moved["polygons"]["type"], moved["areaM2"]) == ("MultiPolygon", 800)
    assert all(y > 150 for part in moved["polygons"]["coordinates"] for _, y in part[0])


def test_a_building_is_drawn_by_touch(page: Page, session: Session) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    take_part(page, session)
    page.get_by_label("Name", exact=True).fill("Shed")
    page.get_by_role("button", name="Draw on the map").tap()
    page.locator("#map").scroll_into_view_if_needed()
    for place in ((0.4, 0.4), (0.6, 0.4), (0.6, 0.6)):
        page.touchscreen.tap(*at(page, *place))
    page.get_by_role("button", name="Place", exact=True).tap()
    expect(buildings(page)).to_contain_text("Shed")


def test_a_building_is_placed_by_keyboard(page: Page, session: Session) -> None:
    take_part(page, session)
    page.get_by_label("Name", exact=True).fill("Mill")
    page.get_by_label("Corners").fill("10 10, 60 10, 60 x")
    expect(page.locator("#build-message")).to_contain_text("“x” does not belong in a list of corners.")
    page.get_by_label("Corners").fill("10 10, 60 10")
    page.get_by_label("Name", exact=True).press("Enter")
    expect(page.locator("#build-message")).to_have_text("A building needs at least three corners.")
    page.get_by_role("button", name="Draw on the map").press("Enter")
    page.locator("#map").focus()
    page.keyboard.press("Enter")  # the middle of the map
    expect(page.get_by_label("Corners")).to_have_value("10 10, 60 10, 250 250")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Draw on the map")).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Place", exact=True).press("Enter")
    expect(buildings(page)).to_contain_text("Mill")
    assert session.items("BUILDINGS")[0]["polygons"] == {"type": "Polygon", "coordinates": [[[10, 10], [60, 10], [250, 250], [10, 10]]]}


def test_the_middle_of_the_whole_map_stays_when_its_size_changes(page: Page, session: Session) -> None:
    take_part(page, session)
    page.get_by_role("button", name="Draw on the map").press("Enter")
    page.locator("#map").focus()
    seen = page.evaluate(
        """async () => {
          const [map, corners] = ["map", "corners"].map((id) => document.getElementById(id));
          const seen = [];
          for (const less of [0, 37, 13, 50, 26, 2, 39, 15, 52, 28, 4, 41]) {
            map.style.height = `${680 - less}px`;
            map.style.width = `calc(100% - ${(less * 7) % 31}px)`;
            for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);  // it is told of its size with a frame
            map.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
            seen.push(corners.value.split(", ").at(-1));
          }
          return seen;
        }"""
    )
    assert seen == ["250 250"] * 12


def test_what_is_refused_is_told_where_it_was_asked(page: Page, session: Session) -> None:
    take_part(page, session)
    session.place("Tower")
    page.get_by_label("Name", exact=True).fill("Shop")
    page.get_by_label("Corners").fill("0 0, 2000 0, 0 2000")
    place = page.get_by_role("button", name="Place", exact=True)
    place.click()
    expect(page.locator("#build-message")).to_contain_text("map")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#paused")).to_contain_text("Paused")
    page.get_by_label("Corners").fill("0 0, 20 0, 0 20")
    place.click()
    expect(page.locator("#build-message")).to_contain_text("pause", ignore_case=True)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#paused")).to_have_text("Running")
    place.click()
    expect(buildings(page)).to_have_count(2)
    expect(page.get_by_role("button", name="Remove Tower", exact=True)).to_be_hidden()  # another one's


def test_only_hosts_are_offered_what_hosts_do(page: Page, session: Session) -> None:
    take_part(page, session)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_role("button", name="One day on")).to_be_visible()
    expect(page.locator("#host-hint")).to_be_hidden()
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    expect(page.locator("#host-hint")).to_be_hidden()
    player = io(session.url, "JOIN_SESSION", session.id, "PARTICIPANT", "robot", who="join")["client"]["clientToken"]
    page.goto(f"{session.page}&clientToken={player}")
    expect(page.locator("#host-hint")).to_contain_text("Yours is JOIN_ONLY.")
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    expect(page.get_by_role("button", name="One day on")).to_be_hidden()
    page.get_by_role("button", name="Select Stakeholder 1", exact=True).click()
    expect(page.get_by_role("button", name="Release Stakeholder 1", exact=True)).to_be_visible()
    session.io("KILL_SESSION", session.id)
    expect(page.locator("#live")).to_have_text("Ended")
    expect(page.locator("#host-hint")).to_be_hidden()


def test_the_whole_map_is_seen_on_any_screen(page: Page, session: Session) -> None:
    watch(page, session)
    expect(page.locator("#readout")).to_contain_text("Grid lines are 50 m apart.")
    page.set_viewport_size({"width": 360, "height": 800})
    expect(page.locator("#readout")).to_contain_text("Grid lines are 100 m apart.")
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("#readout")).to_contain_text("Grid lines are 50 m apart.")
    page.set_viewport_size({"width": 400, "height": 800})
    expect(page.locator("#readout")).to_contain_text("Grid lines are 50 m apart.")  # who looks closely goes on to


def test_messages_are_sent(page: Page, session: Session) -> None:
    take_part(page, session)
    page.get_by_label("Message", exact=True).fill("Hello")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
    page.get_by_label("To", exact=True).select_option("Stakeholder 3")
    page.get_by_label("Message", exact=True).fill("Only you")
    page.keyboard.press("Enter")
    expect(page.get_by_role("log")).to_contain_text("Stakeholder 1 to Stakeholder 3")
    assert [(one["from"], one["to"], one["text"]) for one in session.items("MESSAGES")] == [(0, None, "Hello"), (0, 2, "Only you")]


def test_a_client_stays_the_same_until_it_leaves(page: Page, session: Session) -> None:
    take_part(page, session)
    page.reload()
    expect(page.get_by_role("button", name="Release Stakeholder 1", exact=True)).to_be_visible()
    live(page)
    page.get_by_role("button", name="Release Stakeholder 1", exact=True).click()
    expect(page.get_by_role("button", name="Select Stakeholder 1", exact=True)).to_be_visible()
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("button", name="Join")).to_be_focused()
    expect(page.get_by_role("button", name="Select Stakeholder 1", exact=True)).to_be_hidden()
    session.place("Tower")
    expect(buildings(page)).to_contain_text("Tower")


def test_a_client_whose_token_is_in_the_address(page: Page, session: Session) -> None:
    session.place("Tower")
    io(session.url, "JOIN_SESSION", session.id, "PARTICIPANT", "robot")  # another client of the same name
    page.goto(f"{session.page}&clientToken={session.client}")
    live(page)
    expect(page.get_by_role("button", name="Release Stakeholder 2", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Select Stakeholder 1", exact=True)).to_be_hidden()
    page.get_by_label("Name", exact=True).fill("Mill")
    page.get_by_label("Corners").fill("10 10, 60 10, 60 60")
    page.get_by_role("button", name="Place", exact=True).click()
    expect(buildings(page)).to_have_count(2)
    page.get_by_role("button", name="Remove Tower", exact=True).click()
    expect(buildings(page)).to_have_count(1)
    assert [(one["name"], one["stakeholderID"]) for one in session.items("BUILDINGS")] == [("Mill", 1)]
    page.get_by_role("button", name="Release Stakeholder 2", exact=True).click()
    expect(page.get_by_role("button", name="Select Stakeholder 1", exact=True)).to_be_visible()


def test_a_client_that_was_released_while_the_page_was_closed(page: Page, session: Session) -> None:
    take_part(page, session)
    kept = json.loads(page.evaluate("sessionStorage.getItem('gatehouse-sessions-client')"))
    page.goto("about:blank")
    session.io("CLOSE_SESSION", session.id, kept["client"], True)
    watch(page, session)
    expect(page.locator("#me-message")).to_contain_text("You were released from this session.")
    expect(page.get_by_role("button", name="Join")).to_be_visible()


def test_a_client_that_is_released_goes_on_as_a_reader(page: Page, session: Session) -> None:
    take_part(page, session)
    kept = json.loads(page.evaluate("sessionStorage.getItem('gatehouse-sessions-client')"))
    session.io("CLOSE_SESSION", session.id, kept["client"], True)
    expect(page.locator("#me-message")).to_contain_text("You were released from this session.")
    expect(page.get_by_role("button", name="Join")).to_be_visible()
    session.place("Tower")
    expect(buildings(page)).to_contain_text("Tower")


def test_a_session_that_is_killed(page: Page, session: Session) -> None:
    take_part(page, session)
    session.place("Tower")
    expect(buildings(page)).to_contain_text("Tower")
    assert session.io("KILL_SESSION", session.id) is True
    expect(page.locator("#message")).to_have_text("This session has ended.")
    expect(page.locator("#live")).to_have_text("Ended")
    for name in ("Join", "Leave", "Release Stakeholder 1", "Place"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_hidden()
    expect(buildings(page)).to_contain_text("Tower")


def test_a_service_that_is_away_for_a_while(page: Page, session: Session) -> None:
    size, changes = "**/api/session/location/**", "**/api/session/update/**"
    for asked in (size, changes):
        page.route(asked, lambda route: route.abort())
    page.goto(session.page)
    expect(page.locator("#live")).to_have_text("Reconnecting…")
    page.unroute(size)
    expect(page.get_by_role("heading", name="Buildings")).to_be_visible()
    expect(page.locator("#live")).to_have_text("Reconnecting…")
    session.place("Tower")
    page.unroute(changes)
    live(page)
    expect(buildings(page)).to_contain_text("Tower")


def test_who_is_too_far_behind_gets_whole_lists(page: Page, session: Session) -> None:
    watch(page, session)
    session.place("Tower")
    expect(buildings(page)).to_contain_text("Tower")
    whole = {**session.items("BUILDINGS")[0], "id": 7, "name": "Mill"}
    headers = {"X-Full-Resync": "1", "Content-Type": "application/json"}
    answer = json.dumps({"items": {"BUILDINGS": [whole]}, "deletes": {}, "timeStamp": 0})
    page.route("**/api/session/update/**", lambda route: route.fulfill(body=answer, headers=headers), times=1)
    session.fire("MESSAGE_SEND", 1, None, "Hello")  # ends the poll that waits; the next one is answered as above
    expect(buildings(page)).to_have_count(1)
    expect(buildings(page)).to_contain_text("Mill")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_readable(page: Page, session: Session, width: int, scheme: Any) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    session.place("Averylongnamewithoutablank" * 3)
    session.fire("MESSAGE_SEND", 1, None, "Anotherverylongword" * 20)
    take_part(page, session)
    expect(page.get_by_role("log")).to_contain_text("Anotherverylongword")
    check_readable(page)
    session.io("KILL_SESSION", session.id)
    expect(page.locator("#live")).to_have_text("Ended")
    check_readable(page)


def test_without_scripts_it_leads_to_the_lists(chromium: Browser, session: Session) -> None:
    session.place("Tower")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(session.page)
    page.get_by_role("link", name="BUILDINGS").click()
    expect(page.locator("main")).to_contain_text("Tower")
    context.close()
