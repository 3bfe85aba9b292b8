"""Records and their roll-ups on both stores: totals are those of the records, whoever writes at the same time; time ends both."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from services.common.core_database import CoreDatabase
from services.gateway.analytics.record import Batch
from services.gateway.analytics.recorder import Recorder
from services.gateway.analytics.rollups import Names, roll_up
from services.gateway.stores import analytics
from services.gateway.stores.analytics import RECORDS, ROLLUPS, WRITERS, AnalyticsKeeper, AnalyticsStore
from tests.support.waiting import wait_until
from tests.unit.gateway.analytics.making import HOUR, KEEP_S, NOON, api, record
from tests.unit.gateway.exchanges import exchange

Write = Callable[..., None]


def total(database: CoreDatabase, table: sa.Table, column: str = "") -> int:
    with database.read() as connection:
        what = sa.func.sum(table.c[column]) if column else sa.func.count()
        return int(connection.scalar(sa.select(what).select_from(table)) or 0)


def test_workers_that_write_the_same_rows_at_once(database: CoreDatabase) -> None:
    """Their totals add up, and none waits for another in a circle."""
    store = AnalyticsStore(database)
    errors: list[Exception] = []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        names = Names()
        start.wait(30)
        try:
            for turn in range(10):
                records = [record(NOON + at, f"api{at % 3}", f"k{(at + number) % 5}", f"/p{at % 4}x") for at in range(turn, turn + 20)]
                store.write(Batch(f"worker {number}", turn + 1), records, roll_up(records, names))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert total(database, RECORDS) == 800
    assert total(database, ROLLUPS, "hits") == 800 * 3 * 3


def test_a_batch_that_fails_half_way_leaves_nothing(store: AnalyticsStore, write: Write, database: CoreDatabase) -> None:
    write(record())
    store._add = store._add.replace("analytics_rollups", "no_such_table")
    with pytest.raises(sa.exc.DBAPIError):
        write(record())
    assert (total(database, RECORDS), total(database, ROLLUPS, "hits")) == (1, 9)


def test_a_batch_whose_commit_was_not_answered_is_written_once(
    store: AnalyticsStore, database: CoreDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, lost = database.engine.dialect.do_commit, iter([True, True])

    def break_off(connection: Any) -> None:
        commit(connection)
        if next(lost, False):
            raise database.engine.dialect.loaded_dbapi.OperationalError("the connection is lost")

    monkeypatch.setattr(database.engine.dialect, "do_commit", break_off)
    recorder = Recorder(store.write, KEEP_S, now=lambda: NOON)
    one = exchange("GET", "/api/x")
    one.api = api()
    hook = recorder.before(lambda *_: None)
    for _ in range(3):
        hook(one, 200, 10, 0, one.started + 0.002)
    recorder.start()
    wait_until(lambda: next(lost, None) is None)
    asyncio.run(recorder.stop())
    assert (total(database, RECORDS), total(database, ROLLUPS, "hits"), recorder.dropped) == (3, 27, 0)


def test_a_batch_that_comes_again_while_the_server_still_commits_it(store: AnalyticsStore, database: CoreDatabase) -> None:
    again = threading.Thread(target=store.write, args=(Batch("w", 7), [record()], roll_up([record()], Names())))
    with database.engine.begin() as connection:
        connection.execute(sa.insert(WRITERS).values(id="w", batch=7, expires=NOON))
        again.start()
        if database.dialect == "postgresql":  # SQLite lets nobody see who waits
            waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")
            wait_until(lambda: bool(connection.scalar(waiting)))
    again.join(60)
    assert total(database, RECORDS) == 0
    store.write(Batch("w", 8), [record()], roll_up([record()], Names()))
    store.write(Batch("x", 1), [record()], roll_up([record()], Names()))
    assert total(database, RECORDS) == 2


def test_time_ends_records_and_what_they_add_up_to(store: AnalyticsStore, write: Write, database: CoreDatabase) -> None:
    short = api(api_id="short", expire_analytics_after=60)
    write(record(), record(of=short))
    day_s = 86_400
    assert store.purge(NOON + 61) == 1
    assert (total(database, RECORDS), total(database, ROLLUPS, "hits")) == (1, 18)
    assert store.purge(NOON + HOUR + 61) == 3, "the hour has passed for a minute, the day has not"
    assert store.purge(NOON + day_s / 2 + 61) == 3, "the day has passed, the month has not"
    assert store.purge(NOON + 16.5 * day_s + 61) == 3
    assert total(database, ROLLUPS, "hits") == 9
    assert store.purge(NOON + 17 * day_s + KEEP_S) == 9
    assert (total(database, RECORDS), total(database, ROLLUPS), total(database, WRITERS)) == (0, 0, 0)


def test_the_keeper_goes_on_until_nothing_is_left(store: AnalyticsStore, write: Write, database: CoreDatabase, monkeypatch: Any) -> None:
    monkeypatch.setattr(analytics, "_SLICE", 2)
    monkeypatch.setattr(analytics, "_PAUSE_S", 0.0)
    write(*(record() for _ in range(7)))
    keeper = AnalyticsKeeper(store, lambda: NOON + 2 * KEEP_S)
    keeper.start()
    wait_until(lambda: (total(database, RECORDS), total(database, ROLLUPS)) == (0, 0))
    keeper.stop()


def test_the_keeper_lives_through_an_absent_store(store: AnalyticsStore, monkeypatch: Any) -> None:
    monkeypatch.setattr(analytics, "_LOOK_S", 0.01)
    asked: list[float] = []

    def away(now: float) -> int:
        asked.append(now)
        raise OperationalError("", {}, Exception("away"))

    monkeypatch.setattr(store, "purge", away)
    keeper = AnalyticsKeeper(store, lambda: NOON)
    keeper.start()
    wait_until(lambda: len(asked) > 2)
    keeper.stop()


def test_what_is_purged_is_found_by_its_place(store: AnalyticsStore, write: Write, database: CoreDatabase) -> None:
    """Otherwise each purge reads all rows of a kind, and on SQLite every writer waits for it."""
    write(*(record(key=f"k{number}") for number in range(20)))
    seen: list[tuple[str, Any]] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda _c, _cursor, said, values, *_: seen.append((said, values)))
    store.purge(NOON)
    [(said, values)] = [one for one in seen if one[0].startswith("DELETE FROM analytics_rollups")]
    with database.read() as connection:
        if database.dialect == "sqlite":
            plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", values)]
            assert plan[0] == "SEARCH analytics_rollups USING INTEGER PRIMARY KEY (rowid=?)"
        else:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            plan = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {said}", values)]
            assert "Seq Scan" not in "\n".join(plan)
