"""A device and what writes to it, without HTTP between."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.devices.access import DeviceRef, read_device
from services.devices.data.rules.records import read
from services.devices.models import Chunk, Device, DeviceState, immutable_records, mutable_records
from tests.unit.devices.conftest import API


class Writer:
    """Writes to one device through one application, and looks at what is there."""

    def __init__(self, api: API, device_id: str) -> None:
        self.api = api
        self.database = api.parts.database
        self.device_id = device_id

    @property
    def device(self) -> DeviceRef:
        """The device, as it is now."""
        with self.database.read() as session:
            return read_device(session.scalars(sa.select(Device).where(Device.id == self.device_id)).one())

    @property
    def now(self) -> dt.datetime:
        return self.api.clock.now()

    def add(self, body: Any, key: tuple[str, str] | None = None, group: str = "g") -> int:
        """Store what a device would send. key: an Idempotency-Key, and the digest of its body."""
        return self.api.parts.ingest.add(self.device, read(body, self.now, group), idempotency=key)

    def rows(self) -> Sequence[Any]:
        """Every record of the device in the store, in order."""
        table = mutable_records if self.device.type == "mutable" else immutable_records
        with self.database.read() as session:
            return session.execute(sa.select(table).where(table.c.data_no == self.device.data_no).order_by(table.c.seq)).all()

    def state(self) -> DeviceState:
        with self.database.read() as session:
            return session.get_one(DeviceState, self.device.no)

    def chunks(self) -> dict[int, int]:
        """How many records each chunk counts, by its start."""
        with self.database.read() as session:
            found = session.scalars(sa.select(Chunk).where(Chunk.device_no == self.device.no))
            return {chunk.starts: chunk.records for chunk in found}

    def days_ago(self, days: float) -> int:
        return int((self.now - dt.timedelta(days=days)).timestamp() * 1000)


def mutable(api: API, **fields: Any) -> Writer:
    return Writer(api, api.device(**fields).id)


def immutable(api: API, **fields: Any) -> Writer:
    """Chunks of a day, three of them kept, unless `fields` say otherwise."""
    return Writer(api, api.immutable(**fields).id)
