"""PostgreSQL's partitions: made when they are needed, and before."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from services.devices.data.rules.records import read
from services.devices.data.store import partitions
from tests.support.waiting import wait_until
from tests.unit.devices.conftest import API, MakeAPI
from tests.unit.devices.data.ingest.house import Writer, immutable

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has no partitions


def leaves(api: API, retention_class: int) -> list[str]:
    with api.parts.database.read() as session:
        return partitions.leaves(session, retention_class)


def test_the_first_record_of_a_chunk_makes_its_partition(api: API) -> None:
    writer = immutable(api)
    writer.add([{"variable": "a"}, {"variable": "a", "time": writer.days_ago(2)}])
    assert leaves(api, 3) == ["immutable_records_3_20251230", "immutable_records_3_20260101"]
    weekly = immutable(api, chunk_period="week", chunk_retention=1)
    weekly.add({"variable": "a"})
    assert leaves(api, 101) == ["immutable_records_101_20251229"]  # a Monday


def test_processes_that_need_the_same_partition_agree(make_api: MakeAPI) -> None:
    apis = [make_api() for _ in range(4)]
    writers = [immutable(api) for api in apis]
    together = threading.Barrier(len(writers))

    def add(writer: Writer) -> int:
        device = writer.device
        together.wait(30)
        return writer.api.parts.ingest.add(device, read({"variable": "a"}, writer.now, "g"))

    with ThreadPoolExecutor(len(writers)) as pool:
        assert list(pool.map(add, writers)) == [1] * 4
    assert len(leaves(apis[0], 3)) == 1


def test_a_partition_that_went_away_is_made_again(api: API) -> None:
    writer = immutable(api)
    writer.add({"variable": "a"})
    api.parts.database.run(lambda session: session.execute(sa.text("DROP TABLE immutable_records_3_20260101")))
    assert (writer.add({"variable": "b"}), len(writer.rows())) == (1, 1)


def test_queries_look_only_into_the_partitions_of_their_window(api: API) -> None:
    writer = immutable(api)
    writer.add([{"variable": "a", "time": writer.days_ago(days)} for days in range(4)])
    query = sa.text(
        "EXPLAIN SELECT * FROM immutable_records WHERE retention_class = 3 AND data_no = 1 AND variable_no = 1"
        f" AND time >= {writer.days_ago(1)} AND time < {writer.days_ago(0)} ORDER BY time DESC, seq DESC LIMIT 5"
    )
    with api.parts.database.read() as session:
        plan = "\n".join(session.scalars(query))
    assert "immutable_records_3_20251231" in plan and "20260101" not in plan and "20251230" not in plan
    assert "Index" in plan and "Seq Scan" not in plan


def test_the_keeper_makes_partitions_ahead_and_drops_what_is_over(api: API) -> None:
    writer = immutable(api, chunk_retention=1)
    writer.add([{"variable": "a", "time": writer.days_ago(days)} for days in (0, 1)])
    assert api.parts.keeper.keep()
    assert [name[-8:] for name in leaves(api, 1)] == ["20251231", "20260101", "20260102"]
    api.clock.move(2 * 24 * 3600)
    assert api.parts.keeper.keep()
    assert [name[-8:] for name in leaves(api, 1)] == ["20260102", "20260103", "20260104"]
    assert (writer.rows(), writer.chunks()) == ([], {})
    assert writer.add([{"variable": "a", "time": writer.days_ago(days)} for days in (0, 1)]) == 2


def test_sums_over_chunks_that_have_ended_need_no_table(api: API) -> None:
    writer = immutable(api)
    writer.add([{"variable": "a", "value": number, "time": writer.days_ago(1) + number} for number in range(2000)])
    query = sa.text(
        "EXPLAIN (ANALYZE, TIMING OFF) SELECT sum(number) FROM immutable_records WHERE retention_class = 3 AND variable_no = 1"
        f" AND data_no = {writer.device.data_no} AND time >= {writer.days_ago(1)} AND time < {writer.days_ago(0)}"
    )

    def kept() -> str:
        """The plan; the statistics of what was written come a moment later."""
        assert api.parts.keeper.keep()
        with api.parts.database.read() as session:
            session.execute(sa.text("SET LOCAL enable_seqscan = off"))
            return "\n".join(session.scalars(query))

    wait_until(lambda: "Heap Fetches: 0" in kept(), what="a scan of the index only")


def test_dropping_waits_for_readers_and_stops_no_writer(api: API) -> None:
    writer = immutable(api, chunk_retention=1)
    writer.add({"variable": "a", "time": writer.days_ago(1)})
    api.clock.move(24 * 3600)
    with ThreadPoolExecutor(1) as pool:
        with api.parts.database.read() as session:
            session.execute(sa.text("SELECT count(*) FROM immutable_records"))
            keeping = pool.submit(api.parts.keeper.keep)
            wait_until(lambda: _detaching(api), what="the keeper at the reader")
            assert writer.add({"variable": "a"}) == 1  # today's
        assert keeping.result(60)
    assert [name[-8:] for name in leaves(api, 1)] == ["20260102", "20260103"]


def _detaching(api: API) -> bool:
    detaching = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE%DETACH%' AND wait_event_type = 'Lock'"
    with api.parts.database.read() as session:
        return bool(session.scalar(sa.text(detaching)))
