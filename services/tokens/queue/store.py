"""Interactions in the database."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common.core_database import UTCDateTime
from services.tokens.models import Interaction
from services.tokens.queue.rules import Turn

_PURGED_AT_ONCE = 100

# Texts, because a thousand polls and a hundred updates a second go through them: building and hashing the same expressions costs four
# times as much as running them.
_STATE = sa.text("SELECT seq, queue_position, token_id FROM interactions WHERE id = :id")
_STATUS = sa.text("SELECT status, token_id FROM interactions WHERE id = :id")
_MOVE = sa.text(
    "UPDATE interactions SET status = :status, seq = :seq, queue_position = :queue_position, token_id = :token_id, done_at = :done_at"
    " WHERE id = :id"
).bindparams(sa.bindparam("done_at", type_=UTCDateTime()))


class State(NamedTuple):
    """What a visitor's poll looks at. token_id: number of the finished token."""

    seq: int
    queue_position: int | None
    token_id: int | None


class Status(NamedTuple):
    """What decides about an update."""

    status: str
    token_id: int | None


def add(session: Session, interaction: Interaction) -> None:
    """Add an interaction."""
    session.add(interaction)


def get(session: Session, interaction_id: str) -> Interaction | None:
    """Find an interaction in order to change it."""
    return session.get(Interaction, interaction_id, with_for_update=True)


def remove(session: Session, interaction: Interaction) -> None:
    """Remove an interaction."""
    session.delete(interaction)


def remove_some_incomplete(session: Session, before: dt.datetime) -> None:
    """Remove at most 100 interactions without keywords that were requested earlier than `before`."""
    old = sa.select(Interaction.id).where(Interaction.status == "incomplete", Interaction.requested_at < before)
    session.execute(sa.delete(Interaction).where(Interaction.id.in_(old.limit(_PURGED_AT_ONCE))))


def length(session: Session) -> int:
    """Count the interactions that have keywords and no token yet."""
    counted = session.execute(sa.select(sa.func.count()).where(Interaction.status.in_(("new", "waiting")))).scalar()
    return counted or 0


def state(session: Session, interaction_id: str) -> State | None:
    """Read what a visitor's poll looks at; None when there is no such interaction."""
    row = session.connection().execute(_STATE, {"id": interaction_id}).one_or_none()
    return None if row is None else State(*row)


def status(session: Session, interaction_id: str) -> Status | None:
    """Read what decides about an update; None when there is no such interaction."""
    row = session.connection().execute(_STATUS, {"id": interaction_id}).one_or_none()
    return None if row is None else Status(*row)


def move(session: Session, interaction_id: str, seq: int, queue_position: int) -> None:
    """Give an interaction a position in the queue."""
    moved = {"status": "waiting", "seq": seq, "queue_position": queue_position, "token_id": None, "done_at": None}
    session.connection().execute(_MOVE, {"id": interaction_id, **moved})


def finish(session: Session, interaction_id: str, seq: int, token_id: int, now: dt.datetime) -> None:
    """Give an interaction its token, which ends it."""
    finished = {"status": "done", "seq": seq, "queue_position": 0, "token_id": token_id, "done_at": now}
    session.connection().execute(_MOVE, {"id": interaction_id, **finished})


def first_new(session: Session, since: int) -> Interaction | None:
    """Find the earliest change after `since` that made an interaction new and was not followed by another."""
    query = sa.select(Interaction).where(Interaction.status == "new", Interaction.seq > since).order_by(Interaction.seq).limit(1)
    return session.scalars(query).one_or_none()


def waiting(session: Session, since: dt.datetime | None) -> list[Interaction]:
    """List those that wait for their token and have keywords, the longest waiting first. since: deposited then or later."""
    query = sa.select(Interaction).where(Interaction.status == "waiting", Interaction.deposited_at.is_not(None))
    if since is not None:
        query = query.where(Interaction.deposited_at >= since)
    return list(session.scalars(query.order_by(Interaction.deposited_at, Interaction.seq)))


def last_turns(session: Session, count: int, now: dt.datetime) -> list[Turn]:
    """List the turns that ended last, the newest first; none that ended in the future, when the clock was wrong."""
    query = sa.select(Interaction.deposited_at, Interaction.done_at).where(Interaction.done_at <= now)
    rows = session.execute(query.order_by(Interaction.done_at.desc()).limit(count))
    return [Turn(deposited_at, done_at) for deposited_at, done_at in rows if done_at is not None]
