"""Telling clients what has changed: long polls, and streams of server-sent events."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from services.common.clock import Clock
from services.common.core_database import is_unavailable
from services.common.database import Database
from services.common.held import ClientConnection, Waiter
from services.common.refusal import Refusal
from services.sessions import refusals
from services.sessions.access import Seat
from services.sessions.directory import MOST_ANSWERS, MOST_KEPT_BYTES, Directory, Snapshot, topic
from services.sessions.items import store
from services.sessions.presence.activity import Activity
from services.sessions.updates import rules
from services.sessions.updates.rules import Known

HEARTBEAT_S: Final = 10.0  # a stream that has nothing to say shows that it lives; its client is lost after 30 s
AWAY_S: Final = 1.0  # how long a stream waits for a store that does not answer
RETRY_MS: Final = 2000  # what a stream's client waits before it connects again


@dataclass(frozen=True, slots=True)
class Update:
    """What a client gets. body: JSON. versions: that the client then has, of the lists in it.

    resync: each list in it is whole; what else the client has of it is gone.
    """

    body: bytes
    resync: bool
    versions: Known


class Updates:
    """What clients that follow a session are told. Thread-safe."""

    def __init__(self, database: Database, directory: Directory, waiter: Waiter, activity: Activity, clock: Clock) -> None:
        self._database = database
        self._followed = directory.followed
        self._waiter = waiter
        self._activity = activity
        self._clock = clock

    def poll(self, seat: Seat, known: Known, seconds: float, connection: ClientConnection) -> Update | None:
        """Wait for something that the client does not know; None when there was nothing in time.

        Raises Refusal 400 (or 410) once the client is released or its session has ended, 503; the store's error.
        """
        self._note(seat)
        return self._waiter.poll(topic(seat.session.id), lambda: self._look(seat, known), seconds, connection)

    def take(self) -> None:
        """Take a place for a stream; `leave` must follow. Raises Refusal 503."""
        self._waiter.places.take()

    def leave(self) -> None:
        """Give the place back."""
        self._waiter.places.leave()

    def follow(self, seat: Seat, known: Known, connection: ClientConnection, *, active: bool) -> Iterator[str]:
        """Write server-sent events: each change as it comes. The id of each says which versions the client then has.

        Ends when the client is gone or released, its session has ended, or the process stops. active: the stream keeps its client.
        """
        known = dict(known)
        look = functools.partial(self._look, seat, known)
        yield f"retry: {RETRY_MS}\n\n"
        while not self._waiter.closing and not connection.gone():
            if active:
                self._note(seat)
            try:
                found = self._waiter.wait(topic(seat.session.id), look, HEARTBEAT_S, connection)
            except Refusal as refusal:
                yield f"event: released\ndata: {refusal.message}\n\n"
                return
            except Exception as error:
                if not is_unavailable(error):
                    raise
                found = None
                time.sleep(AWAY_S)
            if found is None:
                yield ": alive\n\n"
                continue
            known |= found.versions
            kind = "resync" if found.resync else "update"
            yield f"id: {json.dumps(known, separators=(',', ':'))}\nevent: {kind}\ndata: {found.body.decode()}\n\n"

    def _note(self, seat: Seat) -> None:
        if seat.client is not None:
            self._activity.note(seat.client.id, seat.session.id, polled=True)

    def _look(self, seat: Seat, known: Known) -> Update | None:
        snapshot = self._followed.snapshot(seat.session.id)
        if snapshot is None or is_released(snapshot, seat) or rules.is_ahead(snapshot.lists, known):
            self._followed.forget(seat.session.id)  # or the wake-up is still on its way from another process
            snapshot = self._followed.snapshot(seat.session.id)
        if snapshot is None or is_released(snapshot, seat):
            raise refusals.client_released()
        return self.news(snapshot, known)

    def news(self, snapshot: Snapshot, known: Known) -> Update | None:
        """Return what a client with these versions does not know; None when that is nothing. Many ask the same: one reads the store.

        Raises the store's error.
        """
        if not rules.has_news(snapshot.lists, known):
            return None
        asked = tuple(sorted(known.items()))
        with snapshot.lock:
            found: Update | None = snapshot.answers.get(asked)
            if found is None:
                found = self._read(snapshot.session.id, known)
                if found is not None:
                    _keep(snapshot.answers, asked, found)
        return found

    def _read(self, session_id: int, known: Known) -> Update | None:
        with self._database.read() as transaction:
            found = {
                name: one
                for name, one in store.changes_since(transaction, session_id, known).items()
                if one.items or one.deletes or (one.full and known[name] != rules.NOTHING)
            }
            if not found:
                return None
            resync = any(one.full and known[name] != rules.NOTHING for name, one in found.items())
            if resync:  # so that one header tells of all lists in the answer
                for name, one in store.changes_since(transaction, session_id, dict.fromkeys(found, rules.NOTHING)).items():
                    found[name].items = one.items
        told: dict[str, Any] = {
            "items": {name: one.items for name, one in found.items() if one.items or resync},
            "deletes": {name: one.deletes for name, one in found.items() if one.deletes},
            "timeStamp": int(self._clock.now().timestamp() * 1000),
        }
        versions = {name: one.version for name, one in found.items()}
        return Update(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode(), resync, versions)


def _keep(answers: dict[Any, Update], asked: Any, answer: Update) -> None:
    """Keep an answer for others who ask the same. Who asks for ever other versions cannot fill the memory with them."""
    if len(answers) >= MOST_ANSWERS or len(answer.body) + sum(len(one.body) for one in answers.values()) > MOST_KEPT_BYTES:
        answers.clear()
    answers[asked] = answer


def is_released(snapshot: Snapshot, seat: Seat) -> bool:
    """Say whether who has this seat must stop: the session has ended, or the client was released."""
    if snapshot.session.ended_at is not None:
        return True
    return seat.client is not None and seat.client.id not in snapshot.clients
