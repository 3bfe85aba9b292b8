"""One request's records on their way to the store, and what becomes of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from services.devices.access import DeviceRef
from services.devices.data.rules.records import Records
from services.devices.data.store import rows

# called once for each batch, in any thread, when it has an outcome; with others that have theirs at the same time
Told: TypeAlias = Callable[[Sequence["Batch"]], None]

_finishing = threading.Lock()


class Batch:
    """The records of one request. Who brought them waits in `wait` for the outcome that another thread sets, or has itself told.

    key, digest: the client's Idempotency-Key and the digest of its body, or None.
    """

    __slots__ = ("_done", "_outcome", "device", "digest", "first", "key", "last", "names", "prepared", "records", "told")

    def __init__(
        self,
        device: DeviceRef,
        records: Records,
        idempotency: tuple[str, str] | None,
        dialect: str,
        told: Told | None = None,
    ) -> None:
        self.device = device
        self.records = records
        self.key: str | None = None
        self.digest = ""
        if idempotency is not None:
            self.key, self.digest = idempotency
        columns = records.columns
        self.names = frozenset(columns.variables)
        self.first, self.last = min(columns.times), max(columns.times)
        self.prepared = rows.prepare(dialect, columns)
        self.told = told
        self._outcome: int | Exception | None = None
        self._done = threading.Lock()  # a bare lock wakes its waiter in a third of the time of an Event
        self._done.acquire()

    def __len__(self) -> int:
        return len(self.records)

    def finish(self, outcome: int | Exception) -> bool:
        """Give the answer. The first one counts; returns whether this was it."""
        with _finishing:
            if self._outcome is not None:
                return False
            self._outcome = outcome
        self._done.release()
        return True

    @property
    def done(self) -> bool:
        """Whether there is an outcome: the request has been answered, or will be."""
        return self._outcome is not None

    def wait(self, seconds: float) -> bool:
        """Say whether there is an outcome, after at most so long."""
        return self._done.acquire(timeout=seconds)

    def result(self) -> int:
        """Return how many records were added. Raises what kept them out."""
        if isinstance(self._outcome, Exception):
            raise self._outcome.with_traceback(None)
        assert self._outcome is not None
        return self._outcome
