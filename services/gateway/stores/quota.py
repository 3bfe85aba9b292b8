"""The ledger of durable counters: what quotas have used, so that a restart does not give them back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.common.database import Database
from services.gateway.counters.ledger import Entry
from services.gateway.stores.base import Base, insert

AT_ONCE: Final = 500


class QuotaRow(Base):
    """window_ends_at, written_at: epoch seconds. window_ends_at is null when the quota never renews."""

    __tablename__ = "quota_ledger"

    counter: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    used: Mapped[int] = mapped_column(sa.BigInteger)
    window_ends_at: Mapped[float | None] = mapped_column(sa.Double, index=True)
    written_at: Mapped[float] = mapped_column(sa.Double)


class QuotaLedger:
    """The `Ledger` in the gateway's database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._charge = _charge(database.dialect)

    def load(self, now: float) -> list[Entry]:
        query = sa.select(QuotaRow.counter, QuotaRow.used, QuotaRow.window_ends_at).where(
            sa.or_(QuotaRow.window_ends_at.is_(None), QuotaRow.window_ends_at > now)
        )
        with self._database.read() as session:
            return [Entry(*row) for row in session.execute(query)]

    def write(self, forgotten: Collection[str], charges: Sequence[Entry], now: float) -> list[Entry]:
        rows = [
            {"counter": charge.counter, "used": charge.used, "window_ends_at": charge.window_ends_at, "written_at": now}
            for charge in charges
        ]
        gone = sorted(forgotten)

        def work(session: Session) -> list[Entry]:
            sums: list[Entry] = []
            for start in range(0, len(gone), AT_ONCE):
                session.execute(sa.delete(QuotaRow).where(QuotaRow.counter.in_(gone[start : start + AT_ONCE])))
            for start in range(0, len(rows), AT_ONCE):
                sums += [Entry(*row) for row in session.execute(self._charge, rows[start : start + AT_ONCE])]
            return sums

        return self._database.run(work)

    def sweep(self, now: float) -> None:
        self._database.run(lambda session: session.execute(sa.delete(QuotaRow).where(QuotaRow.window_ends_at <= now)))


def _charge(dialect: str) -> Any:
    """Add to a window that runs; begin anew when it has ended. Of two ends the earlier one holds."""
    charge = insert(dialect, QuotaRow)
    new = charge.excluded
    running = sa.or_(QuotaRow.window_ends_at.is_(None), QuotaRow.window_ends_at > new.written_at)
    stays = sa.and_(
        running,
        sa.or_(new.window_ends_at.is_(None), QuotaRow.window_ends_at <= new.window_ends_at),
    )
    return charge.on_conflict_do_update(
        index_elements=[QuotaRow.counter],
        set_={
            "used": sa.case((running, QuotaRow.used + new.used), else_=new.used),
            "window_ends_at": sa.case((stays, QuotaRow.window_ends_at), else_=new.window_ends_at),
            "written_at": new.written_at,
        },
    ).returning(QuotaRow.counter, QuotaRow.used, QuotaRow.window_ends_at)
