"""What one transaction does for several batches: lock their devices, decide on each, write all that are accepted."""

from __future__ import annotations

import datetime as dt
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.refusal import Refusal
from services.devices import refusals
from services.devices.access import DeviceRef
from services.devices.data.ingest.batches import Batch
from services.devices.data.rules import chunks
from services.devices.data.rules.fields import milliseconds
from services.devices.data.rules.records import Record
from services.devices.data.store import rows, writing
from services.devices.data.store.partitions import Partition
from services.devices.data.store.rows import Rows
from services.devices.data.store.writing import Key, Locked, Span, State

MOST_OF_MUTABLE: Final = 50_000  # records (TagoIO)
MOST_VARIABLES: Final = 10_000  # names that a device ever used; every process remembers them, and some queries look at each
KEYS_KEPT: Final = dt.timedelta(hours=24)
_MOST_NAMES: Final = 100_000  # of variables that a process remembers: some 20 MB

# (the transaction, device, its records, seq of the first, now) → how many calls were noted, in the same transaction
Note: TypeAlias = Callable[[Session, DeviceRef, Sequence[Record], int, dt.datetime], int]


class MissingPartitions(Exception):
    """Nothing was written: these must be made first."""

    def __init__(self, wanted: Collection[Partition]) -> None:
        super().__init__(f"{len(wanted)} partitions are not there yet")
        self.wanted = wanted


class Names:
    """Numbers of variables by name, which never change. Thread-safe. Knows only what is committed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, dict[str, int]] = {}
        self._count = 0

    def of(self, device_no: int) -> dict[str, int]:
        return self._known.get(device_no, {})

    def learn(self, device_no: int, names: dict[str, int]) -> None:
        with self._lock:
            if self._count > _MOST_NAMES:
                self._known, self._count = {}, 0
            self._known[device_no] = {**self.of(device_no), **names}
            self._count += len(names)


@dataclass
class Written:
    """What a transaction did. outcomes: for each batch, records added or what kept them out; None: another transaction has its device."""

    outcomes: list[int | Refusal | None]
    names: dict[int, dict[str, int]] = field(default_factory=dict)
    noted: int = 0


@dataclass
class _Device:
    """A locked device in the course of the transaction."""

    locked: Locked
    next_seq: int
    added: int = 0
    kept: chunks.Span | None = None  # of an immutable one
    names: set[str] = field(default_factory=set)  # that this transaction uses and nobody remembered
    new_names: int = 0  # of those that have no number yet


@dataclass(frozen=True)
class _Accepted:
    batch: Batch
    device: _Device
    first_seq: int


class Group:
    """Writes batches in a transaction that is given. Remembers what it may between them."""

    def __init__(self, dialect: str, note: Note | None) -> None:
        self._dialect = dialect
        self._note = note
        self.names = Names()
        self.partitions: set[Partition] = set()  # that are there

    def write(self, session: Session, batches: Sequence[Batch], clock: Clock, *, wait: bool) -> Written:
        """Write each batch whole or not at all. wait: for devices that another transaction has locked.

        Has no effect besides the database. Raises MissingPartitions before anything is written, and the store's errors.
        """
        locked = writing.lock(session, {batch.device.no for batch in batches}, skip_locked=not wait)
        now = clock.now()  # as late as that: one that waited for a lock must not set `last_input` back
        devices = {no: _device(one, now) for no, one in locked.items()}
        there = set(devices) if wait or len(devices) == len({batch.device.no for batch in batches}) else self._there(session, batches)
        accepted: list[_Accepted] = []
        used = self._used_keys(session, batches, now)
        new_keys: list[Key] = []
        outcomes: list[int | Refusal | None] = []
        for batch in batches:
            no = batch.device.no
            device = devices.get(no)
            if device is None:
                outcomes.append(None if no in there else refusals.invalid_device_id())
                continue
            key = used.get((no, batch.key)) if batch.key is not None else None
            outcome = _decide(batch, device, key)
            if isinstance(outcome, int) and key is None and not self._may_name(session, batch, device):
                outcome = refusals.too_many_variables(MOST_VARIABLES)
            outcomes.append(outcome)
            if isinstance(outcome, int) and key is None:
                accepted.append(_Accepted(batch, device, device.next_seq))
                device.next_seq += len(batch)
                device.added += len(batch)
                if batch.key is not None:
                    used[no, batch.key] = Key(no, batch.key, batch.digest, len(batch))
                    new_keys.append(used[no, batch.key])
        written = Written(outcomes)
        if accepted:
            self._store(session, accepted, new_keys, now, written)
        return written

    def _there(self, session: Session, batches: Iterable[Batch]) -> set[int]:
        return writing.existing(session, {batch.device.no for batch in batches})

    def _used_keys(self, session: Session, batches: Iterable[Batch], now: dt.datetime) -> dict[tuple[int, str], Key]:
        named = {(batch.device.no, batch.key) for batch in batches if batch.key is not None}
        return writing.keys(session, named, now - KEYS_KEPT) if named else {}

    def _may_name(self, session: Session, batch: Batch, device: _Device) -> bool:
        """Say whether the device may have the variables of the batch besides those that it has."""
        no = device.locked.no
        unknown = batch.names - self.names.of(no).keys() - device.names
        if not unknown:
            return True
        there, count = writing.numbered(session, no, unknown)
        new_names = device.new_names + len(unknown) - there
        if count + new_names > MOST_VARIABLES:
            return False
        device.names |= unknown
        device.new_names = new_names
        return True

    def _store(self, session: Session, accepted: Sequence[_Accepted], new_keys: Sequence[Key], now: dt.datetime, written: Written) -> None:
        counts = _chunk_counts(accepted)
        if self._dialect == "postgresql":
            self._check_partitions(accepted, counts)
        numbers = self._numbers(session, accepted, written)
        tables = {name: Rows(self._dialect, name) for name in rows.TABLES}
        created_at = milliseconds(now)
        for one in accepted:
            locked = one.device.locked
            numbered = list(map(numbers[locked.no].__getitem__, one.batch.records.columns.variables))
            if one.device.kept is None:
                tables["mutable_records"].add(numbered, one.first_seq, one.batch.prepared, created_at, locked.data_no)
            else:
                owner = (locked.data_no, _class(locked))
                tables["immutable_records"].add(numbered, one.first_seq, one.batch.prepared, created_at, *owner)
        for table in tables.values():
            table.write(session)
        changed = {one.device.locked.no: one.device for one in accepted}
        states = [State(no, device.next_seq, device.added if device.kept is None else 0) for no, device in sorted(changed.items())]
        writing.advance(session, states, counts, now)
        if new_keys:
            writing.remember(session, self._dialect, new_keys, now)
        if self._note is not None:
            for one in accepted:
                written.noted += self._note(session, one.batch.device, one.batch.records, one.first_seq, now)

    def _check_partitions(self, accepted: Iterable[_Accepted], counts: Iterable[Span]) -> None:
        classes = {one.device.locked.no: _class(one.device.locked) for one in accepted if one.device.kept is not None}
        missing = {Partition(classes[no], starts, ends) for no, starts, ends in counts} - self.partitions
        if missing:
            raise MissingPartitions(missing)

    def _numbers(self, session: Session, accepted: Iterable[_Accepted], written: Written) -> dict[int, dict[str, int]]:
        """The numbers of the variables of each device; what is learned is in `written`, to be remembered after the commit."""
        unknown: dict[int, set[str]] = defaultdict(set)
        numbers: dict[int, dict[str, int]] = {}
        for one in accepted:
            no = one.device.locked.no
            known = numbers.setdefault(no, self.names.of(no))
            if not known.keys() >= one.batch.names:
                unknown[no] |= one.batch.names - known.keys()
        for no, names in unknown.items():
            written.names[no] = writing.number(session, no, names)
            numbers[no] = {**numbers[no], **written.names[no]}
        return numbers


def _device(locked: Locked, now: dt.datetime) -> _Device:
    device = _Device(locked, locked.next_seq)
    if locked.type == "immutable" and locked.chunk_period is not None and locked.chunk_retention is not None:
        device.kept = chunks.kept(locked.chunk_period, locked.chunk_retention, now)
    return device


def _decide(batch: Batch, device: _Device, key: Key | None) -> int | Refusal:
    """Say how many records the batch adds, or has added before, or why it is refused."""
    if not device.locked.active:
        return refusals.deactivated()
    if key is not None:
        return key.added if key.digest == batch.digest else refusals.key_reused()
    if device.kept is None:
        if device.locked.records + device.added + len(batch) > MOST_OF_MUTABLE:
            return refusals.too_many_records(MOST_OF_MUTABLE)
    elif not (device.kept.starts <= batch.first and batch.last < device.kept.ends):
        return refusals.time_not_kept(*chunks.days(device.kept))
    return len(batch)


def _class(locked: Locked) -> int:
    assert locked.chunk_period is not None
    assert locked.chunk_retention is not None
    return chunks.retention_class(locked.chunk_period, locked.chunk_retention)


def _chunk_counts(accepted: Iterable[_Accepted]) -> dict[Span, int]:
    """How many records go to each chunk."""
    counts: dict[Span, int] = defaultdict(int)
    for one in accepted:
        no, period = one.device.locked.no, one.device.locked.chunk_period
        if one.device.kept is None or period is None:
            continue
        first = chunks.span(period, one.batch.first)
        if one.batch.last < first.ends:
            counts[Span(no, *first)] += len(one.batch)
        else:
            for time in one.batch.records.columns.times:
                counts[Span(no, *chunks.span(period, time))] += 1
    return counts
