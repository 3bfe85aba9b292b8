"""The ledger in the database, on both stores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from services.common.core_database import CoreDatabase
from services.common.migrations import migrate
from services.gateway.counters.ledger import Entry
from services.gateway.stores.quota import AT_ONCE, QUOTAS, QuotaLedger

NOW = 1_800_000_000.25


def test_what_is_written_is_loaded(ledger: QuotaLedger) -> None:
    entries = [Entry("q:a", 3, NOW + 60.125), Entry("q:b", 7, None)]
    assert sorted(ledger.write((), entries, NOW)) == entries
    assert sorted(ledger.load(NOW)) == entries


def test_charges_of_a_running_window_add_up(ledger: QuotaLedger) -> None:
    ledger.write((), [Entry("q:a", 3, NOW + 60)], NOW)
    assert ledger.write((), [Entry("q:a", 4, NOW + 60)], NOW + 59) == [Entry("q:a", 7, NOW + 60)]


def test_of_two_ends_the_earlier_holds(ledger: QuotaLedger) -> None:
    ledger.write((), [Entry("q:a", 1, NOW + 60), Entry("q:n", 1, None)], NOW)
    assert ledger.write((), [Entry("q:a", 1, NOW + 90)], NOW) == [Entry("q:a", 2, NOW + 60)]
    assert ledger.write((), [Entry("q:a", 1, NOW + 30)], NOW) == [Entry("q:a", 3, NOW + 30)]
    assert ledger.write((), [Entry("q:a", 1, None)], NOW) == [Entry("q:a", 4, NOW + 30)]
    assert ledger.write((), [Entry("q:n", 1, NOW + 30)], NOW) == [Entry("q:n", 2, NOW + 30)]


def test_an_ended_window_begins_anew(ledger: QuotaLedger) -> None:
    ledger.write((), [Entry("q:a", 9, NOW + 60)], NOW)
    assert ledger.write((), [Entry("q:a", 1, NOW + 120)], NOW + 60) == [Entry("q:a", 1, NOW + 120)]


def test_ended_windows_are_not_loaded_and_swept(ledger: QuotaLedger) -> None:
    ledger.write((), [Entry("q:a", 9, NOW + 60), Entry("q:b", 1, NOW + 61), Entry("q:c", 1, None)], NOW)
    assert sorted(ledger.load(NOW + 60)) == [Entry("q:b", 1, NOW + 61), Entry("q:c", 1, None)]
    ledger.sweep(NOW + 60)
    assert sorted(ledger.load(NOW)) == [Entry("q:b", 1, NOW + 61), Entry("q:c", 1, None)]


def test_forgotten_goes_before_what_is_charged(ledger: QuotaLedger) -> None:
    ledger.write((), [Entry("q:a", 9, NOW + 60), Entry("q:b", 9, NOW + 60)], NOW)
    assert ledger.write({"q:a", "q:b"}, [Entry("q:a", 1, NOW + 70)], NOW) == [Entry("q:a", 1, NOW + 70)]
    assert ledger.load(NOW) == [Entry("q:a", 1, NOW + 70)]


def test_more_than_one_batch(ledger: QuotaLedger) -> None:
    entries = [Entry(f"q:{number:06}", number + 1, NOW + 60) for number in range(2 * AT_ONCE + 7)]
    assert sorted(ledger.write((), entries, NOW)) == entries
    assert sorted(ledger.write((), entries, NOW)) == [Entry(name, 2 * used, end) for name, used, end in entries]
    ledger.write([entry.counter for entry in entries], (), NOW)
    assert ledger.load(NOW) == []


def test_two_writers_add_up_to_the_exact_sum(ledger: QuotaLedger, database_url: str) -> None:
    other = CoreDatabase(database_url)
    names = [f"q:{number:02}" for number in range(20)]

    def work(ledger: QuotaLedger) -> None:
        for _ in range(25):
            ledger.write((), [Entry(name, 1, NOW + 60) for name in names], NOW)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(work, ledger), threads.submit(work, QuotaLedger(other))]:
            done.result()
    other.dispose()
    assert sorted(ledger.load(NOW)) == [Entry(name, 50, NOW + 60) for name in names]


def test_the_migration_makes_the_table_that_the_code_knows(database_url: str) -> None:
    migrate("gateway", database_url)
    database = CoreDatabase(database_url)
    inspector = sa.inspect(database.engine)
    table = sa.Table("quota_ledger", sa.MetaData(), autoload_with=database.engine)
    assert {column.name: column.nullable for column in table.columns} == {c.name: c.nullable for c in QUOTAS.columns}
    assert inspector.get_pk_constraint("quota_ledger")["constrained_columns"] == ["counter"]
    assert [index["name"] for index in inspector.get_indexes("quota_ledger")] == ["ix_quota_ledger_window_ends_at"]
    big = [Entry("q:" + "x" * 300, 2**40, NOW + 0.123456)]
    assert QuotaLedger(database).write((), big, NOW) == big
    database.dispose()
