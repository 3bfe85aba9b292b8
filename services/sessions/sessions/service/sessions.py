"""Starting, joining and ending sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction

from services.common.database import Database
from services.sessions import levels, refusals
from services.sessions.access import Caller, Seats, may
from services.sessions.directory import Directory
from services.sessions.models import Session
from services.sessions.presence.silence import Moments, Silence
from services.sessions.sessions import store
from services.sessions.sessions.rules import tokens, types
from services.sessions.sessions.service import answers, steps
from services.sessions.sessions.service.steps import Join, Wish

R = TypeVar("R")


class Sessions:
    """What users do with sessions. Thread-safe."""

    def __init__(self, database: Database, seats: Seats, directory: Directory, silence: Silence, limit: int) -> None:
        """limit: sessions that may run at a time."""
        self._database = database
        self._seats = seats
        self._directory = directory
        self._silence = silence
        self._limit = limit

    def start(self, caller: Caller, wish: Wish) -> int:
        """Start a session of a project and return its id. Raises Refusal 400 (or 403), 404, 409, 503."""
        _require_to_start(caller, wish)

        def work(transaction: Transaction, moments: Moments) -> int:
            project = steps.project_to_start(transaction, caller, wish)
            return steps.start(transaction, caller, project, wish, self._limit, moments.now).id

        return self._numbered(work)

    def join(self, caller: Caller, session_id: int, wish: Join) -> dict[str, Any]:
        """Join a session; with the token of a client that is joined, be that client again. Raises Refusal 400 (or 403), 404, 409."""
        moments = self._silence.moments()

        def work(transaction: Transaction) -> dict[str, Any]:
            session = steps.reach(transaction, caller, session_id, self._silence, moments)
            return self._joined(transaction, caller, session, wish, moments)

        try:
            found = self._database.run(work)
        except IntegrityError:  # another session has taken the token at this moment
            raise refusals.invalid_request("this clientToken is in use; leave it out to get a new one.") from None
        self._directory.announce(session_id)
        return found

    def join_or_start(self, caller: Caller, wish: Wish, computer_name: str) -> dict[str, Any]:
        """Join the first session of this project, type and group that the caller may join; start it when there is none.

        Raises Refusal as `start`.
        """
        joining = Join(types.app_type(wish.type), tokens.new_client_token(), computer_name=computer_name)

        def work(transaction: Transaction, moments: Moments) -> dict[str, Any]:
            session = self._there(transaction, steps.project_to_start(transaction, caller, wish, lock=False).id, wish, moments)
            if session is None:
                _require_to_start(caller, wish)
                project = steps.project_to_start(transaction, caller, wish)
                session = steps.start(transaction, caller, project, wish, self._limit, moments.now)
            return self._joined(transaction, caller, session, joining, moments)

        if wish.type == types.EDITOR and not may(caller, levels.EDITOR):
            raise refusals.insufficient_rights()
        found = self._numbered(work)
        self._directory.announce(found["sessionID"])
        return found

    def close(self, caller: Caller, session_id: int, client_token: str, *, keep_open: bool) -> bool:
        """Release a client, and end the session when no other client is left. Returns whether it has ended. Raises Refusal 404."""
        moments = self._silence.moments()

        def work(transaction: Transaction) -> tuple[bool, bool]:
            session = store.lock(transaction, session_id)
            if session is None or self._silence.is_over(session, moments) or not steps.sees(caller, store.project(transaction, session)):
                raise refusals.no_such("session", session_id)
            client = store.client(transaction, tokens.digest(client_token))
            if client is None or client.session_id != session.id or client.released_at is not None:
                return False, False
            steps.release(transaction, session, [client], "CLOSE_SESSION", moments.now)
            steps.release(transaction, session, store.lost_clients(transaction, session.id, moments), steps.LOST, moments.now)
            transaction.flush()
            if keep_open or session.keep_alive != "NEVER" or store.count_joined(transaction, session.id):
                return True, False
            steps.end(transaction, session, moments.now)
            return True, True

        changed, ended = self._database.run(work)
        if changed:
            self._directory.announce(session_id)
        return ended

    def kill(self, caller: Caller, session_id: int) -> bool:
        """End a session at once. Returns whether there was one to end. Raises Refusal 400 (or 403)."""
        moments = self._silence.moments()

        def work(transaction: Transaction) -> bool:
            session = store.lock(transaction, session_id)
            project = None if session is None else store.project(transaction, session)
            if session is None or self._silence.is_over(session, moments) or not steps.sees(caller, project):
                return False
            if not steps.reaches(caller, session, project):
                raise refusals.insufficient_rights()
            steps.end(transaction, session, moments.now)
            return True

        ended = self._database.run(work)
        if ended:
            self._directory.announce(session_id)
        return ended

    def set_keep_alive(self, caller: Caller, session_id: int, keep_alive: str) -> bool:
        """Choose how long a session may be silent, from now on. Returns True. Raises Refusal 400 (or 403), 404."""
        moments = self._silence.moments()

        def work(transaction: Transaction) -> bool:
            session = steps.reach(transaction, caller, session_id, self._silence, moments)
            session.keep_alive = keep_alive
            session.active_at = max(session.active_at, moments.now)
            return True

        done = self._database.run(work)
        self._directory.announce(session_id)
        return done

    def _numbered(self, work: Callable[[Transaction, Moments], R]) -> R:
        """Run work that may start a session: one at a time in all processes, and what has timed out has made room."""
        moments = self._silence.moments()

        def numbered(transaction: Transaction) -> tuple[R, list[int]]:
            store.lock_numbering(transaction)
            ended = steps.end_over(transaction, self._silence, moments)
            return work(transaction, moments), ended

        found, ended = self._database.run(numbered)
        for session_id in ended:
            self._directory.announce(session_id)
        return found

    def _there(self, transaction: Transaction, project_id: int, wish: Wish, moments: Moments) -> Session | None:
        """Find a session that fits a wish, and lock it."""
        for found in store.of_project(transaction, project_id):
            fits = found.type == wish.type and (found.group_token or None) == (wish.group or None)
            if fits and not self._silence.is_over(found, moments):
                session = store.lock(transaction, found.id)
                if session is not None:
                    return session
        return None

    def _joined(self, transaction: Transaction, caller: Caller, session: Session, wish: Join, moments: Moments) -> dict[str, Any]:
        client = steps.join(transaction, caller, session, wish, moments.now)
        token = self._seats.token(session.id, session.key)
        return answers.joined(session, client, wish.token, token, moments.now, today=caller.today)


def _require_to_start(caller: Caller, wish: Wish) -> None:
    if not may(caller, levels.EDITOR if wish.type == types.EDITOR else levels.HOST_SESSION):
        raise refusals.insufficient_rights()
