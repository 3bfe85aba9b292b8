"""Bulks at the same time: of the same nodes, of a node that another transaction is about to create, beside single merges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from services.mobility.models import Node
from tests.support.applications import Applications
from tests.support.fake_auth import FakeAuth
from tests.support.waiting import wait_until
from tests.unit.mobility.conftest import API, STATION, A, MakeAPI, good, making, point, refused

CREATE = {"params": {"create_type": "create"}}
NODES = [{"id": f"n {number}", "geom": point(4, 52), "data": {"n": number}} for number in range(300)]
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def together(*calls: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [done.result() for done in [pool.submit(call) for call in calls]]


def test_the_same_nodes_in_several_processes_are_created_once(make_api: MakeAPI) -> None:
    first, second = make_api(), make_api()
    key = first.key(A)

    def bulk(api: API, nodes: list[Any]) -> Any:
        return good(api.put("/nodes/a.rail", {"create": CREATE, "nodes": nodes}, None, headers={"X-Auth": key}))["create"]["results"]

    done = together(lambda: bulk(first, NODES), lambda: bulk(second, NODES[::-1]), lambda: bulk(first, NODES[150:] + NODES[:150]))
    assert [one["totals"]["created"] + one["totals"]["updated"] for one in done] == [300, 300, 300]
    created = [node["cdk_id"] for one in done for node in one["created"]]
    assert len(created) == len(set(created)) == 300
    with first.parts.database.read() as session:
        assert session.query(Node).count() == 301


def test_a_bulk_beside_merges_of_its_nodes(make_api: MakeAPI) -> None:
    first, second = make_api(), make_api()
    key = first.key(A)
    first.bulk("a.rail", NODES[:1])
    names = ["a.rail.n.0", STATION]
    nodes = [{"cdk_id": cdk_id, "data": {"bulk": True}} for cdk_id in names]

    def bulk() -> None:
        for _ in range(5):
            good(first.put("/nodes/a.rail", {"nodes": nodes}, None, headers={"X-Auth": key}))

    def merge() -> None:
        for number in range(10):
            good(second.put(f"/{names[number % 2]}/a.rail", {"data": {"merged": number}}, None, headers={"X-Auth": key}))

    together(bulk, merge, merge)
    for cdk_id in names:
        data = good(first.get(f"/{cdk_id}", layer="*"))["results"][0]["layers"]["a.rail"]["data"]
        assert data["bulk"] is True


@pytest.fixture
def postgresql_api(apps: Applications, postgresql_url: str, house: FakeAuth) -> Iterator[API]:
    with making(apps, postgresql_url, house) as make:
        yield make()


@pytest.fixture
def other(postgresql_url: str, postgresql_api: API) -> Iterator[psycopg.Connection[Any]]:
    """A transaction of somebody else."""
    with psycopg.connect(postgresql_url) as connection:
        yield connection
        connection.rollback()


def create(other: psycopg.Connection[Any], given_id: str) -> None:
    other.execute(
        "INSERT INTO nodes (cdk_id, given_id, node_type, layer_id, min_lon, min_lat, max_lon, max_lat, geom)"
        " SELECT 'a.rail.n.1', %s, 'node', id, 4, 52, 4, 52, geom FROM layers, (SELECT geom FROM nodes) WHERE name = 'a.rail'",
        (given_id,),
    )


def meanwhile(api: API, url: str, others_end: Callable[[], None]) -> Any:
    """Write a bulk that waits for another transaction, which then ends; return the answer."""
    with ThreadPoolExecutor(1) as pool, psycopg.connect(url, autocommit=True) as watching:
        answer = pool.submit(api.put, "/nodes/a.rail", {"create": CREATE, "nodes": NODES[:3]})
        try:
            wait_until(lambda: watching.execute(WAITING).fetchone() == (1,), what="a bulk that waits for a lock", pause=0.02)
        finally:
            others_end()
        return answer.result()


def test_a_node_that_another_transaction_creates_meanwhile_is_updated(
    postgresql_api: API, postgresql_url: str, other: psycopg.Connection[Any]
) -> None:
    create(other, "n 1")
    done = good(meanwhile(postgresql_api, postgresql_url, other.commit))["create"]["results"]
    assert [one["cdk_id"] for one in done["created"]] == ["a.rail.n.0", "a.rail.n.2"]
    assert done["updated"] == [{"id": "n 1", "cdk_id": "a.rail.n.1"}]
    assert good(postgresql_api.get("/a.rail.n.1", layer="*"))["results"][0]["layers"] == {"a.rail": {"data": {"n": 1}}}


def test_a_node_that_another_transaction_does_not_create_after_all_is_created(
    postgresql_api: API, postgresql_url: str, other: psycopg.Connection[Any]
) -> None:
    create(other, "n 1")
    assert good(meanwhile(postgresql_api, postgresql_url, other.rollback))["create"]["results"]["totals"]["created"] == 3


def test_a_cdk_id_that_another_transaction_takes_meanwhile_refuses_all(
    postgresql_api: API, postgresql_url: str, other: psycopg.Connection[Any]
) -> None:
    create(other, "N-1")
    body = refused(meanwhile(postgresql_api, postgresql_url, other.commit), 422, "cdk_id must be unique: 'a.rail.n.1'")
    assert body["index"] == 1
    assert postgresql_api.get("/a.rail.n.0").status_code == 404


def test_a_node_that_a_bulk_writes_to_is_not_deleted_meanwhile(
    postgresql_api: API, postgresql_url: str, other: psycopg.Connection[Any]
) -> None:
    postgresql_api.bulk("a.rail", NODES[:1])
    other.execute("DELETE FROM records WHERE node_id IN (SELECT id FROM nodes WHERE cdk_id = 'a.rail.n.0')")
    other.execute("DELETE FROM nodes WHERE cdk_id = 'a.rail.n.0'")
    done = good(meanwhile(postgresql_api, postgresql_url, other.commit))["create"]["results"]
    assert done["totals"]["created"] == 3
