"""Records of requests and what they add up to: their tables, how batches are written, and when rows are deleted.

A record and the roll-ups in which it counts are written in one transaction, so totals are those of the records, whatever is killed between.
The number of the batch is written with it: a batch whose commit was not answered, and which comes again, is found to be there.
A batch goes to PostgreSQL as one array for each column; for that, moments are whole numbers (milliseconds, seconds or hours of the epoch).
`stores/activity.py` and `stores/records.py` read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from services.common import logging as logs
from services.common.core_database import CoreDatabase
from services.gateway.analytics.record import DAY_S, Batch, Record
from services.gateway.analytics.rollups import KEY, OAUTH, Row, Totals
from services.gateway.stores.base import metadata

log = logs.get(__name__)

_SLICE: Final = 1000  # rows of one transaction that purges: nobody else waits for long
_LOOK_S: Final = 600.0
_PAUSE_S: Final = 0.2
_WRITER_KEPT_S: Final = 30 * DAY_S  # the longest that a store may be away before a batch is forgotten, and could be written twice

RECORDS: Final = sa.Table(
    "analytics_records",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False, index=True),  # milliseconds
    sa.Column("expires", sa.BigInteger, nullable=False, index=True),  # seconds
    sa.Column("org_id", sa.Text, nullable=False),
    sa.Column("api_id", sa.Text, nullable=False),
    sa.Column("api_name", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column("tags", sa.Text, nullable=False),  # JSON
    sa.Column("oauth_id", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("raw_path", sa.Text, nullable=False),
    sa.Column("code", sa.Integer, nullable=False),
    sa.Column("request_us", sa.BigInteger, nullable=False),
    sa.Column("content_length", sa.BigInteger, nullable=False),  # -1 = chunked
    sa.Column("user_agent", sa.Text, nullable=False),
    sa.Column("raw_request", sa.Text, nullable=False),
)
_OF_ITEMS: Final = sa.text(f"kind IN ({KEY}, {OAUTH})")
# On PostgreSQL the migrations make a partition for each kind: the rows of one question do not stand among those of all others.
ROLLUPS: Final = sa.Table(
    "analytics_rollups",
    metadata,
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("grain", sa.SmallInteger, nullable=False),
    sa.Column("api_id", sa.Text, nullable=False),
    sa.Column("start", sa.Integer, nullable=False),  # hours
    sa.Column("org_id", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("code", sa.Integer, nullable=False),
    sa.Column("item", sa.Text, nullable=False),
    sa.Column("hits", sa.BigInteger, nullable=False),
    sa.Column("success", sa.BigInteger, nullable=False),
    sa.Column("error", sa.BigInteger, nullable=False),
    sa.Column("request_us", sa.BigInteger, nullable=False),
    sa.Column("last_hit", sa.BigInteger, nullable=False),  # milliseconds
    # seconds; of all of a row the same, so that an update leaves the index
    sa.Column("expires", sa.BigInteger, nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    # in the order of time, and with all that a question counts by: how many rows an answer has is read from it alone
    sa.PrimaryKeyConstraint("kind", "grain", "start", "api_id", "item", "version", "code", "org_id"),
    sa.Index("ix_analytics_rollups_item", "item", "kind", "grain", "start", postgresql_where=_OF_ITEMS, sqlite_where=_OF_ITEMS),
)
# The last batch of each worker. It writes one after the other, so that is the one that may come again.
WRITERS: Final = sa.Table(
    "analytics_writers",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("batch", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False),  # seconds
)
_ROW: Final = Row._fields
_TOTALS: Final = ("hits", "success", "error", "request_us", "last_hit", "expires", "name")
_ADDED: Final = ("hits", "success", "error", "request_us")
_GREATEST: Final = ("last_hit", "expires")


class AnalyticsStore:
    """Thread-safe."""

    def __init__(self, database: CoreDatabase) -> None:
        self._database = database
        greatest = "max" if database.dialect == "sqlite" else "greatest"
        changes = [f"{name} = analytics_rollups.{name} + excluded.{name}" for name in _ADDED]
        changes += [f"{name} = {greatest}(analytics_rollups.{name}, excluded.{name})" for name in _GREATEST]
        key = ", ".join(column.name for column in ROLLUPS.primary_key)
        self._insert = _many(database.dialect, RECORDS, Record._fields)
        self._add = (
            _many(database.dialect, ROLLUPS, _ROW + _TOTALS)
            + f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(changes)}, name = excluded.name"
        )
        place = "?" if database.dialect == "sqlite" else "%s"
        self._number = (
            f"INSERT INTO analytics_writers (id, batch, expires) VALUES ({place}, {place}, {place}) ON CONFLICT (id)"  # noqa: S608
            " DO UPDATE SET batch = excluded.batch, expires = excluded.expires WHERE analytics_writers.batch < excluded.batch"
        )

    def write(self, batch: Batch, records: Sequence[Record], totals: Mapping[Row, Totals]) -> None:
        """Write a batch in one transaction, unless it is written already. totals: what these records add up to, sorted.

        Raises as `CoreDatabase.run`. When the connection breaks during the commit, the batch may be written or not: call it again.
        """
        added = [
            (*row, one.hits, one.success, one.error, one.request_us, one.last, one.expires, one.name) for row, one in totals.items()
        ]  # fmt: skip
        numbered = (*batch, records[-1].at // 1000 + _WRITER_KEPT_S)

        def work(connection: sa.Connection) -> None:
            # first: while the server still commits what this worker has given up, this waits for it
            if connection.exec_driver_sql(self._number, numbered).rowcount:
                connection.exec_driver_sql(self._insert, self._arguments(records))
                connection.exec_driver_sql(self._add, self._arguments(added))

        self._database.run(work)

    def _arguments(self, rows: Sequence[tuple[Any, ...]]) -> Any:
        return list(rows) if self._database.dialect == "sqlite" else tuple(map(_array, zip(*rows, strict=True)))

    def purge(self, now: float) -> int:
        """Delete rows whose time is over, a thousand of each table at most; return how many of the table that had more."""
        old = sa.select(RECORDS.c.id).where(RECORDS.c.expires < now).order_by(RECORDS.c.expires).limit(_SLICE)
        # by several columns, SQLite would look at every row of a kind
        place: Any = sa.literal_column("rowid") if self._database.dialect == "sqlite" else sa.tuple_(*ROLLUPS.primary_key)
        key = (place,) if self._database.dialect == "sqlite" else tuple(ROLLUPS.primary_key)
        ended = sa.select(*key).select_from(ROLLUPS).where(ROLLUPS.c.expires < now).order_by(ROLLUPS.c.expires).limit(_SLICE)

        def work(connection: sa.Connection) -> int:
            records = connection.execute(sa.delete(RECORDS).where(RECORDS.c.id.in_(old))).rowcount
            rollups = connection.execute(sa.delete(ROLLUPS).where(place.in_(ended))).rowcount
            connection.execute(sa.delete(WRITERS).where(WRITERS.c.expires < now))  # a row for each worker, so there are few
            return max(records, rollups)

        return self._database.run(work)


def _many(dialect: str, table: sa.Table, names: tuple[str, ...]) -> str:
    """Return the statement that inserts many rows at once: for SQLite one of many executions, for PostgreSQL with an array a column."""
    into = f"INSERT INTO {table.name} ({', '.join(names)})"  # names of ours, none of a caller's
    if dialect == "sqlite":
        return f"{into} VALUES ({', '.join('?' * len(names))})"
    arrays = ", ".join(f"%s::{table.c[name].type.compile(dialect=_POSTGRESQL)}[]" for name in names)
    return f"{into} SELECT * FROM unnest({arrays})"  # noqa: S608


def _array(column: Sequence[Any]) -> str:
    """Write an array of PostgreSQL. column: all numbers, or all texts. The driver looks at each element, and takes five times as long."""
    if not isinstance(column[0], str):
        return "{" + ",".join(map(str, column)) + "}"
    joined = '","'.join(column)
    if "\\" in joined or joined.count('"') != 2 * (len(column) - 1):
        joined = '","'.join([text.replace("\\", "\\\\").replace('"', '\\"') for text in column])
    return '{"' + joined + '"}'


_POSTGRESQL: Final = sa.make_url("postgresql+psycopg://").get_dialect()()


class AnalyticsKeeper:
    """One thread that deletes rows when their time is over, a thousand at a time, with pauses; also when nothing is recorded any more."""

    def __init__(self, store: AnalyticsStore, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._stopping = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="analytics-keeper", daemon=True).start()

    def stop(self) -> None:
        """Delete nothing more. Waits for nothing."""
        self._stopping.set()

    def _run(self) -> None:
        told, pause = False, 0.0
        while not self._stopping.wait(pause):
            began = time.monotonic()
            try:
                more = self._store.purge(self._now()) >= _SLICE
                told = False
            except Exception as error:  # the database is away: tried again
                more = False
                if not told:
                    log.warning("old analytics not deleted", error=type(error).__name__)
                told = True
            # a slow store is left as much time as it took
            pause = max(_PAUSE_S, time.monotonic() - began) if more else _LOOK_S
