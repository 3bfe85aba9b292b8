"""What is over goes away in the background, in slices, by one process at a time."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
import sqlalchemy as sa

from services.devices.data.store import counting, leases, removal, sweeping
from services.devices.models import Chunk, IdempotencyKey, Removal, immutable_records, mutable_records
from tests.unit.devices.conftest import API, MakeAPI
from tests.unit.devices.data.ingest.house import Writer, immutable, mutable

DAY_S = 24 * 3600


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "SLICE", 3)


def left(api: API) -> int:
    """Every record in the store, whoever it belongs to."""
    with api.parts.database.read() as session:
        return sum(session.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in (mutable_records, immutable_records))


def amount(writer: Writer) -> int:
    device = writer.device
    with writer.database.read() as session:
        return counting.amount(session, device.no, device.chunk_period, device.chunk_retention, writer.now)


def test_chunks_go_when_they_are_over_and_are_not_counted_before_that(api: API) -> None:
    writer, longer = immutable(api, chunk_retention=1), immutable(api, chunk_retention=2)
    for one in (writer, longer):
        one.add([{"variable": f"v{number % 3}", "time": one.days_ago(1)} for number in range(20)])
        one.add([{"variable": "a"}] * 2)
    assert (amount(writer), amount(longer)) == (22, 22)
    api.clock.move(DAY_S)
    assert (amount(writer), amount(longer), left(api)) == (2, 22, 44)
    assert api.parts.keeper.keep()
    assert (amount(writer), amount(longer), left(api)) == (2, 22, 24)
    assert (list(writer.chunks().values()), list(longer.chunks().values())) == ([2], [20, 2])


def test_a_clock_that_jumped_ahead_drops_nothing_before_somebody_could_set_it_right(api: API) -> None:
    writer = immutable(api, chunk_retention=1)
    writer.add([{"variable": "a", "time": writer.days_ago(1)}] * 20)
    api.clock.jump(30 * DAY_S)
    assert not api.parts.keeper.keep()
    api.clock.move(3000)
    assert (api.parts.keeper.keep(), left(api)) == (False, 20)
    api.clock.jump(-30 * DAY_S)
    api.clock.move(601)
    assert (api.parts.keeper.keep(), left(api)) == (True, 20)
    api.clock.jump(DAY_S)  # as it is on a machine that slept for a day
    assert not api.parts.keeper.keep()
    api.clock.move(3600)
    assert (api.parts.keeper.keep(), left(api)) == (True, 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # PostgreSQL drops tables
def test_a_chunk_of_many_variables_goes_in_few_statements(api: API) -> None:
    writer = immutable(api, chunk_retention=1)
    writer.add([{"variable": f"v{number}", "time": writer.days_ago(1)} for number in range(40)])
    writer.add([{"variable": f"v{number}"} for number in range(40)])
    api.clock.move(DAY_S)
    statements: list[str] = []
    sa.event.listen(api.parts.database.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    slices = [0]
    while writer.database.run(lambda session: sweeping.old_chunks(session, "day", 1, writer.now)):
        slices.append(len(statements))
    assert (left(api), list(writer.chunks().values())) == (40, [40])
    assert len(slices) == 1 + 40 // 3 + 1
    assert max(after - before for before, after in itertools.pairwise(slices)) <= 5


def test_keys_go_after_a_day(api: API) -> None:
    writer = mutable(api)
    for number in range(10):
        writer.add({"variable": "a"}, (f"{number}", "digest"))
    api.clock.move(DAY_S - 1)
    writer.add({"variable": "a"}, ("late", "digest"))
    assert api.parts.keeper.keep() and _keys(api) == 11
    api.clock.move(2)
    assert api.parts.keeper.keep() and _keys(api) == 1


def _keys(api: API) -> int:
    with api.parts.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(IdempotencyKey)) or 0


@pytest.mark.parametrize("make", [mutable, immutable])
def test_an_emptied_device_has_nothing_at_once_and_its_records_go_later(api: API, make: type[Writer]) -> None:
    writer, other = make(api), make(api)
    for one in (writer, other):
        one.add([{"variable": f"v{number % 3}"} for number in range(10)])
    writer.database.run(lambda session: removal.empty(session, writer.device.no, writer.now))
    assert (amount(writer), writer.rows(), writer.chunks(), amount(other), left(api)) == (0, [], {}, 10, 20)
    writer.add([{"variable": "v1"}, {"variable": "new"}])
    assert ([row.seq for row in writer.rows()], amount(writer)) == ([11, 12], 2)
    assert api.parts.keeper.keep()
    assert (left(api), amount(writer), len(other.rows()), len(writer.rows())) == (12, 2, 10, 2)
    with api.parts.database.read() as session:
        assert session.scalars(sa.select(Removal)).all() == []


def test_numbers_of_emptied_devices_are_given_to_no_other(api: API) -> None:
    writer = mutable(api)
    numbers = {writer.device.data_no}
    for _ in range(3):
        writer.database.run(lambda session: removal.empty(session, writer.device.no, writer.now))
        numbers.add(writer.device.data_no)
    numbers |= {mutable(api).device.data_no for _ in range(3)}
    assert len(numbers) == 7


@pytest.mark.parametrize("make", [mutable, immutable])
def test_the_records_of_a_deleted_device_go_later(api: API, make: type[Writer]) -> None:
    writer = make(api)
    writer.add([{"variable": "a"}] * 10)
    no = writer.device.no

    def delete(session: sa.orm.Session) -> None:
        removal.forget(session, no, writer.now)
        session.execute(sa.text("DELETE FROM devices WHERE no = :no"), {"no": no})

    writer.database.run(delete)
    assert left(api) == 10
    assert api.parts.keeper.keep()
    assert left(api) == 0


def test_a_chunk_is_deleted_alone(api: API) -> None:
    writer = immutable(api)
    writer.add([{"variable": name, "time": writer.days_ago(days)} for name in "ab" for days in (0, 1, 2)])
    yesterday = writer.days_ago(1)
    assert writer.database.run(lambda session: removal.delete_chunk(session, writer.device.no, yesterday))
    assert not writer.database.run(lambda session: removal.delete_chunk(session, writer.device.no, yesterday))
    assert sorted(row.time for row in writer.rows()) == [writer.days_ago(2)] * 2 + [writer.days_ago(0)] * 2
    assert (amount(writer), left(api)) == (4, 4)


@pytest.mark.parametrize(
    ("period", "retention", "kept"), [("day", 36, 4), ("day", 1, 2), ("week", 0, 4), ("quarter", 2, 4), ("month", 0, 1)]
)
def test_records_move_with_the_chunks_of_their_device(api: API, period: str, retention: int, kept: int) -> None:
    writer = immutable(api)
    writer.add([{"variable": "a", "value": days, "time": writer.days_ago(days)} for days in range(4)])

    def change(session: sa.orm.Session) -> None:
        removal.move_class(session, writer.device.no, period, retention, writer.now)
        session.execute(
            sa.text("UPDATE devices SET chunk_period = :period, chunk_retention = :retention"), {"period": period, "retention": retention}
        )

    writer.database.run(change)
    assert [row.number for row in sorted(writer.rows(), key=lambda row: -row.time)] == list(range(kept))
    assert (amount(writer), sum(writer.chunks().values()), left(api)) == (kept, kept, kept)
    assert writer.add({"variable": "a"}) == 1
    assert amount(writer) == kept + 1


def test_one_process_at_a_time_keeps(make_api: MakeAPI) -> None:
    first, second = make_api(), make_api()
    now = first.clock.now()
    database = first.parts.database
    minute = dt.timedelta(minutes=1)
    assert database.run(lambda session: leases.take(session, database.dialect, "keeper", "another", now, minute))
    assert not first.parts.keeper.keep() and not second.parts.keeper.keep()
    first.clock.move(60)
    assert first.parts.keeper.keep() and second.parts.keeper.keep()  # each gives it back


def test_counts_of_chunks_are_those_of_the_records(api: API) -> None:
    writer = immutable(api, chunk_period="week", chunk_retention=4)
    writer.add([{"variable": f"v{days % 2}", "time": writer.days_ago(days)} for days in range(-1, 28)])
    with api.parts.database.read() as session:
        for chunk in session.scalars(sa.select(Chunk)):
            times = [row.time for row in writer.rows() if chunk.starts <= row.time < chunk.ends]
            assert len(times) == chunk.records
