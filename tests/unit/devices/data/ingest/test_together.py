"""Many writers: they share transactions, and none harms another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from services.common.refusal import Refusal
from services.devices.access import DeviceRef
from services.devices.data.ingest import group, ingest
from services.devices.data.ingest.batches import Batch
from services.devices.data.rules.records import Record, Records
from services.devices.data.store import writing
from tests.support.waiting import wait_until
from tests.unit.devices.conftest import ACC2, API, MakeAPI
from tests.unit.devices.data.ingest.house import Writer, immutable, mutable


@pytest.fixture(autouse=True)
def one_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test knows which batches come together."""
    monkeypatch.setattr(ingest, "WRITERS", {"sqlite": 1, "postgresql": 1})


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as threads:
        yield threads


class Held:
    """Keeps the writing thread at the beginning of its next transaction, until `go`."""

    def __init__(self, api: API, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self._go = threading.Event()
        self.waits = threading.Event()
        write = api.parts.ingest._write

        def held(batches: Sequence[Any], **options: Any) -> Any:
            self.waits.set()
            assert self._go.wait(30)
            self.sizes.append(len(batches))
            return write(batches, **options)

        monkeypatch.setattr(api.parts.ingest, "_write", held)

    def go(self) -> None:
        self._go.set()


def waiting(api: API) -> int:
    """How many batches no thread has taken yet."""
    return sum(len(queue.waiting) for queue in api.parts.ingest._queues)


def gathered(api: API, held: Held, pool: ThreadPoolExecutor, calls: Sequence[Callable[[], int]]) -> list[Future[int]]:
    """Call all, one after another, so that all but the first are in one transaction; return when it was let go."""
    first = pool.submit(calls[0])
    assert held.waits.wait(30)
    futures = [first]
    for call in calls[1:]:
        futures.append(pool.submit(call))
        wait_until(lambda: waiting(api) == len(futures) - 1, what="the batch in the queue", pause=0.001)
    held.go()
    return futures


def test_batches_that_wait_share_a_transaction(api: API, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    writers, held = [mutable(api), immutable(api), immutable(api)], Held(api, monkeypatch)
    bodies = [[{"variable": f"v{number % 4}"}] * (number % 3 + 1) for number in range(30)]
    calls = [lambda writer=writers[number % 3], body=body: writer.add(body) for number, body in enumerate(bodies)]
    assert [future.result(30) for future in gathered(api, held, pool, calls)] == [len(body) for body in bodies]
    assert held.sizes == [1, 29]
    for place, writer in enumerate(writers):
        rows = writer.rows()
        assert [row.seq for row in rows] == list(range(1, sum(map(len, bodies[place::3])) + 1))


def test_in_a_shared_transaction_each_batch_is_decided_alone(api: API, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MOST_OF_MUTABLE", 4)
    edited, kept, held = mutable(api), immutable(api), Held(api, monkeypatch)
    calls: list[Callable[[], int]] = [
        lambda: edited.add([{"variable": "a"}] * 2),
        lambda: kept.add({"variable": "a", "time": 0}),
        lambda: edited.add([{"variable": "a"}] * 2, ("key", "digest")),
        lambda: edited.add([{"variable": "a"}] * 2, ("key", "digest")),
        lambda: edited.add([{"variable": "a"}] * 2, ("key", "another")),
        lambda: edited.add({"variable": "a"}),
        lambda: kept.add({"variable": "a"}),
    ]
    outcomes = [future.exception(30) or future.result() for future in gathered(api, held, pool, calls)]
    assert [outcome.status if isinstance(outcome, Refusal) else outcome for outcome in outcomes] == [2, 400, 2, 2, 409, 400, 1]
    assert (len(edited.rows()), edited.state().records, len(kept.rows())) == (4, 4, 1)


def test_a_batch_that_breaks_the_transaction_keeps_no_other_out(
    api: API, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers, held = [mutable(api), immutable(api)], Held(api, monkeypatch)
    poison = Record("a", 2**70, None, None, None, "g", None, None)  # a time that neither store takes
    calls: list[Callable[[], int]] = [
        lambda: writers[0].add({"variable": "a"}),
        lambda: writers[0].add({"variable": "a"}),
        lambda: api.parts.ingest.add(writers[0].device, Records.of([Record("b", 0, 1.0, None, None, "g", None, None), poison])),
        lambda: writers[1].add({"variable": "a"}),
    ]
    first, second, broken, last = gathered(api, held, pool, calls)
    assert (first.result(30), second.result(30), last.result(30)) == (1, 1, 1)
    assert broken.exception(30) is not None
    assert [len(writer.rows()) for writer in writers] == [2, 1]
    assert writers[0].add({"variable": "b"}) == 1  # its number was not remembered from the transaction that failed
    with api.parts.database.read() as session:
        names = session.execute(sa.text("SELECT no, name FROM variables WHERE device_no = :no ORDER BY no"), {"no": writers[0].device.no})
        assert [tuple(row) for row in names] == [(1, "a"), (2, "b")]


def test_two_processes_number_the_records_of_a_device_together(make_api: MakeAPI, pool: ThreadPoolExecutor) -> None:
    apis = [make_api(), make_api()]
    first = immutable(apis[0])
    second = Writer(apis[1], first.device_id)
    bodies = [[{"variable": f"v{number % 7}"} for _ in range(10)] for number in range(50)]
    added = [pool.submit((first, second)[number % 2].add, body, None, f"{number}") for number, body in enumerate(bodies)]
    assert [future.result(60) for future in added] == [10] * 50
    rows = first.rows()
    assert [row.seq for row in rows] == list(range(1, 501)) and sum(first.chunks().values()) == 500
    assert len({row.variable_no for row in rows}) == 7
    groups = [rows[start].group for start in range(0, 500, 10)]
    assert [row.group for row in rows] == [one for one in groups for _ in range(10)]  # no batch stands in another


def test_two_processes_never_pass_the_limit_together(make_api: MakeAPI, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MOST_OF_MUTABLE", 100)
    apis = [make_api(), make_api()]
    first = mutable(apis[0])
    second = Writer(apis[1], first.device_id)
    added = [pool.submit((first, second)[number % 2].add, [{"variable": "a"}] * 7) for number in range(40)]
    taken = [future for future in added if future.exception(60) is None]
    assert (len(taken), len(first.rows()), first.state().records) == (14, 98, 98)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_a_device_that_is_locked_elsewhere_delays_no_other(api: API, pool: ThreadPoolExecutor) -> None:
    locked, free = mutable(api), immutable(api)
    with api.parts.database.transaction() as session:
        writing.lock(session, [locked.device.no])
        waiting = [pool.submit(locked.add, {"variable": "a"}) for _ in range(3)]
        wait_until(lambda: api.parts.ingest._lanes, what="a lane")
        assert [free.add({"variable": "a"}) for _ in range(3)] == [1, 1, 1]
        assert not any(future.done() for future in waiting)
    assert [future.result(30) for future in waiting] == [1, 1, 1]
    assert [row.seq for row in locked.rows()] == [1, 2, 3]
    wait_until(lambda: not api.parts.ingest._lanes, what="the end of the lane")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_a_batch_that_waited_for_another_process_comes_after_its_input(api: API, pool: ThreadPoolExecutor) -> None:
    writer = mutable(api)
    with api.parts.database.transaction() as session:
        writing.lock(session, [writer.device.no])
        added = pool.submit(writer.add, {"variable": "a"})
        wait_until(lambda: api.parts.ingest._lanes, what="a lane")
        wait_until(lambda: _waits_for_a_lock(api), what="a transaction that waits")
        api.clock.move(5)
    assert added.result(30) == 1
    assert writer.state().last_input == writer.now


def _waits_for_a_lock(api: API) -> bool:
    with api.parts.database.read() as session:
        return bool(session.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


def test_what_is_not_written_in_time_is_never_written(api: API, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, held = mutable(api), Held(api, monkeypatch)
    monkeypatch.setattr(api.parts.ingest, "_deadline_s", 30.0)
    first = pool.submit(writer.add, {"variable": "first"})
    assert held.waits.wait(30)
    monkeypatch.setattr(api.parts.ingest, "_deadline_s", 0.01)
    with pytest.raises(Refusal) as refused:
        writer.add({"variable": "second"})
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
    held.go()
    assert (first.result(30), len(writer.rows()), api.parts.ingest._records) == (1, 1, 0)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_what_was_given_up_waits_for_no_locked_device(api: API, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, held = mutable(api), Held(api, monkeypatch)
    monkeypatch.setattr(api.parts.ingest, "_deadline_s", 0.01)
    with api.parts.database.transaction() as session:
        writing.lock(session, [writer.device.no])
        refused = pool.submit(writer.add, {"variable": "a"})
        assert isinstance(refused.exception(30), Refusal)
        held.go()
        wait_until(lambda: not api.parts.ingest._records or api.parts.ingest._lanes, what="the outcome of the transaction")
        assert not api.parts.ingest._lanes
    monkeypatch.setattr(api.parts.ingest, "_deadline_s", 30.0)
    assert (writer.add({"variable": "b"}), len(writer.rows())) == (1, 1)


def test_more_than_it_takes_is_refused_at_once(api: API, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "MOST_WAITING", 10)
    writer, held = mutable(api), Held(api, monkeypatch)
    first = pool.submit(writer.add, [{"variable": "a"}] * 6)
    assert held.waits.wait(30)
    with pytest.raises(Refusal, match="try again"):
        writer.add([{"variable": "a"}] * 5)
    held.go()
    assert (first.result(30), writer.add([{"variable": "a"}] * 5)) == (6, 5)


def test_one_account_leaves_room_for_the_others(api: API, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "MOST_OF_ACCOUNT", 10)
    writer, other, held = mutable(api), Writer(api, api.device(by=ACC2).id), Held(api, monkeypatch)
    first = pool.submit(writer.add, [{"variable": "a"}] * 11)  # alone it may be larger
    assert held.waits.wait(30)
    with pytest.raises(Refusal, match="try again"):
        writer.add({"variable": "a"})
    second = pool.submit(other.add, [{"variable": "a"}] * 5)
    wait_until(lambda: waiting(api), what="the batch of the other account")
    held.go()
    assert (first.result(30), second.result(30), writer.add({"variable": "a"})) == (11, 5, 1)
    assert not api.parts.ingest._of_account


def test_a_transaction_takes_something_of_every_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a long queue of one account nobody waits for more than the transaction under way. The batches of a device stay in order."""
    monkeypatch.setattr(ingest, "MOST_AT_ONCE", 10)

    def batch(device: DeviceRef, records: int) -> Batch:
        return Batch(device, Records.of([Record("a", 0, 1.0, None, None, "g", None, None)] * records), None, "sqlite")

    busy, calm = DeviceRef(1, 1, "1", "one", "mutable", True, None, None), DeviceRef(2, 2, "2", "two", "mutable", True, None, None)
    sent = [batch(busy, 4), batch(busy, 4), batch(busy, 1), batch(busy, 4), batch(calm, 2), batch(calm, 8)]
    waiting = deque(sent)
    taken = [[sent.index(one) for one in ingest._some(waiting)] for _ in range(4)]
    assert taken == [[0, 4, 1], [2, 5], [3], []]


def test_what_waits_is_written_before_the_end(api: API, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, held = mutable(api), Held(api, monkeypatch)
    first = pool.submit(writer.add, {"variable": "a"})
    assert held.waits.wait(30)
    second = pool.submit(writer.add, {"variable": "a"})
    wait_until(lambda: waiting(api), what="the batch in the queue")
    closing = pool.submit(api.parts.ingest.close)
    wait_until(lambda: api.parts.ingest._closed, what="the end")
    with pytest.raises(Refusal, match="try again"):
        writer.add({"variable": "a"})
    held.go()
    closing.result(30)
    assert (first.result(30), second.result(30), len(writer.rows())) == (1, 1, 2)


@pytest.mark.parametrize("kind", [OperationalError, RuntimeError])
def test_a_commit_whose_outcome_is_unknown_is_not_tried_again(api: API, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]) -> None:
    writer = mutable(api)
    writer.add({"variable": "a"})
    commits = []

    def lost(connection: sa.Connection) -> None:
        commits.append(connection)
        raise OperationalError("COMMIT", {}, Exception("connection lost")) if kind is OperationalError else RuntimeError("unknown")

    sa.event.listen(api.parts.database.engine, "commit", lost)
    with pytest.raises((OperationalError, Refusal)) as failed:
        writer.add({"variable": "a"})
    sa.event.remove(api.parts.database.engine, "commit", lost)
    assert isinstance(failed.value, OperationalError) or failed.value.status == 503
    assert len(commits) == 1
    assert writer.add({"variable": "a"}) == 1
