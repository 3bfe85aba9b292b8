"""How a device's records stand: how many there are, which is the newest, when the last ones came."""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.devices.models import Chunk, Device, DeviceState


class State(NamedTuple):
    """seq: of the newest record, 0 when there was none yet. amount: of records. last_input: arrival of the newest batch."""

    seq: int
    amount: int
    last_input: dt.datetime | None


_STATE: Final = (
    sa.select(DeviceState.next_seq, DeviceState.records, DeviceState.last_input, Device.type)
    .join(Device, Device.no == DeviceState.device_no)
    .where(DeviceState.device_no == sa.bindparam("device_no"))
)
_KEPT: Final = sa.select(sa.func.sum(Chunk.records)).where(
    Chunk.device_no == sa.bindparam("device_no"), Chunk.starts >= sa.bindparam("oldest")
)


def read(session: Session, device_no: int, oldest: int) -> State | None:
    """Read the state of a device; None when there is no such device. oldest: start of the oldest chunk that an immutable one keeps."""
    found = session.execute(_STATE, {"device_no": device_no}).first()
    if found is None:
        return None
    next_seq, records, last_input, kind = found
    if kind == "immutable":
        records = int(session.scalar(_KEPT, {"device_no": device_no, "oldest": oldest}) or 0)
    return State(next_seq - 1, records, last_input)
