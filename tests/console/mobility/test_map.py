"""The map and the start page in a real browser: what is in sight, layers, one node, finding, errors, and every way to read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, Request, Route, expect

from tests.console.mobility.conftest import HOSTILE, LAT, LON, Contexts, show, watched
from tests.console.readable import check_readable
from tests.support.processes import running

pytestmark = pytest.mark.browser


def names(page: Page, within: str = "#list") -> list[str]:
    found: list[str] = page.locator(f"{within} [data-role=name]").all_inner_texts()
    return found


def drawn(page: Page, sign: str) -> Any:
    """The shapes on the map of these classes."""
    return page.locator(f"#map path.shape{sign}")


def layer(page: Page, name: str) -> Any:
    return page.get_by_role("checkbox", name=re.compile(f"^{name} "))


def select(page: Page, name: str) -> None:
    page.get_by_role("region", name="In sight").get_by_role("button", name=name).click()
    expect(page.locator("#node-title")).to_have_text(name)


def test_what_is_in_the_box_is_shown_and_more_as_the_map_moves(page: Page, service: str) -> None:
    show(page, service)
    expect(page.locator("#state")).to_have_text("19 nodes in sight.")
    assert names(page)[0] in ("Bench", "City") and "Far mill" not in names(page)
    expect(drawn(page, ".area")).to_have_count(2)  # one of them is larger than what is in sight
    expect(drawn(page, ".line")).to_have_count(2)
    forms = {
        re.sub(r"[-\d.,]+", "", path) for path in (drawn(page, f".point.is-{kind}").first.get_attribute("d") for kind in ("node", "ptstop"))
    }
    assert len(forms) == 2  # not told by colour alone

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.resource_type == "fetch" else None)
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("#state")).not_to_have_text("19 nodes in sight.")
    assert asked == []  # all of it was there
    page.goto(f"{service}/map#map=16/52.442/5.0176")
    expect(page.locator("#list")).to_contain_text("Far mill")
    assert "Bench" not in names(page) and "City" not in names(page)
    expect(drawn(page, ".point.is-node")).to_have_count(1)
    assert [url for url in asked if "bbox=" in url] != []


def test_layers_are_switched_and_a_link_shows_the_same(page: Page, service: str) -> None:
    show(page, service)
    layer(page, "osm").uncheck()
    expect(page.locator("#state")).to_have_text("4 nodes in sight.")
    assert set(names(page)) == {"East", "Tram 2", "City", "Bench"}  # the bench has data of gtfs as well
    layer(page, "gtfs").uncheck()
    expect(page.locator("#state")).to_have_text("1 node in sight.")
    page.reload()
    expect(page.locator("#state")).to_have_text("1 node in sight.")
    expect(layer(page, "osm")).not_to_be_checked()
    page.get_by_role("button", name="None", exact=True).click()
    expect(page.locator("#state")).to_have_text("All layers are off.")
    expect(drawn(page, "")).to_have_count(0)
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.locator("#state")).to_have_text("19 nodes in sight.")
    page.get_by_role("button", name="Go to the data of gtfs").click()
    expect(page.locator("#list")).to_contain_text("Farther east")


def test_a_click_shows_what_all_layers_say(page: Page, service: str) -> None:
    show(page, service, 18)
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] / 2 + 9, box["y"] + box["height"] / 2)  # fingers are wide
    node = page.locator("#node")
    expect(node.get_by_role("heading", name="Bench")).to_be_focused()
    expect(node).to_contain_text("beside the stop")
    said = dict(zip(node.locator("dt").all_inner_texts(), node.locator("dd").all_inner_texts(), strict=True))
    assert said == {
        "Type": "Node", "cdk_id": "osm.bench", "Created by": "osm",
        "note": "beside the stop", "seats": "3", "lit": "true", "material": "null",
    }  # fmt: skip
    expect(node).to_contain_text("Modalities: foot.")
    address = page.locator("#node-json").get_attribute("href")
    assert requests.get(service.removesuffix("/mobility") + str(address), timeout=20).json()["results"][0]["name"] == "Bench"
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
    expect(node.get_by_role("heading", name="City")).to_be_visible()  # what is below all


def test_it_works_by_keyboard(page: Page, service: str) -> None:
    show(page, service)
    page.locator("#map").focus()
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile(r"/4\.89\d+$"))
    page.keyboard.press("-")
    expect(page).to_have_url(re.compile("#map=15/"))
    entry = page.get_by_role("region", name="In sight").get_by_role("button", name="Lawn")
    entry.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#node-title")).to_be_focused()
    expect(page.locator("#node")).to_contain_text("park")
    expect(entry).to_have_attribute("aria-pressed", "true")
    expect(drawn(page, ".area.chosen")).to_have_count(1)
    page.get_by_role("button", name="Close").press("Enter")
    expect(page.locator("#node")).to_be_hidden()
    expect(entry).to_be_focused()


def test_nodes_are_found_by_name_and_by_place(page: Page, service: str) -> None:
    show(page, service)
    words = page.get_by_label("Part of a name")
    words.fill("MILL")
    words.press("Enter")
    result = page.locator("#results").get_by_role("button", name="Far mill")
    expect(result).to_contain_text("km away")
    result.click()
    expect(page.locator("#list")).to_contain_text("Far mill")
    expect(drawn(page, ".chosen")).to_have_count(1)
    words.fill(f"{LAT}, {LON}")
    words.press("Enter")
    expect(page.locator("#results li")).to_have_count(20)
    expect(page.locator("#results")).to_contain_text("Bench")
    expect(page).to_have_url(re.compile(f"/{LAT}"))
    words.fill("no such thing")
    words.press("Enter")
    expect(page.locator("#search-state")).to_have_text("No node has “no such thing” in its name.")
    page.get_by_role("button", name="Clear").click()
    expect(words).to_be_focused()


def test_a_link_shows_a_node_and_what_a_stop_is_left_by(page: Page, service: str) -> None:
    lines = [
        {"cdk_id": "gtfs.line.gvb.2-0", "route_name": "2", "headsign": "<i>Harbour", "times": ["10:12", "10:20"]},
        {"route_name": "N1", "times": ["24:12:30"], "departures": ["2026-03-29T00:12:30+01:00"]},
        {"times": None},
        None,
    ]
    answer = {"status": "success", "results": lines}
    page.route("**/gtfs.stop.1/select/now", lambda route: route.fulfill(json=answer))
    page.goto(f"{service}/map#node=gtfs.stop.1")
    expect(page.locator("#departures")).to_contain_text("2 to <i>Harbour")
    expect(page.locator("#departures")).to_contain_text("10:12, 10:20")
    expect(page.locator("#departures li").nth(1)).to_have_text(re.compile("N1 *00:12$"))  # as clocks show it
    expect(page.locator("#list")).to_contain_text("East")  # the map went there
    page.route("**/gtfs.stop.2/select/now", lambda route: route.fulfill(status=422, json={"status": "fail", "message": "Command now …"}))
    select(page, "Farther east")
    expect(page.locator("#node-layers")).to_contain_text("stop_id")
    expect(page.locator("#departures")).to_be_hidden()
    expect(page.locator("#node-message")).to_have_text("")


@pytest.mark.parametrize("name", ["Bench", "City"])  # all of the city is seen from farther away: the map would zoom out
def test_a_link_is_followed_whatever_happens_meanwhile(page: Page, service: str, name: str) -> None:
    show(page, service)
    page.evaluate(
        """(name) => {
          location.hash = "#map=16/52.442/5.0176&node=gtfs.stop.1";
          [...document.querySelectorAll("#list button")].find((one) => one.textContent.includes(name)).click();
        }""",
        name,
    )
    expect(page.locator("#list")).to_contain_text("Far mill")
    expect(page.locator("#node-title")).to_have_text("East")
    expect(page).to_have_url(re.compile(r"#map=[\d./]+&node=gtfs\.stop\.1$"))


def test_a_link_is_followed_while_the_map_zooms(page: Page, service: str) -> None:
    show(page, service)
    page.evaluate(
        """() => {
          document.querySelector(".leaflet-control-zoom-in").click();
          requestAnimationFrame(() => { location.hash = "#map=16/52.442/5.0176"; });  // the frame in which the zoom begins
        }"""
    )
    expect(page.locator("#list")).to_contain_text("Far mill")
    expect(page).to_have_url(re.compile(r"#map=16/52\.442"))


def test_names_and_data_are_texts(page: Page, service: str) -> None:
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    show(page, service)
    drawn(page, ".point").first.hover()  # its name comes up
    select(page, HOSTILE)
    expect(page.locator("#node-layers dt")).to_have_text(HOSTILE)
    expect(page.locator("#node-layers dd")).to_have_text("javascript:alert(1)")
    assert page.locator("#layout img, #layout a[href^='javascript:']").count() == 0


def test_it_says_when_there_is_more_than_it_shows(page: Page, service: str) -> None:
    asked: list[str] = []

    def full(route: Route) -> None:
        number = int(re.findall(r"[?&]page=(\d+)", route.request.url)[0])
        asked.append(route.request.url)
        nodes = [
            {
                "cdk_id": f"m.{number}.{n}",
                "name": "",
                "node_type": "node",
                "layer": "m",
                "geom": {"type": "Point", "coordinates": [LON, LAT]},
            }
            for n in range(250)
        ]
        route.fulfill(json={"status": "success", "next_page": number + 1, "results": nodes})

    page.route("**/nodes?*bbox=*", full)
    show(page, service)
    expect(page.locator("#state")).to_contain_text("nodes in sight are shown; there are more. Zoom in to see all.")
    assert len(asked) == 4
    assert page.locator("#list li").count() == 100
    expect(page.locator("#list-count")).to_contain_text("The 100 nearest to the middle are listed.")


def test_a_request_that_is_out_of_date_is_ended(page: Page, service: str) -> None:
    ended: list[Request] = []
    page.on("requestfailed", lambda request: ended.append(request))
    held: list[Route] = []
    page.route("**/nodes?*bbox=*", lambda route: route.continue_() if held else held.append(route))
    page.goto(f"{service}/map#map=16/{LAT}/{LON}")
    expect(page.locator("#state")).to_have_text("Loading…")
    page.goto(f"{service}/map#map=16/52.442/5.0176")
    expect(page.locator("#state")).to_have_text("1 node in sight.")
    assert [request for request in ended if "bbox=" in request.url] == [held[0].request]


def test_errors_are_told_in_words(page: Page, service: str) -> None:
    answers = [(503, '{"message": "database unavailable"}'), (429, "{}"), (404, "<html>"), (422, '{"message": "Too slow."}')]
    page.route("**/layers?*", lambda route: route.abort())

    def wrong(route: Route) -> None:
        status, body = answers.pop()
        route.fulfill(status=status, body=body)

    page.route("**/nodes?*bbox=*", wrong)
    page.goto(f"{service}/map#map=16/{LAT}/{LON}")
    expect(page.locator("#layers-message")).to_have_text("The layers could not be listed. The service does not answer. Try again.")
    for said in (
        "The service says: Too slow.",
        "The service answered 404.",
        "Too many requests.",
        "The service is not available now.",
    ):
        expect(page.locator("#failed-text")).to_contain_text(said)
        page.get_by_role("button", name="Try again").click()
        if said.startswith("That"):
            page.unroute("**/layers?*")
        if not answers:
            page.unroute("**/nodes?*bbox=*")
    expect(page.locator("#state")).to_have_text("19 nodes in sight.")
    expect(page.locator("#failed")).to_be_hidden()
    page.route("**/osm.lawn?*", lambda route: route.abort())
    page.context.set_offline(True)
    page.get_by_role("region", name="In sight").get_by_role("button", name="Lawn").click()
    expect(page.locator("#node-message")).to_contain_text("You are offline.")
    page.context.set_offline(False)


def check_by_day_and_night(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    check_readable(page)
    page.emulate_media(color_scheme="dark")
    check_readable(page)


@pytest.mark.parametrize("width", [360, 1280])
def test_pages_are_readable_on_any_screen(contexts: Contexts, service: str, width: int) -> None:
    context = contexts(width, reduced_motion="reduce")
    page = context.new_page()
    errors = watched(page)
    show(page, service, 17, more="&node=osm.bench")
    page.get_by_label("Part of a name").fill("tree 1")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#results li")).to_have_count(3)
    expect(page.locator("#node-layers")).to_contain_text("beside the stop")
    check_by_day_and_night(page)
    assert page.locator("#map.leaflet-fade-anim").count() == 0
    page.goto(f"{service}/")
    check_by_day_and_night(page)
    assert errors == []


def test_the_first_page_leads_to_what_is_there(page: Page, service: str) -> None:
    page.goto(f"{service}/")
    expect(page.locator("main")).to_contain_text(f"curl {service}/get_session")
    for link in page.locator("main a").all():
        assert requests.get(service.removesuffix("/mobility") + str(link.get_attribute("href")), timeout=20).status_code == 200
    page.get_by_role("link", name="Open the map").click()
    expect(page.locator("#state")).to_contain_text("in sight")


def test_without_scripts_the_map_says_what_to_do(contexts: Contexts, service: str) -> None:
    page = contexts(360, java_script_enabled=False).new_page()
    page.goto(f"{service}/map")
    assert "The map needs JavaScript." in page.locator("noscript").inner_text()
    expect(page.get_by_role("link", name="the nodes")).to_be_visible()
    expect(page.locator("#layout")).to_be_hidden()


def test_tiles_are_those_of_the_setting(page: Page, service: str, environment: dict[str, str], tmp_path: Path) -> None:
    tiles: list[Request] = []

    def tile(route: Route) -> None:
        tiles.append(route.request)
        route.fulfill(content_type="image/svg+xml", body='<svg xmlns="http://www.w3.org/2000/svg" width="256" height="256"/>')

    page.route("https://tiles.example/**", tile)
    env = {
        **environment,
        "MOBILITY_TILES_URL": "https://tiles.example/{z}/{x}/{y}.png",
        "MOBILITY_TILES_CREDIT": "Tiles of https://tiles.example/about",
    }
    with running("mobility", env, tmp_path, migrated=True) as (url, _):
        show(page, url)
        expect(page.locator("#map img.leaflet-tile-loaded").first).to_be_attached()
        expect(page.get_by_role("link", name="https://tiles.example/about")).to_be_visible()
        assert page.locator("#map img").first.get_attribute("referrerpolicy") == "origin"  # no more than the site
        page.close()
    assert re.fullmatch(r"https://tiles\.example/16/\d+/\d+\.png", tiles[0].url)
