"""Tries the records of a request against the actions of their account, in the transaction that stores the records.

An action's calls are in the outbox exactly when the records are stored. The caller has locked the device, so no other request of the device
is tried at the same time; that makes locks of actions exact with any number of writers.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from services.common import logging as logs
from services.common.clock import Clock, isoformat
from services.common.remembered import Remembered
from services.common.webhooks.outbox import Call, lane_of, new_id
from services.devices.access import DeviceRef
from services.devices.actions import store
from services.devices.actions.rules import webhooks
from services.devices.actions.rules.evaluation import Outcome, Tags, Watch, Watches, evaluate, watch
from services.devices.actions.rules.matching import Sent
from services.devices.actions.store import Held, Transaction
from services.devices.data.rules.merging import Row
from services.devices.data.rules.records import Record
from services.devices.data.rules.shown import writer

log = logs.get(__name__)

LOOK_S: Final = 0.5  # a change in another process is seen after so long
MOST_WAITING: Final = 10_000  # calls of an action; what it fires beyond is dropped, and logged
_COUNT_S: Final = 10.0  # between two counts of the calls that wait
_MOST_CONDITIONS: Final = 200_000  # that a process remembers: some 60 MB


class Firing:
    """Fires actions. Remembers conditions until an action changes, which another process sees after `LOOK_S` at most. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, Watches] = {}
        self._conditions = 0
        self._generation = 0
        self._changes = -1
        self._look_at = float("-inf")
        self._full: Remembered[str, tuple[float, bool]] = Remembered()

    def forget(self) -> None:
        """Read all conditions again: an action has changed."""
        with self._lock:
            self._generation += 1
            self._known.clear()
            self._conditions = 0

    def note(self, session: Transaction, device: DeviceRef, records: Sequence[Record], first_seq: int, now: dt.datetime) -> int:
        """Try the records of one request; return how many calls were put into the outbox.

        session: the transaction that stores them and has locked the device. first_seq: of the first record; the others follow. now: UTC.
        Raises the store's error.
        """
        sent = Sent(records)
        concerned = self._watches(session, device.account).concerned(device.id, sent)
        if not concerned:
            return 0
        noted: list[dict[str, Any]] = []
        calls: list[Call] = []
        written: dict[int, str] = {}  # several actions may show the same records
        held = store.hold(session, device.no, concerned)
        if any(action.version != concerned[action.id].version for action in held):
            held = store.hold(session, device.no, concerned)  # edited, perhaps while this waited for it: now all is of one moment
        for action in held:
            tags: Tags = frozenset((tag["key"], tag["value"]) for tag in action.device_tags)
            tried = _up_to_date(concerned[action.id], action)
            outcome = evaluate(tried, device.id, tags, sent, action.locked) if action.active else None
            if outcome is None:
                continue
            fired_at = now if outcome.fired_by else None
            noted.append({"device_no": device.no, "action_id": action.id, "locked": outcome.locked, "fired_at": fired_at})
            if outcome.fired_by and not self._is_full(session, action.id):
                calls.append(_call(action, outcome, device, _written(written, outcome, device, records, first_seq), now))
        if noted:
            store.note(session, noted)
        return store.put(session, calls, now)

    def _watches(self, session: Transaction, account: str) -> Watches:
        if self._clock.monotonic() >= self._look_at:
            self._look(session)
        known = self._known.get(account)
        if known is not None:
            return known
        generation = self._generation
        found = Watches(watch(*row) for row in store.active_triggers(session, account))
        with self._lock:
            if generation == self._generation:  # else an action changed while the store looked
                if self._conditions > _MOST_CONDITIONS:
                    self._known.clear()
                    self._conditions = 0
                self._known[account] = found
                self._conditions += found.size + 1
        return found

    def _look(self, session: Transaction) -> None:
        self._look_at = self._clock.monotonic() + LOOK_S
        changes = store.changes(session)
        if changes != self._changes:
            self._changes = changes
            self.forget()

    def _is_full(self, session: Transaction, action_id: str) -> bool:
        """Whether the receiver of an action is so far behind that nothing more is kept for it. Counted now and then."""
        counted = self._full.get(action_id)
        if counted is None or counted[0] <= self._clock.monotonic():
            full = store.waits(session, action_id, MOST_WAITING)
            if full:
                log.warning("webhook calls dropped", action=action_id, waiting=MOST_WAITING)
            counted = self._full.keep(action_id, (self._clock.monotonic() + _COUNT_S, full))
        return counted[1]


def _up_to_date(known: Watch, action: Held) -> Watch:
    return known if known.version == action.version else watch(action.id, action.version, action.trigger)


def _call(action: Held, outcome: Outcome, device: DeviceRef, records: Iterable[str], now: dt.datetime) -> Call:
    about = {"id": device.id, "name": action.device_name, "tags": action.device_tags}
    shown = {"id": action.id, "name": action.name, "tags": action.tags, "lock": outcome.locked}
    return Call(
        id=new_id(),
        hook_id=action.id,
        lane=lane_of(action.call["url"]),
        event="condition",
        subject=device.id,
        method="POST",
        url=action.call["url"],
        headers=tuple(action.call["headers"].items()),
        body=webhooks.body(shown, about, isoformat(now), len(outcome.fired_by), records),
        mark=(),
        told_for=0.0,
    )


def _written(written: dict[int, str], outcome: Outcome, device: DeviceRef, records: Sequence[Record], first_seq: int) -> Iterator[str]:
    """Write the records that fired an action, each when it is taken. written: those that another action has taken, by place."""
    for place in outcome.fired_by:
        if place not in written:
            written[place] = _as_listed(records[place], device, first_seq + place)
        yield written[place]


def _as_listed(record: Record, device: DeviceRef, seq: int) -> str:
    """Write a record as `GET /data` does."""
    variable, time, number, value, unit, group, location, metadata = record
    write = writer(device.id, device.no, {0: variable}, details=False)
    return write(Row(0, time, seq, number, value, unit, group, location, metadata, created_at=0))
