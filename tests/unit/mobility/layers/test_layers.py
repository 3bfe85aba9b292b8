"""Layers: who may create one, what may stand in it, how lists find it."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.mobility.layers import store
from tests.unit.mobility.conftest import API, ROOT, STATION, A, B, MakeAPI, good, refused

_NO_VALIDITIES: tuple[Any, ...] = (
    ["2014-01-01", "2013-01-01"],
    ["2013-01-01"],
    [1, 2],
    "soon",
    {},
    ["0001-01-01", "2013-01-01"],
    ["2013-01-01", "9999-12-31T23:59:59Z"],
    ["0001-01-01T00:00:00+14:00", "2013-01-01"],
)
NEW = {"name": "a.new", "description": "d", "organization": "o", "category": "mobility.x"}


def create(api: API, by: str = A, **fields: Any) -> Any:
    return api.put("/layers", {"data": {**NEW, **fields}}, by)


def listed(api: API, **query: Any) -> list[str]:
    return [one["name"] for one in good(api.get("/layers", **query))["results"]]


def test_a_layer_is_created_shown_and_changed(api: API) -> None:
    good(create(api, data_sources=["KV1=NS", "CBS"], validity=["2013-01-01", "2014-01-01T01:00:00+01:00"]))
    shown = {
        "name": "a.new",
        "category": "mobility.x",
        "organization": "o",
        "owner": "a@example.org",
        "description": "d",
        "data_sources": ["NS", "CBS"],
        "imported_at": None,
        "validity": ["2013-01-01T00:00:00Z", "2014-01-01T00:00:00Z"],
        "status": "",
    }
    found = good(api.get("/layer/a.new/"))
    assert (list(found), found["results"]) == (["status", "url", "results"], [shown])
    assert list(found["results"][0]) == list(shown)
    good(api.put("/layer/a.new", {"data": {"realtime": True, "update_rate": "60", "description": "changed"}}))
    good(api.put("/layer/a.new/status", {"data": "importing …"}))
    shown.pop("validity")
    assert good(api.get("/layer/a.new", geom=""))["results"] == [
        {**shown, "description": "changed", "update_rate": 60, "status": "importing …"}
    ]
    good(api.put("/layer/a.new", {"data": {"realtime": False}}))
    assert good(api.get("/layer/a.new"))["results"][0]["validity"][0] == "2013-01-01T00:00:00Z"


def test_a_name_is_taken_once(make_api: MakeAPI) -> None:
    one, two = make_api(), make_api()
    keys = {A: one.key(A), ROOT: one.key(ROOT)}
    with ThreadPoolExecutor(2) as at_once:
        asked = [
            at_once.submit(api.put, "/layers", {"data": NEW}, None, headers={"X-Auth": key})
            for api, key in zip((one, two), keys.values(), strict=True)
        ]
        answers = sorted((future.result() for future in asked), key=lambda answer: answer.status_code)
    good(answers[0])
    refused(answers[1], 422, {"name": ["is already taken"]})
    refused(create(one), 422, {"name": ["is already taken"]})
    good(create(one, name="a.New"))
    assert listed(one, name="A.n") == ["a.new", "a.New"]


def test_only_owners_of_the_domain_create_layers(sqlite_api: API) -> None:
    api = sqlite_api
    refused(create(api, name="zz.t"), 403, "Not authorized for domain 'zz'.")
    refused(create(api, by=B, name="a.other"), 403, "Not authorized for domain 'a'.")
    refused(create(api, name="zz..", category="?"), 403, "Not authorized for domain 'zz'.")
    refused(api.put("/layers", {"data": NEW}, None), 401, "Not Authorized")
    good(create(api, by=ROOT, name="zz.t"))
    good(create(api, name="a"))
    assert good(api.get("/layer/zz.t"))["results"][0]["owner"] == "root@example.org"


def test_only_its_owner_and_super_users_write_a_layer(sqlite_api: API) -> None:
    api = sqlite_api
    calls = (("PUT", "/layer/b.poi", {"data": {"description": "x"}}), ("PUT", "/layer/b.poi/status", {"data": "x"}))
    for method, path, body in (*calls, ("DELETE", "/layer/b.poi?delete_layer=true", None)):
        refused(api.send(method, path, A, json=body), 403, "Not authorized for layer 'b.poi'.")
        refused(api.send(method, path, json=body), 401, "Not Authorized")
        refused(api.send(method, path.replace("b.poi", "b.*"), A, json=body), 404, "Invalid layer spec: b.*")
    good(api.put("/layer/b.poi/status", {"data": "seen"}, ROOT))
    assert good(api.get("/layer/b.poi"))["results"][0]["status"] == "seen"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"category": "nonsense.x"}, {"category": ["Cannot be 'nonsense'"]}),
        ({"category": "mobility"}, {"category": ["is invalid"]}),
        ({"category": "mobility.x.y"}, {"category": ["is invalid"]}),
        ({"name": None}, {"name": ["is not present"]}),
        ({"name": " "}, {"name": ["is not present"]}),
        *(({"name": name}, {"name": ["is reserved"]}) for name in ("nodes", "routes", "ptstops", "ptlines", "regions", "select", "none")),
        ({"name": ["a.b"]}, {"name": ["is invalid"]}),
        ({"name": "a..b"}, {"name": ["is invalid"]}),
        ({"name": "a.b\n"}, {"name": ["is invalid"]}),
        ({"name": "a.é"}, {"name": ["is invalid"]}),
        ({"name": "a." + "b" * 99}, {"name": ["is longer than 100 characters"]}),
        ({"description": "", "organization": 5}, {"description": ["is not present"], "organization": ["is invalid"]}),
        ({"description": "d" * 10_001}, {"description": ["is longer than 10000 characters"]}),
        ({"owner": "b@example.org"}, {"owner": ["is not a field of layers"]}),
        ({"webservice": "http://x"}, {"webservice": ["is not supported"]}),
        ({"realtime": "yes"}, {"realtime": ["must be true or false"]}),
        ({"update_rate": -1}, {"update_rate": ["must be a number of seconds, from 0 to 2147483647"]}),
        ({"update_rate": 1.5}, {"update_rate": ["must be a number of seconds, from 0 to 2147483647"]}),
        ({"update_rate": True}, {"update_rate": ["must be a number of seconds, from 0 to 2147483647"]}),
        ({"data_sources": "x"}, {"data_sources": ["must be a list of at most 100 texts of at most 1000 characters"]}),
        ({"data_sources": [1]}, {"data_sources": ["must be a list of at most 100 texts of at most 1000 characters"]}),
        *(
            ({"validity": value}, {"validity": ["must be a list of two moments (ISO 8601), the earlier one first"]})
            for value in _NO_VALIDITIES
        ),
    ],
)
def test_wrong_fields_are_named(sqlite_api: API, fields: dict[str, Any], wrong: dict[str, list[str]]) -> None:
    refused(create(sqlite_api, ROOT, **{"name": "a.wrong", **fields}), 422, wrong)
    assert "a.wrong" not in listed(sqlite_api, per_page=1000)


def test_what_old_forms_send_is_read(sqlite_api: API) -> None:
    """The original's own pages send every field, most of them empty, and the validity as a text."""
    fields: dict[str, Any] = {"update_rate": "", "validity": "[2013-01-01, 2014-01-01]", "webservice": None, "title": "", "realtime": False}
    good(create(sqlite_api, name="a.form", **fields))
    assert good(sqlite_api.get("/layer/a.form"))["results"][0]["validity"] == ["2013-01-01T00:00:00Z", "2014-01-01T00:00:00Z"]


def test_many_unknown_fields_make_no_long_answer(sqlite_api: API) -> None:
    many: dict[str, Any] = {f"{number:05}" + "x" * 1000: 1 for number in range(100)}
    message = (create(sqlite_api, name="a.wrong", **many).json or {})["message"]
    assert (len(message), max(map(len, message))) == (20, 100)


def test_bodies_that_are_no_layer(sqlite_api: API) -> None:
    for body in ({}, {"data": None}, {"data": False}):
        refused(sqlite_api.put("/layers", body), 422, "Data missing..")
    refused(sqlite_api.put("/layers", {"data": [1]}), 422, "'data' must be an object with the fields of a layer")
    refused(sqlite_api.put("/layer/a.rail/status", {}), 422, "Data missing..")
    refused(sqlite_api.put("/layer/a.rail/status", {"data": 5}), 422, "'data' must be a text of at most 10000 characters")
    refused(sqlite_api.put("/layer/a.rail", {"data": {"name": "a.x"}}), 422, {"name": ["cannot be changed"]})
    assert sqlite_api.put("/layers", data=b"{").status_code == 422


@pytest.mark.parametrize(
    ("path", "body"), [("/layer/a.rail", b'{"data":{"description":"slow"}}'), ("/layer/a.rail/status", b'{"data":"slow"}')]
)
def test_a_slow_client_holds_no_lock(sqlite_api: API, path: str, body: bytes) -> None:
    """While the body of one write comes in, another is done: on SQLite, whose writers wait for each other."""
    done: list[Any] = []
    key = sqlite_api.key(A)

    class Slow(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            if not done:
                done.append(sqlite_api.put("/layer/a.rail/status", {"data": "other"}))
            return super().readinto(buffer)

    good(sqlite_api.put(path, None, None, headers={"X-Auth": key}, input_stream=Slow(body)))
    good(done[0])
    assert "slow" in good(sqlite_api.get("/layer/a.rail"))["results"][0].values()


def test_a_refused_call_of_the_owner_renews_the_session(sqlite_api: API) -> None:
    key = sqlite_api.key(A)
    for fields in ({"category": "x.y"}, {"name": "a.rail"}, {"name": "a.renewed"}):
        sqlite_api.clock.move(59)
        create(sqlite_api, **fields)
    assert sqlite_api.key(A) == key
    sqlite_api.clock.move(59)
    refused(create(sqlite_api, name="zz.t"), 403, "Not authorized for domain 'zz'.")
    sqlite_api.clock.move(1)
    assert sqlite_api.key(A) != key


def test_lists_find_layers_by_name_category_and_place(api: API) -> None:
    assert listed(api) == ["osm", "gtfs", "admr", "a.rail", "b.poi"]
    assert listed(api, name="M") == ["osm", "admr"]
    assert listed(api, name="a.*") == ["a.rail"]
    assert listed(api, name="A.*") == ["a.rail"]
    assert listed(api, name="_") == listed(api, name="%") == []
    assert listed(api, category="MOBILITY.", name="r") == ["a.rail"]
    assert listed(api, lat="52.378887", lon="4.9002776") == ["osm"]
    assert listed(api, lat="52.4", lon="4.9") == []
    assert listed(api, where=STATION, geom="") == ["osm"]
    with api.parts.database.transaction() as session:
        layer = store.find(session, "b.poi")
        assert layer is not None
        store.change(session, layer.id, {"min_lon": 4.0, "min_lat": 52.0, "max_lon": 5.0, "max_lat": 53.0})
    assert listed(api, where=STATION) == listed(api, lat="52.378887", lon="4.9002776") == ["osm", "b.poi"]
    assert listed(api, where=STATION, per_page=1, page=2, category="mobility") == []
    assert listed(api, where=STATION, per_page=1, page=2) == ["b.poi"]
    shown = good(api.get("/layer/b.poi", geom=""))["results"][0]["bbox"]
    assert shown == {"type": "Polygon", "coordinates": [[[4.0, 52.0], [5.0, 52.0], [5.0, 53.0], [4.0, 53.0], [4.0, 52.0]]]}


def test_lists_are_counted_and_lead_to_the_next_page(sqlite_api: API) -> None:
    for name in ("a.page1", "a.page2"):
        good(create(sqlite_api, name=name))
    first = sqlite_api.get("/layers", name="admr")
    assert list(good(first)) == ["status", "url", "pages", "per_page", "record_count", "next_page", "results"]
    assert (good(first)["record_count"], good(first)["next_page"], "Link" in first.headers) == (1, -1, False)
    seen, page = [], "/layers?name=a.page&geom&per_page=1"
    for number in (1, 2):
        answer = sqlite_api.send("GET", page)
        body = good(answer)
        assert (body["pages"], body["record_count"], body["next_page"]) == (2, 2, 2 if number == 1 else -1)
        seen += [one["name"] for one in body["results"]]
        page = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert (seen, page) == (["a.page1", "a.page2"], "")
    for strange in ("0", "-4", "abc", "9" * 5000, "1.5"):
        assert good(sqlite_api.get("/layers", per_page=strange))["per_page"] in (10, 1000)
    assert good(sqlite_api.get("/layers", page=9**50))["results"] == []


def test_of_a_parameter_that_comes_twice_the_last_counts_in_every_list(sqlite_api: API) -> None:
    for path in ("/layers", "/nodes"):
        body = good(sqlite_api.send("GET", f"{path}?per_page=3&per_page=2&page=2&page=1&name=x&name=a"))
        assert (body["per_page"], bool(body["results"])) == (2, True)
        assert good(sqlite_api.get(path, per_page="2.9"))["per_page"] == 10


def test_wrong_places_are_refused(sqlite_api: API) -> None:
    for lat in ("", "north", "nan", "91", "52');DROP TABLE layers;--"):
        refused(sqlite_api.get("/layers", lat=lat, lon="4"), 422, f"Invalid 'lat' parameter supplied ({lat}): degrees, from -90 to 90.")
    refused(sqlite_api.get("/layers", lat="4"), 422, "Invalid 'lon' parameter supplied (): degrees, from -180 to 180.")
    refused(sqlite_api.get("/layers", where="nope"), 404, "Node not found: 'nope'")
    refused(sqlite_api.get("/layer/a.*"), 404, "Unknown layer or invalid layer spec: a.*")
    refused(sqlite_api.get("/layer/A.RAIL"), 404, "Unknown layer or invalid layer spec: A.RAIL")


def test_the_permanent_layers_belong_to_the_administrator(make_api: MakeAPI) -> None:
    api = make_api(admin_email="root@city.example")
    assert good(api.get("/layer/osm"))["results"][0]["owner"] == "root@city.example"
