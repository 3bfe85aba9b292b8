"""How many records a device has, without counting them."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.devices.data.rules import chunks
from services.devices.models import Chunk, DeviceState


def amount(session: Session, device_no: int, period: str | None, retention: int | None, now: dt.datetime) -> int:
    """Return the number of records that a device shows. period, retention: of an immutable one."""
    if period is None or retention is None:
        return session.scalar(sa.select(DeviceState.records).where(DeviceState.device_no == device_no)) or 0
    return sum(chunk.records for chunk in shown(session, device_no, period, retention, now))


def shown(session: Session, device_no: int, period: str, retention: int, now: dt.datetime) -> list[Chunk]:
    """Return the chunks of an immutable device that are not over, the oldest first."""
    oldest = chunks.kept(period, retention, now).starts
    return list(session.scalars(sa.select(Chunk).where(Chunk.device_no == device_no, Chunk.starts >= oldest).order_by(Chunk.starts)))
