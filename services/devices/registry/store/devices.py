"""Devices in the database."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.devices.models import Device, DeviceState, DeviceTag


class Whole(NamedTuple):
    """All about a device."""

    device: Device
    last_input: dt.datetime | None


def add(session: Session, device: Device) -> None:
    """Add a device with its tags and with the state before its first batch; it gets its number."""
    session.add(device)
    session.flush()
    session.add(DeviceState(device_no=device.no, next_seq=1, records=0, last_input=None))
    _add_tags(session, device)
    session.flush()


def get(session: Session, device_id: str) -> Device | None:
    """Read a device."""
    return session.scalar(sa.select(Device).where(Device.id == device_id))


def whole(session: Session, device_no: int) -> Whole | None:
    """Read all about a device."""
    joined = sa.select(Device, DeviceState.last_input).join(DeviceState, DeviceState.device_no == Device.no)
    row = session.execute(joined.where(Device.no == device_no)).one_or_none()
    return None if row is None else Whole(*row)


def _add_tags(session: Session, device: Device) -> None:
    pairs = {(tag["key"], tag["value"]) for tag in device.tags}
    if pairs:
        session.execute(sa.insert(DeviceTag), [{"device_no": device.no, "key": key, "value": value} for key, value in sorted(pairs)])
