"""The interaction queue in the database. A change takes the next number of `changes` first and keeps that lock until its commit, so whoever
reads changes in the order of their numbers misses none."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common.database import Database, UTCDateTime
from services.tokens.archive.store import raise_counter
from services.tokens.models import Counter, Interaction, Token

COLORS = ("#ff6868", "#70ff94", "#566bef", "#ffd770", "#ee2f95", "#62e7ff")
_PURGED_AT_ONCE = 100


# Texts, because a thousand polls and a hundred updates a second go through them: building and hashing the same expressions costs four
# times as much as running them. The lock of `changes` is held, so no row needs one of its own.
_STATE = sa.text("SELECT seq, queue_position, token_id FROM interactions WHERE id = :id")
_STATUS = sa.text("SELECT status, token_id FROM interactions WHERE id = :id")
_MOVE = sa.text(
    "UPDATE interactions SET status = :status, seq = :seq, queue_position = :queue_position, token_id = :token_id, done_at = :done_at"
    " WHERE id = :id"
).bindparams(sa.bindparam("done_at", type_=UTCDateTime()))


class Outcome(Enum):
    """What became of a change."""

    DONE = "done"
    UNCHANGED = "unchanged"
    NOT_FOUND = "not found"
    TOKEN_NOT_FOUND = "token not found"  # noqa: S105  a text, no secret
    ALREADY_DEPOSITED = "already deposited"
    EXPIRED = "expired"
    QUEUE_FULL = "queue full"
    ALREADY_FINISHED = "already finished"


@dataclass(frozen=True, slots=True)
class State:
    """What a visitor's poll looks at. token_id: number of the finished token."""

    seq: int
    queue_position: int | None
    token_id: int | None


class Served(NamedTuple):
    """A visitor's turn that is over. deposited_at: none when it was finished without keywords."""

    deposited_at: dt.datetime | None
    done_at: dt.datetime


class QueueStore:
    """Interactions and their changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._epoch: int | None = None

    def epoch(self) -> int:
        """The number that names this store in every `seq`."""
        if self._epoch is None:
            with self._database.read() as session:
                self._epoch = _counter(session, "epoch")
        return self._epoch

    def newest_change(self) -> int:
        with self._database.read() as session:
            return _counter(session, "changes")

    def request(self, now: dt.datetime, limit: int, purge_before: dt.datetime) -> Interaction | None:
        """A new interaction, or None when `limit` are in the queue. Also removes some that never deposited and were requested earlier than
        `purge_before`."""

        def work(session: Session) -> Interaction | None:
            turn = raise_counter(session, "requests")  # held to the end: requests are counted one after the other
            if _in_queue(session) >= limit:
                return None
            old = sa.select(Interaction.id).where(Interaction.status == "incomplete", Interaction.requested_at < purge_before)
            session.execute(sa.delete(Interaction).where(Interaction.id.in_(old.limit(_PURGED_AT_ONCE))))
            made = Interaction(
                id=uuid.uuid4().hex,
                status="incomplete",
                color=COLORS[(turn - 1) % len(COLORS)],
                seq=0,
                requested_at=now,
            )
            session.add(made)
            return made

        return self._database.run(work)

    def deposit(self, interaction_id: str, keywords: list[str], now: dt.datetime, oldest: dt.datetime, limit: int | None) -> Outcome:
        """Put an incomplete interaction into the queue; of two deposits at once one succeeds. oldest: requested earlier is expired."""

        def work(session: Session) -> Outcome:
            seq = raise_counter(session, "changes")
            found = session.get(Interaction, interaction_id, with_for_update=True)
            if found is None:
                return Outcome.NOT_FOUND
            if found.status != "incomplete":
                return Outcome.ALREADY_DEPOSITED
            if found.requested_at < oldest:
                return Outcome.EXPIRED
            if limit is not None and _in_queue(session) >= limit:
                return Outcome.QUEUE_FULL
            found.status, found.keywords, found.deposited_at, found.seq = "new", keywords, now, seq
            return Outcome.DONE

        return self._database.run(work)

    def leave(self, interaction_id: str) -> Outcome:
        """Remove an interaction that has no token yet: it is in nobody's queue and feed any more."""

        def work(session: Session) -> Outcome:
            raise_counter(session, "changes")  # held to the end: nobody moves it meanwhile
            found = session.get(Interaction, interaction_id, with_for_update=True)
            if found is None:
                return Outcome.NOT_FOUND
            if found.status == "done":
                return Outcome.ALREADY_FINISHED
            session.delete(found)
            return Outcome.DONE

        return self._database.run(work)

    def last_served(self, count: int, now: dt.datetime) -> list[Served]:
        """The interactions that got their tokens last, the newest first; none of a time to come, when the clock was wrong."""
        query = sa.select(Interaction.deposited_at, Interaction.done_at).where(Interaction.done_at <= now)
        with self._database.read() as session:
            return [Served(*row) for row in session.execute(query.order_by(Interaction.done_at.desc()).limit(count))]

    def update(self, interaction_id: str, queue_position: int, token_id: int | None, now: dt.datetime) -> Outcome:
        """Move an interaction to a place in the queue or, with a token, to its end. The same token again changes nothing."""

        def work(session: Session) -> Outcome:
            seq = raise_counter(session, "changes")
            connection = session.connection()
            found = connection.execute(_STATUS, {"id": interaction_id}).one_or_none()
            if found is None:
                return Outcome.NOT_FOUND
            if token_id is not None and session.execute(sa.select(Token.id).where(Token.id == token_id)).scalar() is None:
                return Outcome.TOKEN_NOT_FOUND
            if found.status == "done":
                return Outcome.UNCHANGED if token_id == found.token_id else Outcome.ALREADY_FINISHED
            status = "waiting" if token_id is None else "done"
            moved = {"id": interaction_id, "status": status, "seq": seq, "queue_position": queue_position, "token_id": token_id}
            connection.execute(_MOVE, {**moved, "done_at": now if status == "done" else None})
            return Outcome.DONE

        return self._database.run(work)

    def state(self, interaction_id: str) -> State | None:
        """None when there is no such interaction."""
        with self._database.read() as session:
            row = session.connection().execute(_STATE, {"id": interaction_id}).one_or_none()
        return None if row is None else State(row.seq, row.queue_position, row.token_id)

    def first_new(self, since: int) -> Interaction | None:
        """The earliest change after `since` that made an interaction new and was not followed by another."""
        query = sa.select(Interaction).where(Interaction.status == "new", Interaction.seq > since).order_by(Interaction.seq).limit(1)
        with self._database.read() as session:
            return session.scalars(query).one_or_none()

    def waiting(self, since: dt.datetime | None) -> list[Interaction]:
        """Those that wait for their token and have deposited keywords, the longest waiting first."""
        query = sa.select(Interaction).where(Interaction.status == "waiting", Interaction.deposited_at.is_not(None))
        if since is not None:
            query = query.where(Interaction.deposited_at >= since)
        with self._database.read() as session:
            return list(session.scalars(query.order_by(Interaction.deposited_at, Interaction.seq)))


def _counter(session: Session, name: str) -> int:
    value: int = session.execute(sa.select(Counter.value).where(Counter.name == name)).scalar_one()
    return value


def _in_queue(session: Session) -> int:
    counted = session.execute(sa.select(sa.func.count()).where(Interaction.status.in_(("new", "waiting")))).scalar()
    return counted or 0
