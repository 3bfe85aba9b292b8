"""The ledger of durable counters: what quotas have used, so that a restart does not give it back, and the rate windows that a worker has
left to its successor, under names of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import sqlalchemy as sa

from services.common.core_database import CoreDatabase
from services.common.upsert import insert
from services.gateway.counters.ledger import Entry
from services.gateway.stores.base import metadata

AT_ONCE: Final = 500
_HANDED_OVER: Final = "handed-over:"


# window_ends_at, written_at: epoch seconds. window_ends_at is null when the quota never renews.
QUOTAS: Final = sa.Table(
    "quota_ledger",
    metadata,
    sa.Column("counter", sa.Text, primary_key=True),
    sa.Column("used", sa.BigInteger, nullable=False),
    sa.Column("window_ends_at", sa.Double, index=True),
    sa.Column("written_at", sa.Double, nullable=False),
)


class QuotaLedger:
    """The `Ledger` in the gateway's database."""

    def __init__(self, database: CoreDatabase) -> None:
        self._database = database
        self._charge = _charge(database.dialect)

    def load(self, now: float) -> list[Entry]:
        query = sa.select(QUOTAS.c.counter, QUOTAS.c.used, QUOTAS.c.window_ends_at).where(
            sa.or_(QUOTAS.c.window_ends_at.is_(None), QUOTAS.c.window_ends_at > now), sa.not_(QUOTAS.c.counter.startswith(_HANDED_OVER))
        )
        with self._database.read() as connection:
            return [Entry(*row) for row in connection.execute(query)]

    def write(self, forgotten: Collection[str], charges: Sequence[Entry], now: float) -> list[Entry]:
        rows = [
            {"counter": charge.counter, "used": charge.used, "window_ends_at": charge.window_ends_at, "written_at": now}
            for charge in charges
        ]
        gone = sorted(forgotten)

        def work(connection: sa.Connection) -> list[Entry]:
            sums: list[Entry] = []
            for start in range(0, len(gone), AT_ONCE):
                connection.execute(sa.delete(QUOTAS).where(QUOTAS.c.counter.in_(gone[start : start + AT_ONCE])))
            for start in range(0, len(rows), AT_ONCE):
                sums += [Entry(*row) for row in connection.execute(self._charge, rows[start : start + AT_ONCE])]
            return sums

        return self._database.run(work)

    def sweep(self, now: float) -> None:
        self._database.run(lambda connection: connection.execute(sa.delete(QUOTAS).where(QUOTAS.c.window_ends_at <= now)))

    def hand_over(self, windows: Sequence[Entry], now: float) -> None:
        self.write((), [entry._replace(counter=_HANDED_OVER + entry.counter) for entry in windows], now)

    def take_over(self, now: float) -> list[Entry]:
        taking = (
            sa.delete(QUOTAS)
            .where(QUOTAS.c.counter.startswith(_HANDED_OVER))
            .returning(QUOTAS.c.counter, QUOTAS.c.used, QUOTAS.c.window_ends_at)
        )
        rows = self._database.run(lambda connection: [Entry(*row) for row in connection.execute(taking)])
        return [row._replace(counter=row.counter.removeprefix(_HANDED_OVER)) for row in rows if (row.window_ends_at or 0) > now]


def _charge(dialect: str) -> Any:
    """Return the statement that adds to a running window, and begins a new one when it has ended. Of two ends the earlier one holds."""
    charge = insert(dialect, QUOTAS)
    new = charge.excluded
    running = sa.or_(QUOTAS.c.window_ends_at.is_(None), QUOTAS.c.window_ends_at > new.written_at)
    stays = sa.and_(
        running,
        sa.or_(new.window_ends_at.is_(None), QUOTAS.c.window_ends_at <= new.window_ends_at),
    )
    return charge.on_conflict_do_update(
        index_elements=[QUOTAS.c.counter],
        set_={
            "used": sa.case((running, QUOTAS.c.used + new.used), else_=new.used),
            "window_ends_at": sa.case((stays, QUOTAS.c.window_ends_at), else_=new.window_ends_at),
            "written_at": new.written_at,
        },
    ).returning(QUOTAS.c.counter, QUOTAS.c.used, QUOTAS.c.window_ends_at)
