"""Which sessions there are, and who is in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy.orm import Session as Transaction

from services.common.database import Database
from services.sessions import levels, refusals
from services.sessions.access import Caller, Seat, Seats, may
from services.sessions.models import Client, Session
from services.sessions.presence.silence import Moments, Silence
from services.sessions.sessions import store
from services.sessions.sessions.rules import tokens
from services.sessions.sessions.service import answers, steps

MOST_CLIENTS_SHOWN: Final = 1000


class Finding:
    """Finds sessions and clients; changes nothing. Thread-safe."""

    def __init__(self, database: Database, seats: Seats, silence: Silence) -> None:
        self._database = database
        self._seats = seats
        self._silence = silence

    def joinable(self, caller: Caller) -> list[dict[str, Any]]:
        """Return the sessions that a user may join, by id."""
        moments = self._silence.moments()
        with self._database.read() as transaction:
            return [self._info(one, today=caller.today) for one in self._reached(transaction, caller, moments)]

    def running(self, caller: Caller) -> list[dict[str, Any]]:
        """Return the sessions that a user may join, by id, each with its clients."""
        moments = self._silence.moments()
        with self._database.read() as transaction:
            sessions = self._reached(transaction, caller, moments)
            clients: dict[int, list[Client]] = {one.id: [] for one in sessions}
            for client in store.joined(transaction, sessions[0].id, sessions[-1].id) if sessions else ():
                if client.session_id in clients:
                    clients[client.session_id].append(client)
            return [answers.data(one, clients[one.id], moments.now, today=caller.today) for one in sessions]

    def continuable(self, caller: Caller, pairs: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
        """Return the sessions in which the caller's clients are still joined. pairs: (session token, client token)."""
        moments = self._silence.moments()
        with self._database.read() as transaction:
            reached = {one.id: one for one in self._reached(transaction, caller, moments)}
            found = []
            for session_token, client_token in dict.fromkeys(pairs):
                session = reached.get(tokens.session_of(session_token) or 0)
                if session is None or not self._seats.is_token(session_token, session.id, session.key):
                    continue
                client = store.client(transaction, tokens.digest(client_token))
                if client is None or client.session_id != session.id or client.released_at is not None or client.user_id != caller.user.id:
                    continue
                pair = {"clientToken": client_token, "apiToken": session_token, "serverToken": session_token}
                limit = self._silence.limit(session.keep_alive)
                found.append(answers.info(session, limit, today=caller.today, app_type=client.app_type, tokens=pair))
            return found

    def keep_alive(self, caller: Caller, session_id: int) -> str:
        """Return how long a session is kept alive. Raises Refusal 404."""
        moments = self._silence.moments()
        with self._database.read() as transaction:
            found = next((one for one in self._reached(transaction, caller, moments) if one.id == session_id), None)
        if found is None:
            raise refusals.no_such("session", session_id)
        return found.keep_alive

    def info(self, seat: Seat) -> dict[str, Any]:
        """Return what there is to know of the session of a place in it. Raises Refusal 404 (or 400) when it was forgotten meanwhile.

        `clientID` is the client's that asks: by it, it finds itself in the lists. `level` says which events it may fire. `type` and
        `state` are for today's SDK, which asks by them whether a session is edited, tested or played.
        """
        with self._database.read() as transaction:
            session = transaction.get(Session, seat.session.id)
        if session is None:
            raise refusals.session_ended()
        asking = {"clientID": seat.client.id if seat.client else None, "level": seat.level}
        return {**self._info(session, today=seat.today), **asking, "type": session.type, "state": "NORMAL"}

    def clients(self, seat: Seat) -> list[dict[str, Any]]:
        """Return the clients of the session of a place in it: those that are joined, then the newest of those that were."""
        now = self._silence.moments().now
        with self._database.read() as transaction:
            return [answers.seen_by_others(one, now) for one in store.clients(transaction, seat.session.id, MOST_CLIENTS_SHOWN)]

    def _reached(self, transaction: Transaction, caller: Caller, moments: Moments) -> Sequence[Session]:
        everywhere = may(caller, levels.SUPER_USER)
        return [
            session
            for session, project in store.running(transaction, None if everywhere else caller.user.domain)
            if steps.reaches(caller, session, project) and not self._silence.is_over(session, moments)
        ]

    def _info(self, session: Session, *, today: bool) -> dict[str, Any]:
        return answers.info(session, self._silence.limit(session.keep_alive), today=today)
