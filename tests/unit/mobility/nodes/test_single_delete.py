"""`DELETE /<cdk_id>/<layer>`: data, and the node if nobody else needs it."""

from __future__ import annotations

import sqlalchemy as sa

from services.mobility.models import Member, Node
from tests.unit.mobility.conftest import API, ROOT, STATION, A, B, good, refused
from tests.unit.mobility.nodes.conftest import add_node, add_record, data, node_layer


def test_data_are_deleted_and_the_node_kept(api: API) -> None:
    add_node(api, "x")
    add_record(api, "x", "a.rail", {"k": 1})
    add_record(api, "x", "b.poi", {"k": 2})
    assert good(api.delete("/x/a.rail")) == {"status": "success"}
    assert (data(api, "x"), data(api, "x", "b.poi"), node_layer(api, "x")) == (None, {"k": 2}, "a.rail")
    assert good(api.delete("/x/a.rail")) == {"status": "success"}  # there are none
    good(api.delete("/x/b.poi?delete_node=false", B))
    assert (data(api, "x", "b.poi"), node_layer(api, "x")) == (None, "a.rail")


def test_a_node_that_nobody_else_needs_is_deleted(api: API) -> None:
    add_node(api, "x")
    add_node(api, "y")
    add_record(api, "x", "a.rail", {"k": 1})
    for cdk_id in ("x", "y"):
        assert good(api.delete(f"/{cdk_id}/a.rail?delete_node=true"))["node"] == "deleted"
        refused(api.get(f"/{cdk_id}"), 404, f"Node not found: '{cdk_id}'")
        refused(api.delete(f"/{cdk_id}/a.rail?delete_node=true"), 404, f"Node '{cdk_id}' not found.")


def test_a_node_with_others_data_is_kept_without_a_layer(api: API) -> None:
    add_node(api, "x")
    add_record(api, "x", "a.rail", {"k": 1})
    add_record(api, "x", "b.poi", {"k": 2})
    assert good(api.delete("/x/a.rail?delete_node=true"))["node"] == "kept"
    assert (data(api, "x"), data(api, "x", "b.poi"), node_layer(api, "x")) == (None, {"k": 2}, "none")
    assert good(api.delete("/x/b.poi?delete_node=true", B))["node"] == "kept"
    assert (data(api, "x", "b.poi"), node_layer(api, "x")) == (None, "none")


def test_a_node_of_another_layer_is_kept(api: API) -> None:
    good(api.put(f"/{STATION}/a.rail", {"data": {"k": 1}}))
    assert good(api.delete(f"/{STATION}/a.rail?delete_node=true"))["node"] == "kept"
    assert (data(api, STATION), node_layer(api, STATION)) == (None, "osm")
    assert good(api.delete(f"/{STATION}/osm?delete_node=true", ROOT))["node"] == "deleted"


def test_a_node_of_a_route_is_kept_until_the_route_is_gone(api: API) -> None:
    add_node(api, "x")
    add_node(api, "y", "b.poi")
    add_node(api, "route", "a.rail", members=("x", "y", "x"))
    add_record(api, "x", "a.rail", {"k": 1})
    assert good(api.delete("/x/a.rail?delete_node=true"))["node"] == "kept"
    assert (data(api, "x"), node_layer(api, "x")) == (None, "a.rail")
    assert good(api.delete("/route/a.rail?delete_node=true"))["node"] == "deleted"
    with api.parts.database.read() as session:
        assert session.execute(sa.select(sa.func.count()).select_from(Member)).scalar_one() == 0
    assert good(api.delete("/x/a.rail?delete_node=true"))["node"] == "deleted"
    assert node_layer(api, "y") == "b.poi"


def test_a_deleted_node_is_in_no_box(api: API) -> None:
    add_node(api, "x", lon=1, lat=2)
    good(api.delete("/x/a.rail?delete_node=true"))
    add_node(api, "y", lon=3, lat=4)  # may have its id
    with api.parts.database.read() as session:
        assert session.query(Node).count() == 2
        if api.parts.database.dialect == "sqlite":
            assert session.execute(sa.text("SELECT count(*) FROM nodes_boxes WHERE min_lon < 4")).scalar_one() == 1


def test_checks_come_in_the_original_s_order(sqlite_api: API) -> None:
    api = sqlite_api
    refused(api.delete("/nope/no.such", None), 404, "Invalid layer spec: no.such")
    refused(api.delete("/nope/b.poi", None), 401, "Not Authorized")
    refused(api.delete("/nope/b.poi"), 403, "Not authorized for layer 'b.poi'.")
    refused(api.delete("/nope/a.rail"), 404, "Node 'nope' not found.")


def test_a_flag_that_says_neither_is_refused(sqlite_api: API) -> None:
    add_node(sqlite_api, "x")
    refused(sqlite_api.delete("/x/a.rail?delete_node=true&delete_node=maybe"), 422, "'delete_node' must be true or false.")
    assert node_layer(sqlite_api, "x") == "a.rail"
    for flag in ("", "0", "False"):
        assert "node" not in good(sqlite_api.delete(f"/x/a.rail?delete_node={flag}"))
    assert good(sqlite_api.delete("/x/a.rail?delete_node=TRUE"))["node"] == "deleted"


def test_a_deletion_renews_the_session(sqlite_api: API) -> None:
    key = sqlite_api.key(A)
    for _ in range(2):
        sqlite_api.clock.move(59)
        good(sqlite_api.delete(f"/{STATION}/a.rail", None, headers={"X-Auth": key}))
