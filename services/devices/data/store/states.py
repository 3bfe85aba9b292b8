"""How a device's records stand: which is the newest, how many there are, when the last ones came."""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.devices.data.rules import chunks
from services.devices.models import Chunk, DeviceState


class State(NamedTuple):
    """seq: of the newest record, 0 when there was none yet. amount: of records. last_input: arrival of the newest batch."""

    seq: int
    amount: int
    last_input: dt.datetime | None


_OF_CHUNKS: Final = sa.select(sa.func.sum(Chunk.records)).where(
    Chunk.device_no == sa.bindparam("device_no"), Chunk.starts >= sa.bindparam("oldest", type_=sa.BigInteger())
)
# one statement: of several, one may see what another does not see yet
_STATE: Final = sa.select(DeviceState.next_seq, DeviceState.last_input, DeviceState.records, _OF_CHUNKS.scalar_subquery()).where(
    DeviceState.device_no == sa.bindparam("device_no")
)


def read(session: Session, device_no: int, period: str | None, retention: int | None, now: dt.datetime) -> State | None:
    """Read the state of a device; None when there is no such device. period, retention: of an immutable one."""
    oldest = None if period is None or retention is None else chunks.kept(period, retention, now).starts
    found = session.execute(_STATE, {"device_no": device_no, "oldest": oldest or 0}).first()
    if found is None:
        return None
    next_seq, last_input, of_mutable, of_chunks = found
    return State(next_seq - 1, of_mutable if oldest is None else int(of_chunks or 0), last_input)
