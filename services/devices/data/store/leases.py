"""Leases: which of several processes does what only one should do."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common import upsert
from services.devices.models import Lease


def take(session: Session, dialect: str, name: str, holder: str, now: dt.datetime, length: dt.timedelta) -> bool:
    """Take or renew a lease; say whether the holder has it now."""
    insert = upsert.insert(dialect, Lease).values(name=name, holder=holder, until=now + length)
    session.execute(
        insert.on_conflict_do_update(
            index_elements=["name"],
            set_={"holder": holder, "until": now + length},
            where=sa.or_(Lease.until <= now, Lease.holder == holder),
        )
    )
    return session.scalar(sa.select(Lease.holder).where(Lease.name == name)) == holder


def give_back(session: Session, name: str, holder: str) -> None:
    """End a lease before its time."""
    session.execute(sa.delete(Lease).where(Lease.name == name, Lease.holder == holder))
