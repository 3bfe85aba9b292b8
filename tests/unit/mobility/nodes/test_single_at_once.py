"""Writes of one record and of one node at the same time, in two processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from services.mobility.models import Layer, Member, Node, Record
from services.mobility.nodes.rules.versions import etag
from services.mobility.nodes.store import nodes, records
from services.mobility.nodes.store.records import Kept
from tests.support.waiting import wait_until
from tests.unit.mobility.conftest import API, STATION, A, B, MakeAPI, good, insist, refused
from tests.unit.mobility.nodes.conftest import add_node, data, node_layer, record

PATH = f"/{STATION}/a.rail"
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def processes(make_api: MakeAPI) -> tuple[API, API]:
    return make_api(), make_api()


def keyed(api: API, by: str) -> dict[str, str]:
    return {"X-Auth": api.key(by)}


def test_merges_of_disjoint_keys_keep_all(processes: tuple[API, API], pool: ThreadPoolExecutor) -> None:
    key = keyed(processes[0], A)

    def merge(number: int) -> TestResponse:
        body = {"data": {f"k{number}": number}, "modalities": ["rail"]}
        return insist(lambda: processes[number % 2].put(PATH, body, None, headers=key))

    for answer in pool.map(merge, range(32)):
        good(answer)
    assert data(processes[0], STATION) == {f"k{number}": number for number in range(32)}
    with processes[0].parts.database.read() as session:
        assert session.execute(sa.select(sa.func.count()).select_from(Record)).scalar_one() == 2  # osm's, too


def test_of_writes_on_one_condition_one_is_done(processes: tuple[API, API], pool: ThreadPoolExecutor) -> None:
    key = keyed(processes[0], A)

    def race(condition: dict[str, str]) -> list[int]:
        def merge(number: int) -> int:
            return processes[number % 2].put(PATH, {"data": {"k": f"{number} {condition}"}}, None, headers={**key, **condition}).status_code

        return sorted(pool.map(merge, range(6)))

    assert race({"If-None-Match": "*"}) == [200, 412, 412, 412, 412, 412]
    found = record(processes[0], STATION)
    assert found is not None
    assert race({"If-Match": etag(found.data, found.modalities, None)}) == [200, 412, 412, 412, 412, 412]


def test_merges_and_deletions_race(processes: tuple[API, API], pool: ThreadPoolExecutor) -> None:
    key = keyed(processes[0], A)
    deleted: list[Future[TestResponse]] = []
    for number in range(10):
        deleted.append(pool.submit(processes[1].delete, PATH, None, headers=key))
        merged = pool.submit(processes[0].put, PATH, {"data": {f"k{number}": 1}}, None, headers=key)
        good(merged.result(60))
    for answer in deleted:
        good(answer.result(60))
    good(processes[0].put(PATH, {"data": {"last": 1}}, None, headers=key))
    left = data(processes[0], STATION)
    assert left is not None
    assert left.pop("last") == 1
    assert set(left) <= {f"k{number}" for number in range(10)}


def test_a_deletion_of_a_node_and_another_layer_s_first_data_race(processes: tuple[API, API], pool: ThreadPoolExecutor) -> None:
    mine, theirs = keyed(processes[0], A), keyed(processes[0], B)
    for number in range(6):
        cdk_id = f"x{number}"
        add_node(processes[0], cdk_id)
        deleted = pool.submit(processes[0].delete, f"/{cdk_id}/a.rail?delete_node=true", None, headers=mine)
        added = pool.submit(processes[1].put, f"/{cdk_id}/b.poi", {"data": {"k": 1}}, None, headers=theirs)
        fate, answer = good(deleted.result(60))["node"], added.result(60)
        if fate == "kept":
            good(answer)
            assert (data(processes[0], cdk_id, "b.poi"), node_layer(processes[0], cdk_id)) == ({"k": 1}, "none")
        else:
            refused(answer, 404, f"Node '{cdk_id}' not found.")
            assert node_layer(processes[0], cdk_id) is None


@pytest.fixture
def meanwhile(api: API, pool: ThreadPoolExecutor) -> Callable[..., TestResponse]:
    """Do something in a transaction, send a request that must wait for it, commit, and return the answer."""

    def run(work: Callable[[Session], None], method: str, path: str, by: str, body: Any = None) -> TestResponse:
        key = keyed(api, by)
        with api.parts.database.transaction() as session:
            work(session)
            session.flush()
            sent = pool.submit(api.send, method, path, None, headers=key, json=body)
            wait_until(lambda: _waits_for_a_lock(api) or sent.done(), what="a request that waits")
            assert not sent.done()
        return sent.result(60)

    return run


def _waits_for_a_lock(api: API) -> bool:
    with api.parts.database.read() as session:
        return bool(session.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


def ids(session: Session, cdk_id: str, layer: str) -> tuple[int, int]:
    node_id = session.execute(sa.select(Node.id).where(Node.cdk_id == cdk_id)).scalar_one()
    return node_id, session.execute(sa.select(Layer.id).where(Layer.name == layer)).scalar_one()


@ON_POSTGRESQL
def test_a_merge_waits_for_another_first_merge_and_for_a_deletion(api: API, meanwhile: Callable[..., TestResponse]) -> None:
    def merge(session: Session) -> None:
        both = ids(session, STATION, "a.rail")
        assert records.lock(session, *both) is None
        records.write(session, *both, Kept({"first": 1}, None, (None, None)))

    good(meanwhile(merge, "PUT", PATH, A, {"data": {"second": 2}}))
    assert data(api, STATION) == {"first": 1, "second": 2}

    good(meanwhile(lambda session: records.delete(session, *ids(session, STATION, "a.rail")), "PUT", PATH, A, {"data": {"third": 3}}))
    assert data(api, STATION) == {"third": 3}


@ON_POSTGRESQL
def test_a_deletion_waits_for_who_begins_to_need_the_node(api: API, meanwhile: Callable[..., TestResponse]) -> None:
    def say(session: Session) -> None:
        node_id, layer_id = ids(session, "x", "b.poi")
        session.add(Record(node_id=node_id, layer_id=layer_id, data={"k": 1}))

    def go_through(session: Session) -> None:
        session.add(Member(route_id=ids(session, STATION, "osm")[0], position=0, node_id=ids(session, "y", "osm")[0]))

    add_node(api, "x")
    add_node(api, "y")
    assert good(meanwhile(say, "DELETE", "/x/a.rail?delete_node=true", A))["node"] == "kept"
    assert (data(api, "x", "b.poi"), node_layer(api, "x")) == ({"k": 1}, "none")
    assert good(meanwhile(go_through, "DELETE", "/y/a.rail?delete_node=true", A))["node"] == "kept"
    assert node_layer(api, "y") == "a.rail"


@ON_POSTGRESQL
def test_a_write_waits_for_a_node_that_is_deleted(api: API, meanwhile: Callable[..., TestResponse]) -> None:
    def delete(session: Session) -> None:
        found = nodes.lock(session, "x", alone=True)
        assert found is not None
        nodes.delete(session, found[0])

    for method, body in (("PUT", {"data": {}}), ("DELETE", None)):
        add_node(api, "x")
        refused(meanwhile(delete, method, "/x/b.poi", B, body), 404, "Node 'x' not found.")
