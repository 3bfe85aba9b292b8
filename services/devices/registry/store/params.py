"""Configuration parameters of devices in the database."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.devices.models import Param


def add(session: Session, param: Param) -> None:
    """Add a parameter."""
    session.add(param)
    session.flush()


def all_of(session: Session, device_no: int, sent: bool | None = None) -> list[Param]:
    """Read the parameters of a device, sorted by key. sent: only those that it has read, or has not."""
    statement = sa.select(Param).where(Param.device_no == device_no)
    if sent is not None:
        statement = statement.where(Param.sent == sent)
    return sorted(session.scalars(statement), key=lambda param: param.key)


def get(session: Session, device_no: int, param_id: str) -> Param | None:
    """Read a parameter of a device."""
    return session.scalar(sa.select(Param).where(Param.device_no == device_no, Param.id == param_id))


def mark(session: Session, device_no: int, param_id: str, version: int | None, sent: bool, now: dt.datetime) -> bool:
    """Note whether the device has read a parameter, unless it has another version. Returns whether it was noted."""
    statement = sa.update(Param).where(Param.device_no == device_no, Param.id == param_id).values(sent=sent, updated_at=now)
    if version is not None:
        statement = statement.where(Param.version == version)
    return session.execute(statement.returning(Param.id)).scalar() is not None


def remove(session: Session, device_no: int, param_id: str) -> bool:
    """Remove a parameter; returns whether it was there."""
    statement = sa.delete(Param).where(Param.device_no == device_no, Param.id == param_id).returning(Param.id)
    return session.execute(statement).scalar() is not None
