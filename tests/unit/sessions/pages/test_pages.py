"""The API in a browser: every address has a page, and all pages are reached from the first one."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from werkzeug.test import TestResponse

from services.sessions.events.sets import IO, SESSION
from tests.unit.sessions.conftest import API, Joined, refused, value
from tests.unit.sessions.pages.reading import Page

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
EVENTS = "/api/services/event/IOServicesEventType/"
MOUNT = "/sessions"


def browse(api: API, path: str, who: str | None = None, *, mount: str = "", **query: str) -> TestResponse:
    headers = {"Accept": BROWSER, **({"X-Forwarded-Prefix": mount} if mount else {})}
    return api.send("GET", path, who, query_string=query, headers=headers)


def page(answer: TestResponse, status: int = 200) -> Page:
    assert (answer.status_code, answer.mimetype) == (status, "text/html"), answer.text
    return Page(answer.text)


def tokens(joined: Joined) -> dict[str, str]:
    return {"token": joined.token, "clientToken": joined.client}


@pytest.mark.parametrize(("mount", "database_url"), [("", "sqlite"), (MOUNT, "postgresql")], indirect=["database_url"])
def test_all_pages_are_reached_from_the_first_one_and_no_link_is_dead(api: API, mount: str) -> None:
    joined = api.join(api.running())
    first = browse(api, "/api/", "edit", mount=mount, **tokens(joined))
    ahead, seen = {*page(first).addresses, f"{mount}/api/session/event/?{urlencode(tokens(joined))}"}, set()
    while ahead:
        address = ahead.pop()
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        if address.startswith("#") or path in seen or "f" in query:
            continue
        seen.add(path)
        assert path.startswith(f"{mount}/"), address
        assert (
            query == {} if path.endswith("openapi.json") else {name: [one] for name, one in tokens(joined).items()}.items() <= query.items()
        )
        answer = api.send("GET", address.removeprefix(mount), "edit", headers={"Accept": BROWSER, "X-Forwarded-Prefix": mount})
        assert answer.status_code == 200, address
        if answer.mimetype == "text/html":
            found = page(answer)
            assert "script" not in found.elements or path.endswith("/map/"), address
            ahead |= set(found.addresses)
    for name in ("START_NEW_SESSION", "JOIN_SESSION"):
        assert f"{mount}{EVENTS}{name}/" in seen
    assert {
        f"{mount}/api/{one}/"
        for one in ("services", "event", "services/event", "session/event", "slots", "event/io", "session", "session/update")
    } <= seen


def test_the_first_page_is_no_data(sqlite_api: API) -> None:
    refused(sqlite_api.get("/api/", "host"), 406, "This address has no such format. It has: HTML.")
    refused(sqlite_api.send("GET", "/api/", "host", headers={"Accept": "application/json"}), 406, "This address")
    answer = sqlite_api.send("GET", "/api/", headers={"Accept": BROWSER})
    assert page(answer, 401).heading == "401 Unauthorized"
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_overviews_are_data_as_well(sqlite_api: API, sqlite_joined: Joined) -> None:
    for path in ("/api/services/", "/api/services/event/", "/api/event/", "/api/slots/"):
        assert "links" in value(sqlite_api.get(path, "join"))
    for path in ("/api/session/event/", f"/api/slots/{sqlite_joined.id}/event/"):
        assert [one["name"] for one in value(sqlite_api.get(path, token=sqlite_joined.token))["links"]] == list(SESSION.names)
    described = value(sqlite_api.get(EVENTS, "join"))
    assert [one["name"] for one in described] == [one.name for one in IO]
    start = next(one for one in described if one["name"] == "START_NEW_SESSION")
    assert start["parameters"][0]["choices"] == ["SINGLE", "MULTI", "EDITOR"]


def test_a_page_leads_up_and_to_the_same_data(sqlite_api: API, sqlite_joined: Joined) -> None:
    found = page(browse(sqlite_api, "/api/session/items/TIMES", mount=MOUNT, **tokens(sqlite_joined)))
    assert found.links["API"].startswith(f"{MOUNT}/api/?")
    data = found.links["Show in JSON format"]
    assert parse_qs(urlsplit(data).query) == {"f": ["JSON"], "token": [sqlite_joined.token], "clientToken": [sqlite_joined.client]}
    assert [one["id"] for one in value(sqlite_api.send("GET", data.removeprefix(MOUNT)))] == [0, 1]


def test_both_names_of_a_set_lead_to_its_events(sqlite_api: API) -> None:
    for path in (EVENTS, "/api/event/io", "/api/event/IO/"):
        answer = browse(sqlite_api, path, "join")
        assert page(answer).links["START_NEW_SESSION"] == f"{path.rstrip('/')}/START_NEW_SESSION/"
        assert "needs HOST_SESSION" in answer.text
    assert page(browse(sqlite_api, "/api/event/nope/", "join"), 404).heading == "404 Not Found"


def test_a_page_without_a_token_tells_how_to_get_one(sqlite_api: API) -> None:
    found = page(browse(sqlite_api, "/api/session/event/"), 400)
    assert found.links["the event JOIN_SESSION"] == f"{EVENTS}JOIN_SESSION/"


def test_pages_tell_nobody_where_they_were(sqlite_api: API) -> None:
    answer = browse(sqlite_api, EVENTS, "join")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "form-action 'self'" in answer.headers["Content-Security-Policy"]


def test_odd_addresses_are_not_found(sqlite_api: API) -> None:
    for path in ("/api/nope/<script>alert(1)</script>/", "/api/event/%22%3E%3Cscript%3E/", "/api/event/io/%FF%00/"):
        assert "script" not in page(browse(sqlite_api, path, "join"), 404).elements
        assert sqlite_api.get(path, "join").mimetype == "text/plain"


def test_wrong_methods_name_the_right_ones(sqlite_api: API) -> None:
    answer = sqlite_api.send("POST", "/api/", "host", headers={"Accept": BROWSER})
    assert page(answer, 405).heading == "405 Method Not Allowed"
    assert "GET" in answer.headers["Allow"]
    answer = sqlite_api.get(f"{EVENTS}JOIN_SESSION/", "host")
    refused(answer, 405, "method not allowed")
    assert answer.headers["Allow"] == "POST"
    assert sqlite_api.send("HEAD", f"{EVENTS}JOIN_SESSION/", "host").status_code == 200
    assert "POST" in sqlite_api.send("OPTIONS", f"{EVENTS}JOIN_SESSION/").headers["Allow"]


def test_odd_tokens_are_no_tokens(api: API) -> None:
    joined = api.join(api.running())
    for odd in ("\x00", "é" * 32, "0" * 32, "x" * 5000, f"{joined.token}\n", joined.token.upper(), "<script>", "ffffffff" + "A" * 24):
        refused(api.get("/api/session/", token=odd), 400, "INVALID_TOKEN")
        refused(api.get("/api/session/", token=joined.token, clientToken=odd), 400, "INVALID_TOKEN")
        assert "script" not in page(browse(api, "/api/session/", token=odd), 400).elements
