"""Change and delete records of a mutable device, which the caller has locked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.devices.models import mutable_records

_PORTION: Final = 1000  # records of one statement

_c = mutable_records.c


def change(session: Session, data_no: int, changes: Sequence[tuple[int, Mapping[str, Any]]]) -> int:
    """Give records other values. changes: seq and values by column. Returns for how many there is a record."""
    named = [seq for seq, _ in changes]
    there = set(session.scalars(sa.select(_c.seq).where(_c.data_no == data_no, _c.seq.in_(named))))
    found = [(seq, values) for seq, values in changes if seq in there]
    for seq, values in found:
        if values:
            session.execute(sa.update(mutable_records).where(_c.data_no == data_no, _c.seq == seq).values(dict(values)))
    return len(found)


def remove(session: Session, data_no: int, seqs: Sequence[int]) -> None:
    """Delete records by their seq."""
    for begin in range(0, len(seqs), _PORTION):
        session.execute(sa.delete(mutable_records).where(_c.data_no == data_no, _c.seq.in_(seqs[begin : begin + _PORTION])))
