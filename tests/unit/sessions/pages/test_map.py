"""Who gets the page of the map, what it may do, and that its scripts are there."""

from __future__ import annotations

import re

from services.sessions.pages.map import page
from tests.unit.sessions.conftest import API, Joined, refused

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SCRIPTS = {path.name: path.read_text() for path in page.FOLDER.glob("*.js")}


def test_who_has_the_token_gets_the_page(sqlite_api: API, sqlite_joined: Joined) -> None:
    for address in ("/api/session/map/", f"/api/slots/{sqlite_joined.id}/map/"):
        answer = sqlite_api.send("GET", address, headers={"Accept": BROWSER}, query_string={"token": sqlite_joined.token})
        assert (answer.status_code, answer.mimetype) == (200, "text/html")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"  # the token is in the address
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "unsafe" not in policy
        assert re.findall(r"<script(?![^>]* src=)|<style| style=|\son\w+=|https?://", answer.text) == []


def test_without_a_script_it_leads_to_the_lists(sqlite_api: API, sqlite_joined: Joined) -> None:
    text = sqlite_api.send("GET", "/api/session/map/", headers={"Accept": BROWSER}, query_string={"token": sqlite_joined.token}).text
    found = re.search(r"<noscript>(.*?)</noscript>", text, re.DOTALL)
    assert found is not None
    for name in ("STAKEHOLDERS", "BUILDINGS", "MESSAGES"):
        assert f'href="/api/session/items/{name}/?token={sqlite_joined.token}"' in found[1]


def test_who_has_no_token_is_refused(sqlite_api: API, sqlite_joined: Joined) -> None:
    refused(sqlite_api.send("GET", "/api/session/map/"), 400, "INVALID_TOKEN")
    refused(sqlite_api.send("GET", "/api/session/map/", query_string={"token": sqlite_joined.token[:-1] + "!"}), 400, "INVALID_TOKEN")
    refused(
        sqlite_api.send("GET", f"/api/slots/{sqlite_joined.id + 1}/map/", query_string={"token": sqlite_joined.token}), 400, "INVALID_TOKEN"
    )


def test_it_is_a_page_only(sqlite_api: API, sqlite_joined: Joined) -> None:
    assert sqlite_api.get("/api/session/map/", token=sqlite_joined.token).status_code == 406


def test_it_knows_where_it_is_mounted(sqlite_api: API, sqlite_joined: Joined) -> None:
    headers = {"Accept": BROWSER, "X-Forwarded-Prefix": "/sessions"}
    text = sqlite_api.send("GET", "/api/session/map/", headers=headers, query_string={"token": sqlite_joined.token}).text
    assert 'data-api="/sessions/api/"' in text and 'src="/sessions/pages/main.js?v=' in text


def test_all_that_it_loads_is_there(sqlite_api: API, sqlite_joined: Joined) -> None:
    text = sqlite_api.send("GET", "/api/session/map/", headers={"Accept": BROWSER}, query_string={"token": sqlite_joined.token}).text
    loaded = set(re.findall(r'(?:src|href)="(/pages/[\w.]+)\?v=', text))
    imported = {f"/pages/{name}" for script in SCRIPTS.values() for name in re.findall(r'from "\./([\w.]+)"', script)}
    assert {"/pages/main.js", "/pages/leaflet.js", "/pages/leaflet.css", "/pages/map.css"} <= loaded
    for address in loaded | imported:
        answer = sqlite_api.send("GET", address)
        assert answer.status_code == 200, address
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_its_scripts_write_no_markup_and_send_no_token_in_an_address() -> None:
    for name, script in SCRIPTS.items():
        assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script) == [], name
        assert re.findall(r"token=", script) == [], name


def test_its_parts_stay_small() -> None:
    assert {name: script.count("\n") for name, script in SCRIPTS.items() if script.count("\n") >= 150} == {}
