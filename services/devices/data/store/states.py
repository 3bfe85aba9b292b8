"""How a device's records stand: which is the newest, how many there are, when the last ones came."""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.devices.data.store import counting
from services.devices.models import DeviceState


class State(NamedTuple):
    """seq: of the newest record, 0 when there was none yet. amount: of records. last_input: arrival of the newest batch."""

    seq: int
    amount: int
    last_input: dt.datetime | None


_STATE: Final = sa.select(DeviceState.next_seq, DeviceState.last_input).where(DeviceState.device_no == sa.bindparam("device_no"))


def read(session: Session, device_no: int, period: str | None, retention: int | None, now: dt.datetime) -> State | None:
    """Read the state of a device; None when there is no such device. period, retention: of an immutable one."""
    found = session.execute(_STATE, {"device_no": device_no}).first()
    if found is None:
        return None
    next_seq, last_input = found
    return State(next_seq - 1, counting.amount(session, device_no, period, retention, now), last_input)
