"""Find, change and delete the records of a device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.database import Database
from services.common.wakeups import Wakeups
from services.devices import refusals
from services.devices.access import DeviceRef
from services.devices.data.ingest.ingest import topic
from services.devices.data.rules import aggregates, changes, queries, shown, times
from services.devices.data.rules.queries import Query, Wrong
from services.devices.data.service import choosing
from services.devices.data.service.choosing import Chosen
from services.devices.data.store import counting, editing, reading, writing
from services.devices.data.store.names import Names
from services.devices.data.store.reading import OutOfRange, TooSlow
from services.devices.data.store.statements import Source

# characters of an answer, or the records that were read together more; it stays in memory while a slow client takes it
LARGEST: Final = 4 * 1000 * 1000
_MANY: Final = 200  # variables
LIMITED: Final = f"Result was limited to {queries.MOST} records"
LIMITED_IN_SIZE: Final = f"Result was limited to {LARGEST // 1_000_000} MB"


class Answer(NamedTuple):
    """What was found. result: JSON. message: makes it a warning. cursor: where the list goes on, if it does."""

    result: str
    message: str | None = None
    cursor: str | None = None


class Data:
    """The records of all devices. Thread-safe."""

    def __init__(self, database: Database, wakeups: Wakeups, clock: Clock) -> None:
        self._database = database
        self._wakeups = wakeups
        self._clock = clock
        self._names = Names()

    def find(self, device: DeviceRef, parameters: Iterable[tuple[str, str]]) -> Answer:
        """Answer a query string. Raises Refusal 400, and the store's errors."""
        query = self._read(device, parameters)
        try:
            with self._database.read() as session, reading.bounded(session):
                return self._find(session, device, query)
        except TooSlow:
            raise refusals.too_slow() from None
        except OutOfRange:
            raise refusals.out_of_range() from None

    def edit(self, device: DeviceRef, body: Any) -> int:
        """Change records of a mutable device; those that are not there are left out. Returns how many are. Raises Refusal 400, 404."""
        if device.type == "immutable":
            raise refusals.cannot_edit()
        changed = [one for one in changes.read(body, device.no) if one.seq is not None]
        if not device.active:
            raise refusals.deactivated()

        def work(session: Session) -> int:
            locked = _lock(session, device)
            if locked.type == "immutable":
                raise refusals.cannot_edit()
            return editing.change(session, locked.data_no, [(one.seq or 0, one.values) for one in changed])

        count = self._database.run(work)
        self._wakeups.publish([topic(device.no)])
        return count

    def remove(self, device: DeviceRef, parameters: Iterable[tuple[str, str]]) -> int:
        """Delete the records that `find` gives for the same query. Returns how many. Raises Refusal 400, 404."""
        if device.type == "immutable":
            raise refusals.cannot_delete()
        query = self._read(device, parameters)
        if query.kind in (*queries.NUMBERS, queries.AGGREGATE):
            raise refusals.deletes_numbers()
        if not query.chooses:
            raise refusals.deletes_all()

        def work(session: Session) -> int:
            locked = _lock(session, device)
            if locked.type == "immutable":
                raise refusals.cannot_delete()
            with reading.bounded(session):
                source = choosing.source(device, query, locked.data_no, self._clock)
                seqs = [row.seq for row in self._choose(session, device, query, source).all()]
            editing.remove(session, locked.data_no, seqs)
            writing.count_removed(session, device.no, len(seqs))
            return len(seqs)

        try:
            count = self._database.run(work)
        except TooSlow:
            raise refusals.too_slow() from None
        self._wakeups.publish([topic(device.no)])
        return count

    def _read(self, device: DeviceRef, parameters: Iterable[tuple[str, str]]) -> Query:
        if not device.active:
            raise refusals.deactivated()
        try:
            query = queries.read_query(parameters, times.of(self._clock.now()))
            query.places()
        except Wrong as wrong:
            raise refusals.query_invalid(wrong.fields, wrong.message) from None
        if query.ids is not None and device.type == "immutable":
            raise refusals.ids_of_immutable()
        return query

    def _find(self, session: Session, device: DeviceRef, query: Query) -> Answer:
        source = choosing.source(device, query, device.data_no, self._clock)
        if query.kind in queries.NUMBERS:
            return Answer(self._number(session, device, query, source))
        if query.kind == queries.AGGREGATE:
            return self._aggregate(session, device, query, source)
        chosen = self._choose(session, device, query, source)
        write = shown.writer(device.id, device.no, _Names(self._names, session, device.no), details=query.details)
        written: list[str] = []
        size = 0
        for rows in chosen.rows:
            some = [write(row) for row in rows]
            written += some
            size += sum(map(len, some))
            if size > LARGEST:
                chosen.stop()
        limited = LIMITED_IN_SIZE if size > LARGEST and chosen.cursor else LIMITED if chosen.limited else None
        return Answer(shown.listed(written), limited, chosen.cursor)

    def _number(self, session: Session, device: DeviceRef, query: Query, source: Source) -> str:
        if query.counts_all and source.immutable:
            return str(counting.amount(session, device.no, device.chunk_period, device.chunk_retention, self._clock.now()))
        numbers = self._numbers(session, device, query)
        if numbers == [] or source.low > source.high:
            return "0"
        counted = query.kind == "count"
        found = reading.total(session, source, numbers, choosing.conditions(device, query), counting=counted)
        if counted:
            return str(found.records)
        if not found.numbers:
            return "0"
        return shown.number(_finite(found.sum if query.kind == "sum" else found.sum / found.numbers))

    def _aggregate(self, session: Session, device: DeviceRef, query: Query, source: Source) -> Answer:
        numbers = self._numbers(session, device, query)
        if numbers is None and len(known := self._names.all(session, device.no).names) <= _MANY:
            numbers = list(known)  # so that each unit can be looked up in the index, which begins with the variable
        if numbers == [] or source.low > source.high:
            return Answer("[]")
        found = reading.summaries(
            session,
            source,
            numbers,
            choosing.conditions(device, query),
            aggregates.length(query.interval),
            aggregates.units_of(query.interval, queries.MOST + 1),
            function=aggregates.of_store(query.interval, query.function),
            ascending=query.ascending,
        )
        points = aggregates.points(found, query.interval, query.function)
        limited = LIMITED if len(points) > queries.MOST else None
        return Answer(shown.listed(shown.point(begins, _finite(value)) for begins, value in points[: queries.MOST]), limited)

    def _numbers(self, session: Session, device: DeviceRef, query: Query) -> list[int] | None:
        """The numbers of the variables that a query names; None when it names none."""
        if query.variables is None:
            return None
        known = self._names.some(session, device.no, query.variables).numbers
        return [known[name] for name in query.variables if name in known]

    def _choose(self, session: Session, device: DeviceRef, query: Query, source: Source) -> Chosen:
        numbers = self._numbers(session, device, query)
        if numbers is None:
            numbers = list(self._names.all(session, device.no).names)
        return choosing.choose(session, query, source, choosing.conditions(device, query), numbers, self._clock)


class _Names(Mapping[int, str]):
    """The names of a device's variables; asks for those that came while records were read."""

    def __init__(self, names: Names, session: Session, device_no: int) -> None:
        self._names = names
        self._session = session
        self._device_no = device_no
        self._found = names.known(device_no)

    def __getitem__(self, number: int) -> str:
        if number not in self._found.names:
            self._found = self._names.all(self._session, self._device_no)
        return self._found.names[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._found.names)

    def __len__(self) -> int:
        return len(self._found.names)


def _lock(session: Session, device: DeviceRef) -> writing.Locked:
    """Lock the device, so that no batch comes between. Raises Refusal 404 when it is gone, 400 when it is inactive."""
    locked = writing.lock(session, [device.no]).get(device.no)
    if locked is None:
        raise refusals.invalid_device_id()
    if not locked.active:
        raise refusals.deactivated()
    return locked


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise OutOfRange
    return value
