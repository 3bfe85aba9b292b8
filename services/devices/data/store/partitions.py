"""PostgreSQL's partitions of `immutable_records`: by retention class, and below it a table for each chunk, which is dropped whole.

`immutable_records_103` is class 103, `immutable_records_103_20260101` its chunk that begins on that day. Neither making nor dropping one
keeps anybody from reading or writing the others: they are made apart and attached, detached concurrently and then dropped.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common.migrations import advisory_key
from services.devices.data.rules import chunks
from services.devices.data.rules.fields import milliseconds

TABLE: Final = "immutable_records"
_KEY: Final = advisory_key("partitions of devices")
_LEAF: Final = re.compile(TABLE + r"_(\d+)_(\d{8})").fullmatch
_ATTACHED: Final = """
    SELECT parent.relname, leaf.relname, inhdetachpending FROM pg_inherits
    JOIN pg_class parent ON parent.oid = inhparent JOIN pg_class leaf ON leaf.oid = inhrelid WHERE leaf.relkind IN ('r', 'p')
"""


class Partition(NamedTuple):
    """The table of one chunk of one class. starts, ends: milliseconds since 1970, UTC."""

    retention_class: int
    starts: int
    ends: int

    @property
    def parent(self) -> str:
        return f"{TABLE}_{self.retention_class}"

    @property
    def name(self) -> str:
        begins = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=self.starts)
        return f"{self.parent}_{begins:%Y%m%d}"


def make(session: Session, wanted: Collection[Partition]) -> None:
    """Make the partitions that are not there yet. Processes take turns."""
    session.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _KEY})
    there = {name for _, name, _ in session.execute(sa.text(_ATTACHED))}
    for partition in sorted(wanted):
        if partition.parent not in there:
            there.add(partition.parent)
            _attach(session, TABLE, partition.parent, f"IN ({partition.retention_class})", " PARTITION BY RANGE (time)")
        if partition.name not in there:
            there.add(partition.name)
            _attach(session, partition.parent, partition.name, f"FROM ({partition.starts}) TO ({partition.ends})")


def _attach(session: Session, parent: str, name: str, values: str, partitioned: str = "") -> None:
    session.execute(sa.text(f"DROP TABLE IF EXISTS {name}"))  # one that was detached, and not dropped because the process died
    session.execute(sa.text(f"CREATE TABLE {name} (LIKE {TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS){partitioned}"))
    session.execute(sa.text(f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES {values}"))


def droppable(connection: sa.Connection, kept: Callable[[int], int]) -> list[str]:
    """List the chunks that are over, and those that a process that died began to detach. kept: class → start of its oldest kept chunk."""
    found = []
    for parent, name, pending in connection.execute(sa.text(_ATTACHED)):
        match = _LEAF(name)
        if match is not None and parent != TABLE and (pending or _ends(match) <= kept(int(match[1]))):
            found.append(name)
    return found


def _ends(match: re.Match[str]) -> int:
    begins = dt.datetime.strptime(match[2], "%Y%m%d").replace(tzinfo=dt.UTC)
    period = chunks.PERIODS[int(match[1]) // 100]
    return chunks.span(period, milliseconds(begins)).ends


def settled(connection: sa.Connection, now: int) -> list[str]:
    """List the chunks that have ended and whose pages are not all known to be visible to everybody. now: milliseconds since 1970.

    One vacuum may not be enough: it leaves out pages of transactions that are still needed or, without synchronous commit, not on the disk.
    """
    found = connection.scalars(
        sa.text(
            "SELECT s.relname FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid"
            " WHERE s.n_ins_since_vacuum > 0 OR c.relallvisible < c.relpages"
        )
    )
    return sorted(name for name in found if (match := _LEAF(name)) is not None and _ends(match) <= now)


def vacuum(connection: sa.Connection, name: str) -> None:
    """Note which pages everybody sees, so that their numbers are read from the index alone. connection: as `drop`."""
    connection.execute(sa.text(f"VACUUM (ANALYZE, SKIP_LOCKED) {name}"))


def drop(connection: sa.Connection, name: str) -> None:
    """Drop a partition. connection: without a transaction around each statement, and patient: the first waits for those who read it."""
    parent = name.rpartition("_")[0]
    pending = connection.scalar(
        sa.text("SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass(:name) AND inhparent = to_regclass(:parent)"),
        {"name": name, "parent": parent},
    )
    if pending is not None:
        how = "FINALIZE" if pending else "CONCURRENTLY"
        connection.execute(sa.text(f"ALTER TABLE {parent} DETACH PARTITION {name} {how}"))
    connection.execute(sa.text(f"DROP TABLE IF EXISTS {name}"))


def leaves(session: Session, retention_class: int) -> list[str]:
    """List the chunks of a class."""
    parent = f"{TABLE}_{retention_class}"
    return sorted(name for above, name, pending in session.execute(sa.text(_ATTACHED)) if above == parent and not pending)
