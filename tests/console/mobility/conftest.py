"""A mobility service with a small city, behind the gateway's `/mobility/` as it is deployed, and pages that may not fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.fake_auth import FakeAuth
from tests.support.gateway import gateway
from tests.support.processes import ROOT, running

TOKEN = "gh_acc_editor"
LAT, LON = 52.37, 4.9  # of the square in the middle
HOSTILE = '<img src=x onerror="alert(1)">'
Contexts = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def auth() -> Iterator[FakeAuth]:
    auth = FakeAuth()
    auth.add(TOKEN, "editor", level="SUPER_USER")
    yield auth
    auth.close()


@pytest.fixture(scope="module")
def environment(auth: FakeAuth, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("mobility")
    return {"MOBILITY_DATABASE_URL": f"sqlite:///{folder}/mobility.db", "MOBILITY_AUTH_SECRET": "a secret", "AUTH_URL": auth.url}


@pytest.fixture(scope="module")
def service(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("service")
    deployed = [json.loads((ROOT / "deploy/apis/mobility.json").read_text())]
    with running("mobility", environment, folder) as (url, _), gateway(folder, deployed, {"UPSTREAM_MOBILITY": url}) as proxy:
        fill(url)
        yield f"{proxy.url}/mobility"


def put(url: str, path: str, body: Any) -> None:
    found = requests.put(f"{url}/{path}", json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20)
    assert found.ok, found.text


def create(url: str, layer: str, nodes: list[dict[str, Any]], **params: Any) -> None:
    put(url, f"nodes/{layer}", {"create": {"params": {"create_type": "create", **params}}, "nodes": nodes})


def point(east: float, north: float) -> dict[str, Any]:
    """A point, metres from the square (about)."""
    return {"type": "Point", "coordinates": [LON + east / 68_000, LAT + north / 111_000]}


def square(half: float, east: float = 0, north: float = 0) -> dict[str, Any]:
    corners = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)]
    return {"type": "Polygon", "coordinates": [[point(east + x, north + y)["coordinates"] for x, y in corners]]}


def fill(url: str) -> None:
    """A bench on the square, trees in two rows, a way, a lawn; two stops and their line; a region around all; a mill far away."""
    trees = [
        {"id": f"tree {n}", "name": f"Tree {n}", "geom": point(-150 + 60 * (n % 6), 100 + 60 * (n // 6)), "data": {"genus": "Ulmus"}}
        for n in range(12)
    ]
    way = {"type": "LineString", "coordinates": [point(-400, -300)["coordinates"], point(400, -300)["coordinates"]]}
    others = [
        {"id": "bench", "name": "Bench", "geom": point(0, 0), "data": {"seats": 3, "lit": True, "material": None}, "modalities": ["foot"]},
        {"id": "way", "name": "Canal street", "geom": way, "data": {"highway": "residential"}},
        {"id": "lawn", "name": "Lawn", "geom": square(40, 250, -150), "data": {"leisure": "park"}},
        {"id": "evil", "name": HOSTILE, "geom": point(-250, -150), "data": {HOSTILE: "javascript:alert(1)"}},
        {"id": "mill", "name": "Far mill", "geom": point(8000, 8000), "data": {"man_made": "windmill"}},
    ]
    stops = [
        {"id": f"stop.{n}", "name": name, "geom": point(300 * n, 300), "data": {"stop_id": n}}
        for n, name in ((1, "East"), (2, "Farther east"))
    ]
    create(url, "osm", [*trees, *others])
    create(url, "gtfs", stops, node_type="ptstop")
    line = {
        "id": "line.gvb.2-0",
        "name": "Tram 2",
        "cdk_ids": ["gtfs.stop.1", "gtfs.stop.2"],
        "data": {"route_short_name": "2"},
        "modalities": ["tram"],
    }
    create(url, "gtfs", [line], node_type="ptline")
    create(url, "admr", [{"id": "nl.city", "name": "City", "geom": square(3000), "data": {"population": 900_000}}])
    put(url, "osm.bench/gtfs", {"data": {"note": "beside the stop"}})


@pytest.fixture(scope="module")
def contexts(chromium: Browser) -> Iterator[Contexts]:
    made: list[BrowserContext] = []

    def make(width: int = 1280, **options: Any) -> BrowserContext:
        made.append(chromium.new_context(viewport={"width": width, "height": 900}, has_touch=True, **options))
        made[-1].set_default_timeout(30_000)
        return made[-1]

    yield make
    for context in made:
        context.close()


@pytest.fixture(scope="module")
def wide(contexts: Contexts) -> BrowserContext:
    return contexts()


@pytest.fixture
def page(wide: BrowserContext) -> Iterator[Page]:
    page = wide.new_page()
    errors = watched(page)
    yield page
    page.close()
    assert errors == []


def watched(page: Page) -> list[str]:
    """What the page's scripts fail with, or its policy forbids, from now on."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console", lambda line: errors.append(line.text) if line.type == "error" and "Failed to load resource" not in line.text else None
    )
    return errors


def show(page: Page, service: str, zoom: int = 16, lat: float = LAT, lon: float = LON, more: str = "") -> None:
    """Open the map and wait until all is there."""
    page.goto(f"{service}/map#map={zoom}/{lat}/{lon}{more}")
    expect(page.locator("#state")).to_contain_text("in sight")
