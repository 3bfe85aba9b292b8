"""Who gets the pages, what they may do, and that all is there that they load."""

from __future__ import annotations

import dataclasses
import re

import pytest

from services.common.settings import SettingsError
from services.common.settings import load as load_settings
from services.mobility.pages import pages
from services.mobility.settings import Settings
from tests.unit.mobility.conftest import API, good

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
SCRIPTS = {path.name: path.read_text() for path in pages.SCRIPTS.glob("*.js")}
TILES = "https://tiles.example:8443/{z}/{x}/{y}.png?key=a&b=c"


@pytest.mark.parametrize("path", ["/", "/map"])
def test_a_page_runs_only_what_is_its_own(sqlite_api: API, path: str) -> None:
    answer = sqlite_api.send("GET", path, headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Vary"] == "Accept, X-Forwarded-Prefix"
    policy = answer.headers["Content-Security-Policy"]
    assert (
        "default-src 'none'" in policy and "connect-src 'self'" in policy and "img-src 'self' data:;" in policy and "unsafe" not in policy
    )
    assert re.findall(r"<script(?![^>]* src=)|<style| style=|\son\w+=", answer.text) == []


def test_programs_get_json_at_the_root(sqlite_api: API) -> None:
    answer = sqlite_api.send("GET", "/", headers={"Accept": "*/*"})
    assert "Accept" in answer.headers["Vary"]
    body = good(answer)
    assert list(body) == ["status", "url", "name", "description", "health"]
    assert body["url"] == "http://localhost/"


def test_pages_know_where_they_are_mounted(sqlite_api: API) -> None:
    headers = {**BROWSER, "X-Forwarded-Prefix": "/mobility", "X-Forwarded-Host": "city.example", "X-Forwarded-Proto": "https"}
    text = sqlite_api.send("GET", "/map", headers=headers).text
    assert 'data-api="/mobility/"' in text and 'src="/mobility/pages/main.js?v=' in text
    text = sqlite_api.send("GET", "/", headers=headers).text
    assert 'href="/mobility/map"' in text and "curl https://city.example/mobility/get_session" in text


def test_without_a_script_the_map_leads_to_the_data(sqlite_api: API) -> None:
    found = re.search(r"<noscript>(.*?)</noscript>", sqlite_api.send("GET", "/map", headers=BROWSER).text, re.DOTALL)
    assert found is not None
    assert re.findall('href="([^"]*)"', found[1]) == ["/layers", "/nodes?geom", "/openapi.json"]


def test_all_that_the_map_loads_is_there(sqlite_api: API) -> None:
    text = sqlite_api.send("GET", "/map", headers=BROWSER).text
    loaded = set(re.findall(r'(?:src|href)="(/pages/[\w.]+)\?v=', text))
    imported = {f"/pages/{name}" for script in SCRIPTS.values() for name in re.findall(r'from "\./([\w.]+)"', script)}
    assert {"/pages/main.js", "/pages/leaflet.js", "/pages/leaflet.css", "/pages/map.css"} <= loaded
    for address in loaded | imported:
        answer = sqlite_api.send("GET", address)
        assert answer.status_code == 200, address
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_scripts_write_no_markup_and_stay_small() -> None:
    for name, script in SCRIPTS.items():
        assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script) == [], name
        assert script.count("\n") < 180, name


def test_tiles_are_allowed_and_credited(sqlite_api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = dataclasses.replace(Settings(), tiles_url=TILES, tiles_credit="© <b> somebody, https://tiles.example/credit")
    monkeypatch.setattr(sqlite_api.parts, "settings", chosen)
    answer = sqlite_api.send("GET", "/map", headers=BROWSER)
    assert "img-src 'self' data: https://tiles.example:8443;" in answer.headers["Content-Security-Policy"]
    assert 'data-tiles="https://tiles.example:8443/{z}/{x}/{y}.png?key=a&amp;b=c"' in answer.text
    assert '© &lt;b&gt; somebody, <a href="https://tiles.example/credit"' in answer.text
    assert "tiles.example" not in sqlite_api.send("GET", "/", headers=BROWSER).headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "address",
    [
        "https://tiles.example/{z}/{x}.png", "https://tiles.example/{z}/{x}/{y}/{s}.png", "https://{z}.example/{x}/{y}",
        "ftp://tiles.example/{z}/{x}/{y}", "javascript:{z}{x}{y}", "//tiles.example/{z}/{x}/{y}", "https://a;script-src *.b/{z}/{x}/{y}",
        "https://user:secret@tiles.example/{z}/{x}/{y}", "https://tiles.example:99999/{z}/{x}/{y}", "https://[::1/{z}/{x}/{y}",
        "https://tiles.example/{z}/{x}/{y}'", "https://tiles.example/{z}/{x}/{y}/{", "https://tiles.example/{z}/{x}/{y} {y}",
    ],
)  # fmt: skip
def test_an_address_of_tiles_that_no_map_can_use_stops_the_start(address: str) -> None:
    with pytest.raises(SettingsError, match="MOBILITY_TILES_URL must") as raised:
        load_settings(Settings, "MOBILITY", {"MOBILITY_TILES_URL": address})
    assert "secret" not in str(raised.value)


def test_an_address_of_tiles_is_read() -> None:
    assert load_settings(Settings, "MOBILITY", {"MOBILITY_TILES_URL": TILES}).tiles_url == TILES
