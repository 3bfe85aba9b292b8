"""The migrations make the tables that the stores describe."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.common.core_database import CoreDatabase
from services.common.migrations import migrate
from services.gateway.settings import Settings
from services.gateway.stores import analytics, audit, certificates, definitions, files, hooks, keys, operators, organisations, policies
from services.gateway.stores.base import metadata
from services.gateway.stores.generations import Changes
from services.gateway.stores.sealing import Sealing
from tests.support.migrating import migrate_to
from tests.support.waiting import wait_until

_OURS = {
    "definitions", "definition_revisions", "generations", "changes", "hooks", "keys", "key_secrets", "key_rights", "organisations",
    "policies", "key_policies", "key_tags", "certificates", "operators", "operator_keys", "audit",
    "analytics_records", "analytics_rollups", "analytics_writers",
}  # fmt: skip


def test_migrated_and_described_tables_are_the_same(database_url: str) -> None:
    assert analytics and audit and certificates and definitions and files and hooks and keys and operators and organisations and policies
    migrate("gateway", database_url)
    database = CoreDatabase(database_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = [one for one in compare_metadata(context, metadata) if _OURS & set(_tables(one))]
    database.dispose()
    assert differences == []


def test_a_database_of_before_the_log_of_changes(database_url: str) -> None:
    """Its numbers go on; what was written before is unknown, which is not the same as nothing."""
    database = CoreDatabase(database_url)
    migrate_to("gateway", "0005", database)
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE generations SET number = 7 WHERE name = 'keys'"))
    migrate_to("gateway", "0006", database)
    store = keys.KeyStore(database, Sealing(database, Settings(master_key="m" * 32)))
    assert store.changes(7) == Changes(7, ())
    assert store.changes(5) == Changes(7, None)
    migrate("gateway", database_url)
    store.create("h", {})
    assert store.changes(7) == Changes(8, ((8, "h"),))
    assert store.changes(6) == Changes(8, None)
    migrate_to("gateway", "0005", database, command.downgrade)
    migrate_to("gateway", "0006", database)
    assert store.changes(7) == Changes(8, None)
    database.dispose()


def test_analytics_of_before_their_partitions(database_url: str) -> None:
    """They are kept both ways, and a worker of the version before goes on adding to them."""
    database = CoreDatabase(database_url)
    migrate_to("gateway", "0016", database)
    key = "kind, grain, api_id, start, org_id, version, code, item"
    add = sa.text(
        f"INSERT INTO analytics_rollups ({key}, hits, success, error, request_us, last_hit, expires, name)"
        " VALUES (:kind, :grain, 'a', 24, 'o', 'v', 200, 'i', 1, 1, 0, 5, 9, 99, 'n')"
        f" ON CONFLICT ({key}) DO UPDATE SET hits = analytics_rollups.hits + excluded.hits"
    )
    rows = [{"kind": kind, "grain": grain} for kind in (1, 2, 3, 4) for grain in (0, 1, 2)]

    def found() -> list[tuple[object, ...]]:
        with database.read() as connection:
            told = connection.execute(sa.text(f"SELECT {key}, hits, request_us, name FROM analytics_rollups ORDER BY kind, grain"))
            return [tuple(row) for row in told]

    def expected(hits: int) -> list[tuple[object, ...]]:
        return [(one["kind"], one["grain"], "a", 24, "o", "v", 200, "i", hits, 5, "n") for one in rows]

    ways = (("0016", command.upgrade), ("0017", command.upgrade), ("0016", command.downgrade), ("0017", command.upgrade))
    for hits, (revision, step) in enumerate(ways, 1):
        migrate_to("gateway", revision, database, step)
        with database.engine.begin() as connection:
            connection.execute(add, rows)
        assert found() == expected(hits)
    database.dispose()


def test_a_batch_that_waits_for_the_partitions_is_written_to_them(postgresql_url: str) -> None:
    """Of a worker of the version before, whose statement PostgreSQL has prepared for the table that is dropped."""
    database = CoreDatabase(postgresql_url)
    migrate_to("gateway", "0016", database)
    key = "kind, grain, api_id, start, org_id, version, code, item"
    add = (
        f"INSERT INTO analytics_rollups ({key}, hits, success, error, request_us, last_hit, expires, name)"
        " VALUES (1, 0, 'a', 24, 'o', 'v', 200, '', 1, 1, 0, 5, 9, 99, 'n')"
        f" ON CONFLICT ({key}) DO UPDATE SET hits = analytics_rollups.hits + excluded.hits"
    )
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'analytics_rollups'::regclass")
    with psycopg.connect(database.engine.url.set(drivername="postgresql").render_as_string(False), autocommit=True) as worker:
        for _ in range(3):
            worker.execute(add, prepare=True)
        with ThreadPoolExecutor(2) as threads, database.engine.connect() as holder, database.engine.connect() as watcher:
            holder.execute(sa.text("LOCK TABLE analytics_rollups IN ACCESS EXCLUSIVE MODE"))
            migrating = threads.submit(migrate_to, "gateway", "0017", database)
            wait_until(lambda: watcher.scalar(waiting) == 1, 10, "the migration at the lock")
            adding = threads.submit(worker.execute, add, prepare=True)
            wait_until(lambda: watcher.scalar(waiting) == 2, 10, "the batch behind it")
            holder.rollback()
            migrating.result(20)
            adding.result(20)
    with database.read() as connection:
        assert connection.scalar(sa.text("SELECT hits FROM analytics_rollups_api")) == 4
    database.dispose()


def _tables(difference: object) -> list[str]:
    """Every name in alembic's description of a difference that may be a table's."""
    parts = difference if isinstance(difference, list | tuple) else [difference]
    found = []
    for part in parts:
        if isinstance(part, list | tuple):
            found += _tables(part)
        else:
            found += [str(name) for name in (part, getattr(part, "name", ""), getattr(getattr(part, "table", None), "name", ""))]
    return found
