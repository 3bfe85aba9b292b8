"""Group commit: a thread takes all batches that wait and writes them in one transaction; they share its round trips and its commit.

A batch is stored whole or not at all, and its request is answered after the commit. A batch that is refused, or that breaks a transaction,
keeps none of the others out. A device that another transaction has locked for longer goes to a lane of its own, where waiting for it delays
no other device.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.common import logging as logs
from services.common.clock import Clock
from services.common.core_database import is_transient, is_unavailable, refuses_writes
from services.common.database import Database
from services.common.refusal import Refusal
from services.common.wakeups import Wakeups
from services.devices import refusals
from services.devices.access import DeviceRef
from services.devices.data.ingest.batches import Batch, Told
from services.devices.data.ingest.group import Group, MissingPartitions, Note, Written
from services.devices.data.rules.records import Records
from services.devices.data.store import partitions
from services.devices.data.store.partitions import Partition

log = logs.get(__name__)

DEADLINE_S: Final = 8.0  # of a request; a store that is silent is given up by its guard long before
MOST_AT_ONCE: Final = 10_000  # records of one transaction
MOST_WAITING: Final = 100_000  # records; some 100 MB
MOST_OF_ACCOUNT: Final = 50_000  # of those: one account leaves room for the others
GATHER_S: Final = 0.01
MANY: Final = 8  # batches of a transaction: under such a load it is worth to wait longer for more
WRITERS: Final = {"sqlite": 1, "postgresql": 2}  # threads, each for devices of its own: while one waits for the server, another writes
LANES: Final = 4  # devices that are waited for at the same time
_ATTEMPTS_WITH_PARTITIONS: Final = 3
_MOST_PARTITIONS: Final = 10_000  # that a process remembers
_NO_PARTITION: Final = "23514"  # PostgreSQL: check_violation, as there is no other check on the records


class Ingest:
    """Writes what devices send. Thread-safe. Its threads begin with the first batch and end after `close`."""

    def __init__(
        self,
        database: Database,
        wakeups: Wakeups,
        clock: Clock,
        *,
        note: Note | None = None,
        noted: Callable[[], None] | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """note: called for each batch in its transaction, see `group.Note`. noted: called after a commit when it noted calls."""
        self._database = database
        self._wakeups = wakeups
        self._clock = clock
        self._noted = noted
        self._deadline_s = deadline_s
        self._group = Group(database.dialect, note)
        self._lock = threading.Lock()
        self._queues = [_Queue(self._lock) for _ in range(WRITERS[database.dialect])]
        self._records = 0  # of those that wait, here and in the lanes
        self._of_account: Counter[str] = Counter()  # the same, by account
        self._writers: list[threading.Thread] = []
        self._lanes: dict[int, deque[Batch]] = {}  # by device; there as long as a lane serves it or it waits for one
        self._unserved: deque[int] = deque()
        self._lane_threads = 0
        self._closed = False

    def check_room(self, account: str) -> None:
        """Raise Refusal 503 when no records of the account are taken now: before anybody spends time on reading them."""
        if self._of_account.get(account, 0) >= MOST_OF_ACCOUNT or self._records >= MOST_WAITING:
            raise refusals.too_busy()

    def add(self, device: DeviceRef, records: Records, *, idempotency: tuple[str, str] | None = None) -> int:
        """Store the records of one request; return how many once they are committed.

        idempotency: the client's key and the digest of its body; a repetition returns what the first one did.
        Raises Refusal 400, 404, 409; 503 or the store's error when the outcome is not known, or nothing was stored.
        """
        batch = Batch(device, records, idempotency, self._database.dialect)
        self._put(batch)
        if not batch.wait(self._deadline_s):
            self.give_up(batch)
        return batch.result()

    def begin(self, device: DeviceRef, records: Records, told: Told) -> Batch:
        """Begin to store the records of one request, and return without waiting.

        told: called in another thread when the batch has a result: it returns or raises what `add` does. Who asks for it keeps the
        deadline, too: after `DEADLINE_S` it calls `give_up`. Raises Refusal 503.
        """
        batch = Batch(device, records, None, self._database.dialect, told)
        self._put(batch)
        return batch

    def give_up(self, batch: Batch) -> None:
        """Refuse a batch that was not written in time. One that no transaction has begun with is never written."""
        with self._lock:
            for waiting in (self._queue(batch).waiting, self._lanes.get(batch.device.no, deque())):
                if batch in waiting:
                    waiting.remove(batch)
                    self._count(batch, -len(batch))
        log.error("records not written in time", device=batch.device.id, records=len(batch))
        _finish({batch: refusals.too_busy()})

    def close(self) -> None:
        """Take no more, write what waits, and end the threads."""
        with self._lock:
            self._closed = True
            for queue in self._queues:
                queue.changed.notify()
            writers = list(self._writers)
        for writer in writers:
            writer.join(self._deadline_s)

    def _put(self, batch: Batch) -> None:
        with self._lock:
            others = self._of_account.get(batch.device.account)  # one batch alone is taken whatever its size
            if self._closed or self._records + len(batch) > MOST_WAITING or (others and others + len(batch) > MOST_OF_ACCOUNT):
                raise refusals.too_busy()
            self._count(batch, len(batch))
            lane = self._lanes.get(batch.device.no)
            if lane is not None:
                lane.append(batch)
                return
            if not self._writers:
                self._writers = [threading.Thread(target=self._write_for_ever, args=(queue,), daemon=True) for queue in self._queues]
                for writer in self._writers:
                    writer.start()
            queue = self._queue(batch)
            queue.waiting.append(batch)
            queue.changed.notify()

    def _count(self, batch: Batch, records: int) -> None:
        """Note that more records wait, or fewer. With the lock held."""
        self._records += records
        self._of_account[batch.device.account] += records
        if not self._of_account[batch.device.account]:
            del self._of_account[batch.device.account]

    def _queue(self, batch: Batch) -> _Queue:
        """The queue of the batch's device: batches of one device never wait for each other's transaction."""
        return self._queues[batch.device.no % len(self._queues)]

    def _take(self, queue: _Queue) -> list[Batch]:
        """Wait for batches; none when this is closed and everything is written."""
        with self._lock:
            while not queue.waiting:
                if self._closed:
                    return []
                queue.changed.wait()
            return _some(queue.waiting)

    def _write_for_ever(self, queue: _Queue) -> None:
        while batches := self._take(queue):
            begun = time.monotonic()
            self._finish(batches, self._try(batches, wait=False))
            if len(batches) > 1:  # more are on their way: let them come, as each transaction costs as much as several batches
                share = 1.0 if len(batches) >= MANY else 0.5
                time.sleep(min(GATHER_S, (time.monotonic() - begun) * share))

    def _try(self, batches: Sequence[Batch], *, wait: bool) -> Sequence[int | Exception | None]:
        """Write batches together; one by one when the transaction failed for a reason that may be one batch's."""
        try:
            return self._write(batches, wait=wait)
        except _CommitFailed as error:
            log.error("outcome of a commit unknown", batches=len(batches), error=f"{type(error.__cause__).__name__}")
            return [refusals.too_busy()] * len(batches)
        except Exception as error:  # one batch may hold what the store refuses in a way that nobody has thought of
            if len(batches) == 1 or is_unavailable(error) or is_transient(error) or refuses_writes(error):
                return [error] * len(batches)
            log.warning("batches written one by one", batches=len(batches), error=type(error).__name__)
        return [self._try([batch], wait=wait)[0] for batch in batches]

    def _write(self, batches: Sequence[Batch], *, wait: bool) -> list[int | Refusal | None]:
        """Write batches in one transaction; return the outcomes, see `Written`. Raises the store's error, _CommitFailed."""
        for _ in range(_ATTEMPTS_WITH_PARTITIONS):
            transaction = _Transaction(self._group, batches, self._clock, wait=wait)
            try:
                written = self._database.run(transaction)
            except MissingPartitions as missing:
                self._make(missing.wanted)
            except IntegrityError as error:
                if getattr(error.orig, "sqlstate", None) != _NO_PARTITION:
                    raise
                self._group.partitions.clear()  # another process has dropped one
            except Exception as error:
                if transaction.committing and not (is_unavailable(error) or is_transient(error)):
                    raise _CommitFailed from error
                raise
            else:
                try:
                    self._committed(batches, written)
                except Exception:  # what is committed must not be written again
                    log.exception("nobody told of new records")
                return written.outcomes
        raise RuntimeError("partitions are missing although they were made")

    def _make(self, wanted: Collection[Partition]) -> None:
        self._database.run(lambda session: partitions.make(session, wanted))
        if len(self._group.partitions) > _MOST_PARTITIONS:
            self._group.partitions.clear()
        self._group.partitions.update(wanted)

    def _committed(self, batches: Sequence[Batch], written: Written) -> None:
        for device_no, names in written.names.items():
            self._group.names.learn(device_no, names)
        changed = {batch.device.no for batch, outcome in zip(batches, written.outcomes, strict=True) if isinstance(outcome, int)}
        self._wakeups.publish([topic(device_no) for device_no in changed])
        if written.noted and self._noted is not None:
            self._noted()

    def _finish(self, batches: Sequence[Batch], outcomes: Sequence[int | Exception | None]) -> None:
        with self._lock:
            for batch, outcome in zip(batches, outcomes, strict=True):
                if outcome is None and not batch.done:
                    self._divert(batch)
                else:
                    self._count(batch, -len(batch))
        _finish({batch: outcome for batch, outcome in zip(batches, outcomes, strict=True) if outcome is not None})

    def _divert(self, batch: Batch) -> None:
        """Let a lane wait for the batch's device. With the lock held."""
        lane = self._lanes.get(batch.device.no)
        if lane is None:
            lane = self._lanes[batch.device.no] = deque()
            self._unserved.append(batch.device.no)
            if self._lane_threads < LANES:
                self._lane_threads += 1
                threading.Thread(target=self._serve_lanes, name="ingest-lane", daemon=True).start()
        lane.append(batch)

    def _serve_lanes(self) -> None:
        while batches := self._take_of_lane():
            self._finish(batches, self._try(batches, wait=True))
            with self._lock:
                self._unserved.append(batches[0].device.no)

    def _take_of_lane(self) -> list[Batch]:
        """Take the batches of a device that has a lane; none when no such device is left, and this thread with it."""
        with self._lock:
            while self._unserved:
                device_no = self._unserved.popleft()
                if batches := _some(self._lanes[device_no]):
                    return batches
                del self._lanes[device_no]
            self._lane_threads -= 1
            return []


def topic(device_no: int) -> str:
    """Name the wake-ups about new records of a device."""
    return f"data:{device_no}"


def _finish(outcomes: Mapping[Batch, int | Exception]) -> None:
    """Give answers, and tell who wants to know: all at once, because each change to another thread costs as much as an answer."""
    told: dict[Told, list[Batch]] = {}
    for batch, outcome in outcomes.items():
        if batch.finish(outcome) and batch.told is not None:
            told.setdefault(batch.told, []).append(batch)
    for tell, finished in told.items():
        tell(finished)


def _some(waiting: deque[Batch]) -> list[Batch]:
    """Take the batches of one transaction out of a queue: at least one, if there is any. The first of each account, then what came first.

    So nobody waits longer than a transaction for the queue of another account. Those of a device stay in order.
    """
    first: dict[str, Batch] = {}
    for batch in waiting:
        first.setdefault(batch.device.account, batch)
    taken: list[Batch] = []
    records = 0
    for batch in first.values():
        if not taken or records + len(batch) <= MOST_AT_ONCE:
            taken.append(batch)
            records += len(batch)
    for batch in taken:
        waiting.remove(batch)
    while waiting and records + len(waiting[0]) <= MOST_AT_ONCE:
        taken.append(waiting.popleft())
        records += len(taken[-1])
    return taken


class _Queue:
    """The batches that one writing thread takes next, oldest first. lock: held by whoever changes it."""

    def __init__(self, lock: threading.Lock) -> None:
        self.waiting: deque[Batch] = deque()
        self.changed = threading.Condition(lock)


class _CommitFailed(Exception):
    """The commit failed in a way that does not say whether it happened."""


class _Transaction:
    """The work of one transaction. committing: it was done, and what fails now is the commit."""

    def __init__(self, group: Group, batches: Sequence[Batch], clock: Clock, *, wait: bool) -> None:
        self._group = group
        self._batches = batches
        self._clock = clock
        self._wait = wait
        self.committing = False

    def __call__(self, session: Session) -> Written:
        self.committing = False
        written = self._group.write(session, self._batches, self._clock, wait=self._wait)
        session.flush()
        self.committing = True
        return written
