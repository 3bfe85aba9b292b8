"""Bulks: nodes created and written to, in three modes; what is skipped; the same again."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from services.mobility.models import Layer, Member, Node, Record
from services.mobility.nodes.store import bulk as store
from tests.unit.mobility.conftest import API, ROOT, STATION, A, B, good, point, refused
from tests.unit.mobility.nodes.conftest import node_layer

ASD: dict[str, Any] = {
    "id": "ASD",
    "name": "Amsterdam Centraal",
    "modalities": ["rail"],
    "geom": point(4.9002776, 52.378887),
    "data": {"naam_lang": "Amsterdam Centraal", "code": "ASD"},
}
ON_STATION: dict[str, Any] = {
    "cdk_id": STATION,
    "modalities": ["rail"],
    "data": {"naam_lang": "Amsterdam Centraal", "code": "ASD"},
}


def node(given_id: object, **more: Any) -> dict[str, Any]:
    return {"id": given_id, "geom": point(4.9, 52.4), "data": {"k": "v"}, **more}


def layers(api: API, cdk_id: str) -> Any:
    return good(api.get(f"/{cdk_id}", layer="*"))["results"][0]["layers"]


def missing(api: API, *cdk_ids: str) -> bool:
    return all(api.get(f"/{cdk_id}").status_code == 404 for cdk_id in cdk_ids)


def test_the_sample_of_the_documentation(api: API) -> None:
    body = {"create": {"params": {"create_type": "create", "srid": 4326}}, "nodes": [ASD, ON_STATION]}
    first = good(api.put("/nodes/a.rail", body))
    assert first == {
        "status": "success",
        "create": {
            "params": {"create_type": "create", "srid": 4326},
            "results": {
                "created": [{"id": "ASD", "cdk_id": "a.rail.asd"}],
                "updated": [{"cdk_id": STATION}],
                "skipped": [],
                "totals": {"created": 1, "updated": 1, "skipped": 0},
            },
        },
    }
    written = {"data": ASD["data"], "modalities": ["rail"]}
    for cdk_id in ("a.rail.asd", STATION):
        assert layers(api, cdk_id)["a.rail"] == written
    again = good(api.put("/nodes/a.rail", body))["create"]["results"]
    assert (again["created"], again["updated"]) == ([], [{"id": "ASD", "cdk_id": "a.rail.asd"}, {"cdk_id": STATION}])
    assert again["totals"] == {"created": 0, "updated": 2, "skipped": 0}


def test_update_writes_to_existing_nodes_only(api: API) -> None:
    api.bulk("a.rail", [node("old")])
    given = [{**ON_STATION, "name": "other", "geom": point(1, 1)}, node("old"), node("new"), {"cdk_ids": ["a.rail.old"], "data": {"x": 1}}]
    creates: list[dict[str, Any]] = [{}, {"create": {}}, {"create": {"params": {}}}, {"create": {"params": {"create_type": "update"}}}]
    for create in creates:
        done = good(api.put("/nodes/a.rail", {**create, "nodes": given}))["create"]
        assert done["params"] == ({"create_type": "update"} if "create_type" in str(create) else {})
        assert done["results"]["updated"] == [{"cdk_id": STATION}, {"cdk_id": "a.rail.old"}]
        assert [one["index"] for one in done["results"]["skipped"]] == [1, 2]
        assert done["results"]["totals"] == {"created": 0, "updated": 2, "skipped": 2}
    assert layers(api, "a.rail.old") == {"a.rail": {"data": {"x": 1}}}
    assert good(api.get(f"/{STATION}"))["results"][0]["name"] == "Amsterdam Centraal"
    assert missing(api, "a.rail.new")


def test_what_has_no_data_or_not_what_its_mode_needs_is_skipped(api: API) -> None:
    given = [node("one"), {"id": "two", "geom": point(1, 1)}, node("three", data=None), node("four", geom=None), node("five", data={})]
    done = api.bulk("a.rail", given)
    assert done["created"] == [{"id": "one", "cdk_id": "a.rail.one"}, {"id": "five", "cdk_id": "a.rail.five"}]
    assert done["skipped"] == [
        {"index": 1, "reason": "Node without data."},
        {"index": 2, "reason": "Node without data."},
        {"index": 3, "reason": "New node without geom."},
    ]
    assert done["totals"] == {"created": 2, "updated": 0, "skipped": 3}
    assert missing(api, "a.rail.two", "a.rail.three", "a.rail.four")
    routes = api.bulk("a.rail", [node("six"), {"cdk_id": STATION, "data": {}}], create_type="routes")
    assert (routes["totals"], routes["skipped"][0]["index"]) == ({"created": 0, "updated": 1, "skipped": 1}, 0)


def test_a_bulk_replaces_what_the_layer_said_and_leaves_the_node(api: API) -> None:
    api.bulk("a.rail", [node("x", name="first", data={"a": 1, "b": 2}, modalities=["rail"], validity=["2026-01-01", "2026-02-01"])])
    api.bulk("b.poi", [{"cdk_id": "a.rail.x", "data": {"theirs": True}}], B)
    again = api.bulk("a.rail", [{"id": "x", "name": "second", "data": {"c": None}}])
    assert again["updated"] == [{"id": "x", "cdk_id": "a.rail.x"}]
    shown = good(api.get("/a.rail.x", layer="*"))["results"][0]
    assert shown["name"] == "first"
    assert shown["layers"] == {"a.rail": {"data": {"c": None}}, "b.poi": {"data": {"theirs": True}}}
    with api.parts.database.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(valid_from) FROM records").scalar() == 0


def test_a_node_that_its_layer_has_let_go_comes_back_to_it(api: API) -> None:
    api.bulk("a.rail", [node("x")])
    api.bulk("b.poi", [{"cdk_id": "a.rail.x", "data": {}}], B)
    good(api.delete("/a.rail.x/a.rail?delete_node=true"))
    assert node_layer(api, "a.rail.x") == "none"
    api.bulk("a.rail", [{"cdk_id": "a.rail.x", "data": {}}])
    assert node_layer(api, "a.rail.x") == "none"
    assert api.bulk("a.rail", [node("x")])["totals"]["updated"] == 1
    assert node_layer(api, "a.rail.x") == "a.rail"


def test_two_ids_with_one_cdk_id_are_refused_against_the_store_too(api: API) -> None:
    api.bulk("a.rail", [node("A-B")])
    body = refused(
        api.put("/nodes/a.rail", {"create": {"params": {"create_type": "create"}}, "nodes": [node("c"), node("a.b")]}),
        422,
        "cdk_id must be unique: 'a.rail.a.b'",
    )
    assert body["index"] == 1
    assert missing(api, "a.rail.c")
    # layer `a`, id `rail.a-b` makes the same one
    with api.parts.database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE layers SET name = 'a' WHERE name = 'b.poi'")
    refused(
        api.put("/nodes/a", {"create": {"params": {"create_type": "create"}}, "nodes": [node("rail.A-B")]}, ROOT),
        422,
        "cdk_id must be unique: 'a.rail.a.b'",
    )


def test_ids_may_be_numbers(api: API) -> None:
    done = api.bulk("a.rail", [node(7, name=8), node(1.5)])
    assert done["created"] == [{"id": 7, "cdk_id": "a.rail.7"}, {"id": 1.5, "cdk_id": "a.rail.1.5"}]
    assert good(api.get("/a.rail.7"))["results"][0]["name"] == "8"
    assert api.bulk("a.rail", [node("7")])["updated"] == [{"id": "7", "cdk_id": "a.rail.7"}]


def test_values_stay_as_they_were_given(api: API) -> None:
    data = {"é\"'\\": "ü {} , \\", "n": 123456789012345678901234567890, "f": 0.1, "t": True, "null": None, "empty": "", "%s": "%(x)s"}
    api.bulk("a.rail", [node("x", data=data, name='a "b" \\ {c},d')])
    shown = good(api.get("/a.rail.x", layer="*"))["results"][0]
    assert shown["name"] == 'a "b" \\ {c},d'
    assert shown["layers"]["a.rail"]["data"] == data
    assert list(shown["layers"]["a.rail"]["data"]) == list(data)


def test_the_kind_and_the_modalities_of_new_nodes(api: API) -> None:
    api.bulk("a.rail", [node("plain")])
    done = api.bulk("gtfs", [node("stop"), {"cdk_id": "a.rail.plain", "data": {}}], ROOT, node_type="ptstop", modalities=["tram", "bus"])
    assert done["totals"]["created"] == 1
    shown = {cdk_id: good(api.get(f"/{cdk_id}"))["results"][0] for cdk_id in ("gtfs.stop", "a.rail.plain")}
    assert [one["node_type"] for one in shown.values()] == ["ptstop", "ptstop"]
    assert shown["gtfs.stop"]["modalities"] == ["tram", "bus"]
    assert "modalities" not in shown["a.rail.plain"]
    api.bulk("a.rail", [{"id": "r", "cdk_ids": ["gtfs.stop", "a.rail.plain"], "data": {}}])
    api.bulk("gtfs", [{"cdk_id": "a.rail.r", "data": {}}], ROOT, node_type="ptstop")
    assert good(api.get("/a.rail.r"))["results"][0]["node_type"] == "route"


def test_the_validity_of_a_record_is_kept(api: API) -> None:
    api.bulk("a.rail", [node("x", validity=["2026-01-01T00:00:00+01:00", "2026-02-01"])])
    with api.parts.database.read() as session:
        record = session.query(Record).filter(Record.valid_from.is_not(None)).one()
    assert record.valid_from == dt.datetime(2025, 12, 31, 23, tzinfo=dt.UTC)
    assert record.valid_to == dt.datetime(2026, 2, 1, tzinfo=dt.UTC)


def test_geometries_in_another_system(api: API) -> None:
    api.bulk("a.rail", [node("dam", geom=point(121687, 487484))], srid=28992)
    with api.parts.database.read() as session:
        found = session.query(Node).filter(Node.cdk_id == "a.rail.dam").one()
    assert found.min_lon == pytest.approx(4.9, abs=0.01)
    assert found.min_lat == pytest.approx(52.37, abs=0.01)
    assert (found.max_lon, found.max_lat) == (found.min_lon, found.min_lat)


def test_ids_grow_in_the_order_of_the_request(api: API) -> None:
    names = ["m", "z", "a", "r", "k"]
    route = {"id": "r", "cdk_ids": ["a.rail.k", "a.rail.z"], "data": {}}
    api.bulk("a.rail", [route if name == "r" else node(name) for name in names])
    with api.parts.database.read() as session:
        found = session.query(Node.given_id).filter(Node.cdk_id.like("a.rail.%")).order_by(Node.id)
        assert [one for (one,) in found] == names


def test_a_dry_run_says_the_same_and_writes_nothing(api: API) -> None:
    api.bulk("a.rail", [node("old")])
    nodes = [node("new"), node("old", data={"x": 1}), node("no", data=None), {"id": "r", "cdk_ids": ["a.rail.new", STATION], "data": {}}]
    body = {"create": {"params": {"create_type": "create", "node_type": "ptstop"}}, "nodes": nodes}
    before = everything(api)
    dry = good(api.put("/nodes/a.rail?dry_run=true", body))
    assert everything(api) == before
    assert dry.pop("dry_run") is True
    assert dry == good(api.put("/nodes/a.rail?dry_run=false", body))
    body["nodes"] = [{"cdk_id": "nope", "data": {}}]
    refused(api.put("/nodes/a.rail?dry_run=1", body), 404, "Node 'nope' not found.")


def everything(api: API) -> list[Any]:
    """All rows, but for sessions."""
    with api.parts.database.read() as session:
        return [
            sorted(repr(row) for row in session.connection().exec_driver_sql(f"SELECT * FROM {table}"))
            for table in ("layers", "nodes", "members", "records")
        ]


def test_the_layer_knows_its_box_and_when_it_was_written_to(api: API) -> None:
    start = api.clock.now()
    api.bulk("a.rail", [node("a", geom=point(4, 52)), node("b", geom=point(5, 51))])
    assert layer(api)[:4] == (4, 51, 5, 52)
    assert layer(api)[4] == start
    api.clock.move(59)
    api.bulk("a.rail", [{"cdk_id": STATION, "data": {}}, node("c", geom=point(-1, 52))])
    assert layer(api) == (-1, 51, 5, pytest.approx(52.378887), start)
    api.clock.move(1)
    api.bulk("a.rail", [])
    assert layer(api)[4] == start
    api.bulk("a.rail", [node("a", data={})])
    assert layer(api)[4] == start + dt.timedelta(seconds=60)


def layer(api: API) -> tuple[Any, ...]:
    with api.parts.database.read() as session:
        found = session.query(Layer).filter(Layer.name == "a.rail").one()
    return found.min_lon, found.min_lat, found.max_lon, found.max_lat, found.imported_at


def test_more_nodes_than_one_statement_takes(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PORTION", 2)
    nodes = [node(number, geom=point(4 + number, 52), data={"n": number}) for number in range(5)]
    line = {"id": "line", "cdk_ids": [f"a.rail.{number}" for number in (4, 3, 2, 1, 0)], "data": {}}
    assert api.bulk("a.rail", [*nodes, line])["totals"] == {"created": 6, "updated": 0, "skipped": 0}
    assert api.bulk("a.rail", nodes, node_type="ptstop")["totals"]["updated"] == 5
    for number in range(5):
        shown = good(api.get(f"/a.rail.{number}", layer="*"))["results"][0]
        assert (shown["node_type"], shown["layers"]["a.rail"]["data"]) == ("ptstop", {"n": number})
    with api.parts.database.read() as session:
        members = session.query(Node.given_id).join(Member, Member.node_id == Node.id).order_by(Member.position)
        assert [one for (one,) in members] == ["4", "3", "2", "1", "0"]


def test_a_body_that_says_it_is_a_form_is_read_as_json(api: API) -> None:
    text = json.dumps({"nodes": [ON_STATION]})
    answer = api.send("PUT", "/nodes/a.rail", A, data=text, content_type="application/x-www-form-urlencoded")
    assert good(answer)["create"]["results"]["totals"]["updated"] == 1
