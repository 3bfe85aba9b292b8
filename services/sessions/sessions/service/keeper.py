"""The keeper: writes when clients were heard, and ends in the background what was silent for too long or is over.

Several processes may do so side by side: each session is locked and looked at again before anything of it ends.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session as Transaction

from services.common import logging as logs
from services.common.clock import Clock
from services.common.core_database import is_transient, is_unavailable
from services.common.database import Database
from services.common.lookups import Lookups
from services.sessions.directory import Directory
from services.sessions.presence.activity import Activity
from services.sessions.presence.silence import JUMP_S, Moments, Silence
from services.sessions.sessions import store
from services.sessions.sessions.rules import timing
from services.sessions.sessions.service import steps

log = logs.get(__name__)

EVERY_S: Final = 1.0
GRACE_S: Final = 2.0  # what other processes have noted may not be written yet
TIDY_EVERY_S: Final = 60.0
_SLICE: Final = 200  # rows that are forgotten in one transaction


class Keeper:
    """Runs in a thread of its own from `start` to `close`."""

    def __init__(
        self,
        database: Database,
        lookups: Lookups,
        directory: Directory,
        activity: Activity,
        silence: Silence,
        clock: Clock,
        chores: Sequence[Callable[[], object]] = (),
    ) -> None:
        """chores: what else is to be tidied up, once a minute."""
        self._database = database
        self._lookups = lookups
        self._directory = directory
        self._activity = activity
        self._silence = silence
        self._clock = clock
        self._chores = (self._forget, *chores)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._done_at = clock.monotonic()
        self._tidied_at = float("-inf")

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it after what it is at, and write what was heard. What cannot be written is lost."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
        self._try(self.flush)

    def _run(self) -> None:
        while True:
            self._try(self.keep)
            if self._stop.wait(EVERY_S * random.uniform(0.7, 1.0)):  # noqa: S311  spreads the processes, no secret
                return

    def _try(self, do: Callable[[], object]) -> None:
        try:
            do()
        except SQLAlchemyError as error:
            if self._clock.monotonic() - self._done_at > JUMP_S:
                self._silence.doubt()
            if not (is_unavailable(error) or is_transient(error)):
                log.exception("keeping failed")
        except Exception:
            log.exception("keeping failed")

    def keep(self) -> None:
        """Do all that is due. Raises the store's errors; the next round does the rest."""
        self.flush()
        doubts, moments = self._silence.doubts(), self._silence.moments(GRACE_S)
        if doubts is not None:
            self._database.run(lambda transaction: store.count_all_as_heard(transaction, moments.now))
            self._activity.forget()
            self._silence.settle(doubts)
        else:
            self._sweep(moments)
        self._done_at = self._clock.monotonic()
        if self._done_at - self._tidied_at >= TIDY_EVERY_S:
            self._tidied_at = self._done_at
            for chore in self._chores:
                chore()

    def flush(self) -> None:
        """Write when clients were heard last, or keep it and raise the store's error."""
        heard = self._activity.take()
        if not heard:
            return
        try:
            self._database.run(lambda transaction: store.mark_heard(transaction, heard))
        except SQLAlchemyError:
            self._activity.put_back(heard)
            raise

    def _sweep(self, moments: Moments) -> None:
        due = self._lookups.one(store.anything_due(moments), {})
        if due is None or not due[0]:
            return
        with self._database.read() as transaction:
            over = store.over(transaction, moments)
            lost = store.with_lost_clients(transaction, moments)
        for session_id in dict.fromkeys([*over, *lost]):
            if self._stop.is_set():
                return
            if self._database.run(lambda transaction, id=session_id: self._end_or_release(transaction, id, moments)):  # type: ignore[misc]
                self._directory.announce(session_id)

    def _end_or_release(self, transaction: Transaction, session_id: int, moments: Moments) -> bool:
        """End a session that has timed out, or release its lost clients. Returns whether there was anything to do."""
        session = store.lock(transaction, session_id)
        if session is None:
            return False
        if self._silence.is_over(session, moments):
            steps.end(transaction, session, moments.now)
            log.info("session timed out", session=session_id)
            return True
        lost = store.lost_clients(transaction, session_id, moments)
        steps.release(transaction, session, lost, steps.LOST, moments.now)
        return bool(lost)

    def _forget(self) -> None:
        """Remove sessions that ended long ago, and clients that were released long ago."""
        now = self._clock.now()
        ended, released = now - timing.ENDED_KEPT, now - timing.RELEASED_KEPT
        while not self._stop.is_set() and self._database.run(lambda transaction: store.forget(transaction, ended, released, _SLICE)):
            pass
