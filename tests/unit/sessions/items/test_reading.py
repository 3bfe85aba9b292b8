"""What is read of a session, at its addresses and in its formats."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
import sqlalchemy as sa

from services.common.refusal import Refusal
from services.sessions.items.rules import lists
from services.sessions.models import Session
from tests.unit.sessions.conftest import API, Joined, refused, value

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # what is done with that which a store has answered
SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10]]


@pytest.fixture
def joined(api: API) -> Joined:
    found = api.join(api.running(), "host")
    value(api.fire("BUILDING_PLACE", found, 0, "=House", 3, SQUARE))
    return found


def put_on_earth(api: API, joined: Joined) -> None:
    """Give the map of a session a place."""
    place = sa.update(Session).where(Session.id == joined.id).values(lat=52.0, lon=4.36)
    api.parts.database.run(lambda transaction: transaction.execute(place))


def test_a_list_has_addresses_of_both_generations(api: API, joined: Joined) -> None:
    for session in ("/api/session", f"/api/slots/{joined.id}"):
        for lists_of in ("items", "lists"):
            read_list(api, joined, f"{session}/{lists_of}")


def read_list(api: API, joined: Joined, start: str) -> None:
    at = f"{start}/Buildings"
    (building,) = value(api.get(f"{at}/", token=joined.token))
    assert value(api.get(f"{at}/0/", token=joined.token)) == building
    assert value(api.get(f"{at}/size/", token=joined.token)) == 1
    assert value(api.get(f"{at}/version/", token=joined.token)) == building["version"]
    assert {one["name"]: one["size"] for one in value(api.get(f"{start}/", token=joined.token))} == {
        "STAKEHOLDERS": 4, "SETTINGS": 1, "BUILDINGS": 1, "MESSAGES": 0, "TIMES": 2, "LOGS": 1,
    }  # fmt: skip


def test_what_is_not_there(api: API, joined: Joined) -> None:
    for path, text in {
        "items/ROADS/": "There is no list 'ROADS'.",
        "items/ROADS/size/": "There is no list",
        "items/ROADS/version/": "There is no list",
        "items/ROADS/0/": "There is no list",
        "items/BUILDINGS/1/": "There is no item 'BUILDINGS/1'.",
        f"items/BUILDINGS/{10**30}/": "There is no item",
    }.items():
        refused(api.get(f"/api/session/{path}", token=joined.token), 404, text)


@ON_SQLITE
def test_nothing_is_read_without_the_token_and_all_in_a_browser(api: API, joined: Joined) -> None:
    for path in ("", "items/", "items/LOGS/", "items/LOGS/0/", "items/LOGS/size/", "items/LOGS/version/", "location/", "density/"):
        refused(api.get(f"/api/session/{path}"), 400, "INVALID_TOKEN")
        refused(api.get(f"/api/slots/{joined.id + 1}/{path}", token=joined.token), 400, "INVALID_TOKEN")
        page = api.send("GET", f"/api/slots/{joined.id}/{path}", query_string={"token": joined.token}, headers={"Accept": "text/html"})
        assert (page.status_code, page.mimetype) == (200, "text/html")
        refused(api.get(f"/api/session/{path}", token=joined.token, f="WEIRD"), 406, "This address has no such format.")


@ON_SQLITE
def test_the_overview_leads_everywhere(api: API, joined: Joined) -> None:
    found = value(api.get("/api/session/", token=joined.token))
    assert {name: found["session"][name] for name in ("id", "name", "sessionType")} == {
        "id": joined.id,
        "name": "demo",
        "sessionType": "MULTI",
    }
    assert [one["name"] for one in found["lists"]] == list(lists.ALL)
    for name, address in found["links"].items():
        if name not in ("update", "events"):
            value(api.send("GET", f"{address}&f=JSON"))


@ON_SQLITE
def test_the_page_of_a_list_has_a_form_for_each_event_that_changes_it(api: API, joined: Joined) -> None:
    page = api.send("GET", "/api/session/items/BUILDINGS/", query_string={"token": joined.token}).text
    for event in ("BUILDING_PLACE", "BUILDING_MOVE", "BUILDING_REMOVE"):
        assert f"/api/session/event/LogicEventType/{event}/?token=" in page
    assert 'name="polygon"' in page


@ON_SQLITE
def test_a_list_as_tjson(api: API, joined: Joined) -> None:
    (one,) = value(api.get("/api/session/items/BUILDINGS/", token=joined.token, f="TJSON"))
    assert one["Building"]["name"] == "=House"
    assert value(api.get("/api/session/items/TIMES/0/", token=joined.token, f="tjson"))["Time"]["name"] == "START"


@ON_SQLITE
def test_a_list_as_csv(api: API, joined: Joined) -> None:
    answer = api.get("/api/session/items/BUILDINGS/", token=joined.token, f="CSV")
    assert (answer.status_code, answer.content_type) == (200, "text/csv; charset=utf-8")
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert (row["name"], row["polygons"]) == ("'=House", "POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))")


@ON_SQLITE
def test_a_list_with_geometry_as_geojson(api: API, joined: Joined) -> None:
    put_on_earth(api, joined)
    answer = api.send("GET", "/api/session/items/BUILDINGS/", headers={"token": joined.token, "Accept": "application/geo+json"})
    assert (answer.status_code, answer.mimetype) == (200, "application/geo+json")
    (feature,) = answer.get_json(force=True)["features"]
    assert feature["geometry"]["type"] == "Polygon"
    lon, lat = feature["geometry"]["coordinates"][0][0]
    assert lon == pytest.approx(4.36, abs=0.01) and lat == pytest.approx(52.0, abs=0.01) and (lon, lat) < (4.36, 52.0)
    assert feature["properties"]["name"] == "=House"
    one = api.get("/api/session/items/BUILDINGS/0/", token=joined.token, f="GEOJSON").get_json(force=True)
    assert one["features"] == [feature]
    refused(api.get("/api/session/items/TIMES/", token=joined.token, f="GEOJSON"), 406, "This address has no such format.")


@ON_SQLITE
def test_location(api: API, joined: Joined) -> None:
    flat = value(api.get("/api/session/location/", token=joined.token))
    assert (flat["mapSizeM"], flat["lat"], flat["boundsM"], flat["boundsLonLat"]) == (500, None, [0, 0, 500, 500], None)
    put_on_earth(api, joined)
    found = value(api.get(f"/api/slots/{joined.id}/location/", token=joined.token))
    assert (found["lat"], found["lon"]) == (52.0, 4.36)
    west, south, east, north = found["boundsLonLat"]
    assert west < 4.36 < east and south < 52.0 < north
    assert found["crs"].startswith("+proj=tmerc +lat_0=52.0 +lon_0=4.36")


def test_density_of_a_grid(api: API, joined: Joined) -> None:
    found = value(api.get("/api/session/density/", token=joined.token))
    assert len(found) == 25
    assert (found[0]["buildings"], found[0]["footprintShare"], found[0]["floorAreaRatio"]) == (1, 0.01, 0.03)
    assert len(value(api.get("/api/session/density/", token=joined.token, cell=250))) == 4
    shown = api.get("/api/session/density/", token=joined.token, f="GEOJSON", cell=500).get_json(force=True)
    assert shown["features"][0]["properties"]["buildings"] == 1
    assert shown["features"][0]["geometry"]["type"] == "Polygon"
    assert api.get("/api/session/density/", token=joined.token, f="CSV").text.count("\r\n") == 26
    for bad in ("", "x", "nan", "0", "-5", "0.5", "1"):
        refused(api.get("/api/session/density/", token=joined.token, cell=bad), 400, "INVALID_REQUEST: cell:")


def post(api: API, joined: Joined, body: Any, **query: str) -> Any:
    return api.send("POST", "/api/session/density/", json=body, headers={"token": joined.token}, query_string=query)


def test_density_of_own_areas(api: API, joined: Joined) -> None:
    geometry = {"type": "Polygon", "coordinates": [[[0, 0], [20, 0], [20, 20], [0, 20], [0, 0]]]}
    body = {"type": "FeatureCollection", "features": [{"type": "Feature", "id": "a", "properties": {"name": "A"}, "geometry": geometry}]}
    (found,) = value(post(api, joined, body))
    assert (found["id"], found["name"], found["buildings"], found["footprintShare"]) == ("a", "A", 1, 0.25)
    assert value(post(api, joined, [SQUARE]))[0]["footprintShare"] == 1
    put_on_earth(api, joined)
    degrees = api.get("/api/session/density/", token=joined.token, f="GEOJSON", cell=500).get_json(force=True)
    (whole,) = value(post(api, joined, degrees, crs="WGS84"))
    assert (whole["buildings"], whole["areaM2"]) == (1, pytest.approx(250_000, rel=1e-4))


@ON_SQLITE
def test_bad_areas(api: API, joined: Joined) -> None:
    features = {"type": "FeatureCollection", "features": [5]}
    cases: list[tuple[Any, dict[str, str], str]] = [
        (None, {}, "INVALID_REQUEST: send a GeoJSON FeatureCollection"),
        (features, {}, "INVALID_REQUEST: area 0: expected a list"),
        ([SQUARE], {"crs": "mars"}, "INVALID_REQUEST: crs is local or wgs84."),
        ([SQUARE], {"crs": "wgs84"}, "INVALID_REQUEST: this map has no place on Earth"),
    ]
    for body, query, text in cases:
        refused(post(api, joined, body, **query), 400, text)


def test_a_session_that_ends_meanwhile_has_no_empty_lists(api: API) -> None:
    """Whoever reads would take its buildings for removed."""
    joined = api.join(api.running())
    seat = api.parts.seats.seat(joined.token, joined.client)
    items = api.parts.items
    assert items.all(seat, "BUILDINGS") == []
    assert items.size(seat, "BUILDINGS") == 0
    assert value(api.io("KILL_SESSION", "host", joined.id)) is True
    for read in (lambda: items.all(seat, "BUILDINGS"), lambda: items.size(seat, "BUILDINGS"), lambda: items.one(seat, "STAKEHOLDERS", 0)):
        with pytest.raises(Refusal, match="INVALID_TOKEN"):
            read()
