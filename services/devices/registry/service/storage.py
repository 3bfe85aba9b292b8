"""Where a device keeps its data: how much there is, how it is divided, and what takes it away as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.database import Database
from services.common.store_guard import LONG_WORK_S
from services.common.wakeups import Wakeups
from services.devices import refusals
from services.devices.access import Caller
from services.devices.data.ingest.ingest import topic
from services.devices.data.store import counting, removal
from services.devices.known import Changes
from services.devices.models import Chunk, Device
from services.devices.registry.service.finding import Finder
from services.devices.registry.store import devices as store

_CHUNK: Final = re.compile(r"(-?\d{1,12})_(-?\d{1,12})", re.ASCII).fullmatch


class Storage:
    """The storage of all devices. Thread-safe."""

    def __init__(self, database: Database, finder: Finder, changes: Changes, wakeups: Wakeups, clock: Clock) -> None:
        self._database = database
        self._finder = finder
        self._changes = changes
        self._wakeups = wakeups
        self._clock = clock

    def amount(self, caller: Caller, device_id: str) -> int:
        """Count the records of a device, those aside that are over. Raises as `Finder.device`."""
        device = self._finder.device(caller, device_id)
        with self._database.read() as session:
            return counting.amount(session, device.no, device.chunk_period, device.chunk_retention, self._clock.now())

    def empty(self, caller: Caller, device_id: str) -> None:
        """Take all records from a device. Raises as `Finder.device`."""
        now = self._clock.now()
        self._change(self._finder.device(caller, device_id).no, lambda session, device: removal.empty(session, device.no, now))

    def convert(self, caller: Caller, device_id: str, given: Mapping[str, Any]) -> None:
        """Give a device another type, or other chunks. given: as the schema `Conversion` reads it.

        Raises Refusal 400 unless the device is empty and inactive, and as `Finder.device`.
        """
        now = self._clock.now()

        def work(session: Session, device: Device) -> None:
            if device.active:
                raise refusals.still_active()
            if counting.amount(session, device.no, device.chunk_period, device.chunk_retention, now):
                raise refusals.not_empty()
            removal.empty(session, device.no, now)  # there may be records that are over
            immutable = given["type"] == "immutable"
            device.type = given["type"]
            device.chunk_period = given["chunk_period"] if immutable else None
            device.chunk_retention = given["chunk_retention"] if immutable else None
            device.updated_at = now

        self._change(self._finder.device(caller, device_id).no, work)

    def chunks(self, caller: Caller, device_id: str) -> list[Chunk]:
        """Read the chunks of a device that hold records, the newest first; none of a mutable one. Raises as `Finder.device`."""
        device = self._finder.device(caller, device_id)
        if device.chunk_period is None or device.chunk_retention is None:
            return []
        with self._database.read() as session:
            return counting.shown(session, device.no, device.chunk_period, device.chunk_retention, self._clock.now())[::-1]

    def remove_chunk(self, caller: Caller, device_id: str, chunk_id: str) -> None:
        """Remove a chunk with its records. chunk_id: as `name` writes it. Raises Refusal 404, and as `Finder.device`."""
        number = self._finder.device(caller, device_id).no
        found = _CHUNK(chunk_id)
        if found is None or chunk_id not in {name(chunk) for chunk in self.chunks(caller, device_id)}:
            raise refusals.invalid_chunk_id()
        starts = int(found[1]) * 1000

        def work(session: Session, device: Device) -> None:
            if not removal.delete_chunk(session, device.no, starts):
                raise refusals.invalid_chunk_id()

        self._change(number, work)

    def _change(self, number: int, work: Callable[[Session, Device], None]) -> None:
        """Run `work` while nobody sends data to the device, and let everybody look again. Raises Refusal 404, and what `work` raises."""

        def run(session: Session) -> None:
            device = store.lock(session, number)
            if device is None:
                raise refusals.invalid_device_id()
            work(session, device)

        self._database.run(run, patience_s=LONG_WORK_S)
        self._changes.announce()
        self._wakeups.publish([topic(number)])


def name(chunk: Chunk) -> str:
    """Name a chunk by its first and its last second since 1970, as TagoIO does: `1657497600_1658102399`."""
    return f"{chunk.starts // 1000}_{chunk.ends // 1000 - 1}"
