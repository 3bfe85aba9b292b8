"""Deleting a layer's data, and the layer: what goes, what stays, in how many pieces."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from services.mobility.geometry.boxes import Box
from services.mobility.layers import store
from services.mobility.models import Layer, Member, Node, Record
from tests.support.waiting import wait_until
from tests.unit.mobility.conftest import API, ROOT, STATION, A, B, MakeAPI, good, refused


def layer_id(api: API, name: str) -> int:
    with api.parts.database.read() as session:
        found = store.find(session, name)
    assert found is not None
    return found.id


def add_nodes(api: API, layer: str, names: Sequence[str], *, through: Sequence[str] = (), also: Sequence[str] = ()) -> None:
    """Create nodes of a layer, with its data. through: nodes that all of them, being routes, go through. also: other layers with data."""
    layers = {one: layer_id(api, one) for one in (layer, *also)}
    with api.parts.database.transaction() as session:
        for name in names:
            node = Node(
                cdk_id=name,
                node_type="route" if through else "node",
                layer_id=layers[layer],
                min_lon=4,
                min_lat=52,
                max_lon=4,
                max_lat=52,
                geom=b"",
            )
            session.add(node)
            session.flush()
            members = session.scalars(sa.select(Node.id).where(Node.cdk_id.in_(through)).order_by(Node.id))
            session.add_all(Member(route_id=node.id, position=position, node_id=one) for position, one in enumerate(members))
            session.add_all(Record(node_id=node.id, layer_id=one, data={"k": name}) for one in layers.values())


def add_record(api: API, layer: str, cdk_id: str) -> None:
    with api.parts.database.transaction() as session:
        node_id = session.execute(sa.select(Node.id).where(Node.cdk_id == cdk_id)).scalar_one()
        session.add(Record(node_id=node_id, layer_id=layer_id(api, layer), data={"k": "v"}))


def kept(api: API) -> dict[str, tuple[str | None, list[str]]]:
    """What there is: by cdk_id the layer that created the node, and those that have data there."""
    with api.parts.database.read() as session:
        names: Any = session.execute(sa.select(Layer.id, Layer.name))
        layers = dict(names.all())
        records: Any = session.execute(sa.select(Record.node_id, Record.layer_id).order_by(Record.layer_id))
        has: dict[int, list[str]] = {}
        for node_id, one in records:
            has.setdefault(node_id, []).append(layers[one])
        return {
            node.cdk_id: (None if node.layer_id is None else layers[node.layer_id], has.get(node.id, []))
            for node in session.scalars(sa.select(Node))
        }


def fill(api: API) -> None:
    add_nodes(api, "a.rail", ["alone", "member", "shared"])
    add_record(api, "b.poi", "shared")
    add_record(api, "a.rail", STATION)
    add_nodes(api, "a.rail", ["own.route"], through=["alone", "member"])
    add_nodes(api, "a.rail", ["own.route.of.routes"], through=["own.route"])
    add_nodes(api, "b.poi", ["other.route"], through=["member"])
    add_nodes(api, "a.rail", ["kept.route"], through=["member", "shared"], also=["b.poi"])


LEFT = {
    STATION: ("osm", ["osm"]),
    "member": (None, []),
    "shared": (None, ["b.poi"]),
    "other.route": ("b.poi", ["b.poi"]),
    "kept.route": (None, ["b.poi"]),
}


@pytest.mark.parametrize("piece", [1, 2, 2000])
def test_data_and_nodes_go_unless_others_need_them(api: API, piece: int) -> None:
    api.parts.layers.piece = piece
    fill(api)
    good(api.put("/layer/a.rail/status", {"data": "imported"}))
    good(api.delete("/layer/a.rail"))
    assert kept(api) == LEFT
    assert good(api.get("/layer/a.rail", geom=""))["results"][0]["status"] == "all cleared"
    good(api.delete("/layer/a.rail?delete_layer=true"))
    refused(api.get("/layer/a.rail"), 404, "Unknown layer or invalid layer spec: a.rail")
    refused(api.delete("/layer/a.rail"), 404, "Invalid layer spec: a.rail")
    assert kept(api) == LEFT


def test_what_one_call_does_not_finish_the_next_ones_do(api: API) -> None:
    fill(api)
    layers = api.parts.layers
    layers.piece, layers.budget_s = 1, -1.0
    calls = 0
    while True:
        calls += 1
        answer = api.delete("/layer/a.rail?delete_layer=true")
        if answer.status_code == 200:
            break
        message = "Much of the layer's data is deleted, not all. Send the request again, until it is done."
        refused(answer, 503, message)
        assert answer.headers["Retry-After"] == "1"
        assert good(api.get("/layer/a.rail"))["results"][0]["status"] == "being cleared"
    assert calls > 5
    assert kept(api) == LEFT


def test_the_box_goes_with_the_data(api: API) -> None:
    with api.parts.database.transaction() as session:
        store.change(session, layer_id(api, "a.rail"), {"min_lon": 4.0, "min_lat": 52.0, "max_lon": 5.0, "max_lat": 53.0})
    assert "bbox" in good(api.get("/layer/a.rail", geom=""))["results"][0]
    good(api.delete("/layer/a.rail"))
    assert "bbox" not in good(api.get("/layer/a.rail", geom=""))["results"][0]


def test_permanent_layers_stay(sqlite_api: API) -> None:
    for name in ("osm", "gtfs", "admr"):
        for query in ("", "?delete_layer=true"):
            refused(sqlite_api.delete(f"/layer/{name}{query}", ROOT), 422, "OSM, GTFS or ADMR layers cannot be deleted..")
        refused(sqlite_api.delete(f"/layer/{name}"), 403, f"Not authorized for layer '{name}'.")
    assert kept(sqlite_api)[STATION] == ("osm", ["osm"])


def test_only_true_deletes_the_layer(sqlite_api: API) -> None:
    add_record(sqlite_api, "b.poi", STATION)
    for value in ("yes", "2", "tru"):
        refused(sqlite_api.delete(f"/layer/b.poi?delete_layer={value}", B), 422, "'delete_layer' must be true or false.")
    assert kept(sqlite_api)[STATION] == ("osm", ["osm", "b.poi"])
    for value in ("false", "0", ""):
        good(sqlite_api.delete(f"/layer/b.poi?delete_layer={value}", B))
    good(sqlite_api.get("/layer/b.poi"))
    good(sqlite_api.delete("/layer/b.poi?delete_layer=TRUE", B))
    refused(sqlite_api.get("/layer/b.poi"), 404, "Unknown layer or invalid layer spec: b.poi")


def test_a_layer_created_meanwhile_is_not_the_one_that_is_deleted(api: API) -> None:
    """Two calls delete the layer; between two pieces of the slower one the other ends, and the layer is created anew."""
    begun = layer_id(api, "b.poi")
    good(api.delete("/layer/b.poi?delete_layer=true", B))
    new = {"name": "b.poi", "description": "d", "organization": "o", "category": "mobility.x"}
    good(api.put("/layers", {"data": new}, B))
    assert layer_id(api, "b.poi") != begun
    api.parts.layers._remove(begun)
    good(api.get("/layer/b.poi"))


def test_a_layer_that_others_go_on_writing_to_is_not_cleared_for_ever(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def always_something(*_: object) -> bool:
        tries.append(1)
        api.clock.move(10)
        return False

    monkeypatch.setattr(store, "is_empty", always_something)
    assert api.delete("/layer/a.rail?delete_layer=true").status_code == 503
    assert len(tries) == 5  # in 45 s


def test_a_write_that_waited_finds_a_layer_of_the_name_that_is_another_s(make_api: MakeAPI) -> None:
    one, two = make_api(), make_api()
    who = two.parts.sessions.caller(two.key(A))

    def late() -> Any:
        good(one.delete("/layer/a.rail?delete_layer=true", ROOT))
        new = {"name": "a.rail", "description": "d", "organization": "o", "category": "mobility.x"}
        good(one.put("/layers", {"data": new}, ROOT))
        return who

    with pytest.raises(Exception, match=r"Not authorized for layer 'a\.rail'\."):
        two.parts.single_writes.merge(late, STATION, "a.rail", lambda: {"data": {"k": "v"}})


def test_a_write_that_waited_for_the_deletion_finds_no_layer(make_api: MakeAPI) -> None:
    """The write found the layer before, and comes to write after it is gone: it says so, and breaks no foreign key."""
    one, two = make_api(), make_api()
    who = two.parts.sessions.caller(two.key(A))

    def late() -> Any:
        good(one.delete("/layer/a.rail?delete_layer=true", ROOT))
        return who

    with pytest.raises(Exception, match=r"Invalid layer spec: a\.rail"):
        two.parts.single_writes.merge(late, STATION, "a.rail", lambda: {"data": {"k": "v"}})


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_a_deletion_waits_for_who_writes_to_the_layer(api: API) -> None:
    """Else what is written then has no place in the layer's box, which was wide enough when the write began."""
    with api.parts.database.transaction() as session:
        store.change(session, layer_id(api, "a.rail"), {"min_lon": 4.0, "min_lat": 52.0, "max_lon": 5.0, "max_lat": 53.0})
    key = {"X-Auth": api.key(A)}
    with ThreadPoolExecutor(1) as pool, api.parts.database.transaction() as session:
        layer = store.hold(session, "a.rail")
        assert layer is not None
        deletion = pool.submit(api.delete, "/layer/a.rail", None, headers=key)
        waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        with api.parts.database.read() as other:
            wait_until(lambda: other.scalar(waiting) or deletion.done(), what="a deletion that waits")
        session.add(Node(cdk_id="late", node_type="node", layer_id=layer.id, min_lon=4, min_lat=52, max_lon=4, max_lat=52, geom=b""))
        session.flush()
        store.grow(session, layer, Box(4, 52, 4, 52))
        session.commit()
        good(deletion.result(60))
    assert (list(kept(api)), "bbox" in good(api.get("/layer/a.rail", geom=""))["results"][0]) == ([STATION], False)
