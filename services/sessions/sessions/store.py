"""Sessions and clients in the database.

Locks are taken in this order, so that none waits for another in a circle: numbering, sessions by id, clients, project.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session as Transaction

from services.sessions.models import Client, ItemList, Numbering, Project, Save, Session
from services.sessions.presence.activity import Heard
from services.sessions.presence.silence import Moments

_RUNS = Session.ended_at.is_(None)
_JOINED = Client.released_at.is_(None)


def lock(transaction: Transaction, session_id: int) -> Session | None:
    """Lock the row of a running session until the transaction ends; None when it has ended or never was.

    Whatever changes a session begins with this: so changes have one order, that of their commits.
    """
    found = sa.select(Session).where(Session.id == session_id, _RUNS).with_for_update()
    return transaction.execute(found, execution_options={"populate_existing": True}).scalar_one_or_none()


def lock_numbering(transaction: Transaction) -> Numbering:
    """Lock the numbers of sessions until the transaction ends: starts are one after the other, in all processes."""
    return transaction.execute(sa.select(Numbering).with_for_update()).scalar_one()


def add(transaction: Transaction, row: Session | Client) -> None:
    """Add a session or a client, and number it."""
    transaction.add(row)
    transaction.flush()


def is_known(transaction: Transaction, session_id: int) -> bool:
    """Say whether there is a session of this id, running or ended."""
    return transaction.get(Session, session_id) is not None


def running(transaction: Transaction, domain: str | None) -> Sequence[tuple[Session, Project | None]]:
    """Return the sessions of a domain that were not ended, by id, each with its project. domain: None for all."""
    found = sa.select(Session, Project).outerjoin(Project, Project.id == Session.project_id).where(_RUNS).order_by(Session.id)
    if domain is not None:
        found = found.where(Session.domain == domain)
    return [(session, project) for session, project in transaction.execute(found)]


def of_project(transaction: Transaction, project_id: int) -> Sequence[Session]:
    """Return the sessions of a project that were not ended, by id."""
    return transaction.scalars(sa.select(Session).where(Session.project_id == project_id, _RUNS).order_by(Session.id)).all()


def count(transaction: Transaction, domain: str) -> tuple[int, int]:
    """Count the sessions that were not ended: (all, those of a domain)."""
    counted = sa.select(sa.func.count(), sa.func.count(sa.case((Session.domain == domain, 1)))).where(_RUNS)
    everywhere, here = transaction.execute(counted).one()
    return everywhere, here


def project(transaction: Transaction, session: Session) -> Project | None:
    """Return the project of a session."""
    return None if session.project_id is None else transaction.get(Project, session.project_id)


def client(transaction: Transaction, digest: str) -> Client | None:
    """Return the client of a token."""
    return transaction.execute(sa.select(Client).where(Client.token_digest == digest)).scalar_one_or_none()


def joined(transaction: Transaction, first: int, last: int) -> Sequence[Client]:
    """Return the clients, not released, of all sessions from the first id to the last, in the order in which they joined."""
    return transaction.scalars(sa.select(Client).where(Client.session_id.between(first, last), _JOINED).order_by(Client.id)).all()


def clients(transaction: Transaction, session_id: int, most: int) -> Sequence[Client]:
    """Return at most so many clients of a session: those that are joined first, the newest first."""
    found = sa.select(Client).where(Client.session_id == session_id).order_by(Client.released_at.is_not(None), Client.id.desc())
    return transaction.scalars(found.limit(most)).all()


def count_joined(transaction: Transaction, session_id: int) -> int:
    """Count the clients of a session that were not released."""
    return transaction.scalar(sa.select(sa.func.count()).select_from(Client).where(Client.session_id == session_id, _JOINED)) or 0


def lost_clients(transaction: Transaction, session_id: int, moments: Moments) -> Sequence[Client]:
    """Return the clients of a session that asked for updates and were not heard since."""
    found = sa.select(Client).where(Client.session_id == session_id, *_lost(moments))
    return transaction.scalars(found.order_by(Client.id)).all()


def release_all(transaction: Transaction, session_id: int, now: dt.datetime) -> None:
    """Release all clients of a session."""
    transaction.execute(sa.update(Client).where(Client.session_id == session_id, _JOINED).values(released_at=now))


def remove_lists(transaction: Transaction, session_id: int) -> None:
    """Remove the lists of a session with all that they hold."""
    transaction.execute(sa.delete(ItemList).where(ItemList.session_id == session_id))


def _over(moments: Moments) -> sa.ColumnElement[bool]:
    of_each = (sa.and_(Session.keep_alive == keep_alive, Session.active_at <= over) for keep_alive, over in moments.over.items())
    return sa.and_(_RUNS, sa.or_(*of_each))


def _lost(moments: Moments) -> tuple[sa.ColumnElement[bool], ...]:
    return _JOINED, Client.polled.is_(True), Client.last_seen <= moments.lost


def anything_due(moments: Moments) -> sa.Select[tuple[bool]]:
    """Ask whether any session has timed out or any client is lost: one row with one value."""
    return sa.select(sa.or_(sa.exists().where(_over(moments)), sa.exists().where(*_lost(moments))))


def over(transaction: Transaction, moments: Moments) -> Sequence[int]:
    """Return the ids of sessions that have timed out, by id."""
    return transaction.scalars(sa.select(Session.id).where(_over(moments)).order_by(Session.id)).all()


def with_lost_clients(transaction: Transaction, moments: Moments) -> Sequence[int]:
    """Return the ids of sessions of which clients are lost, by id."""
    return transaction.scalars(sa.select(Client.session_id).where(*_lost(moments)).distinct().order_by(Client.session_id)).all()


def mark_heard(transaction: Transaction, heard: Mapping[int, Heard]) -> None:
    """Write when clients, and so their sessions, were heard last."""
    sessions: dict[int, dt.datetime] = {}
    for one in heard.values():
        sessions[one.session_id] = max(one.moment, sessions.get(one.session_id, one.moment))
    moment = sa.bindparam("moment", type_=Session.active_at.type)
    of_session = sa.update(Session.__table__).values(active_at=moment)  # type: ignore[arg-type]
    of_session = of_session.where(Session.id == sa.bindparam("row"), _RUNS, Session.active_at < moment)
    transaction.connection().execute(of_session, [{"row": id, "moment": sessions[id]} for id in sorted(sessions)])
    of_client = sa.update(Client.__table__).where(Client.id == sa.bindparam("row"), _JOINED)  # type: ignore[arg-type]
    of_client = of_client.values(last_seen=moment, polled=sa.or_(Client.polled, sa.bindparam("asked", type_=sa.Boolean)))
    values = [{"row": id, "moment": heard[id].moment, "asked": heard[id].polled} for id in sorted(heard)]
    transaction.connection().execute(of_client, values)


def count_all_as_heard(transaction: Transaction, now: dt.datetime) -> None:
    """Count all sessions that run, and all clients that are joined, as heard now."""
    for id in transaction.scalars(sa.select(Session.id).where(_RUNS).order_by(Session.id)).all():
        transaction.execute(sa.update(Session).where(Session.id == id, _RUNS).values(active_at=now))
    transaction.execute(sa.update(Client).where(_JOINED).values(last_seen=now))


def forget(transaction: Transaction, ended_before: dt.datetime, released_before: dt.datetime, most: int) -> int:
    """Remove the oldest ended sessions and released clients, at most so many of each. Returns how many."""
    ended = transaction.scalars(sa.select(Session.id).where(Session.ended_at <= ended_before).order_by(Session.ended_at).limit(most)).all()
    released = sa.select(Client.id).where(Client.released_at <= released_before).order_by(Client.released_at).limit(most)
    clients = transaction.scalars(released).all()
    if clients:
        transaction.execute(sa.delete(Client).where(Client.id.in_(clients)))
    if ended:
        transaction.execute(sa.delete(Session).where(Session.id.in_(ended)))
    return len(ended) + len(clients)


def save(transaction: Transaction, project_id: int, name: str) -> Save | None:
    """Return a saved session of a project."""
    return transaction.get(Save, (project_id, name))


def saves(transaction: Transaction, project_id: int) -> Sequence[sa.Row[str, str, str, str, dt.datetime]]:
    """Return what is known of a project's saved sessions, without their content, the newest first."""
    found = sa.select(Save.name, Save.session_name, Save.started_as, Save.language, Save.created_at)
    return transaction.execute(found.where(Save.project_id == project_id).order_by(Save.created_at.desc(), Save.name)).all()


def count_saves(transaction: Transaction, project_id: int) -> int:
    """Count the saved sessions of a project."""
    return transaction.scalar(sa.select(sa.func.count()).select_from(Save).where(Save.project_id == project_id)) or 0
