"""Sessions and clients in the database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session as Transaction

from services.sessions.models import Client, Numbering, Session


def lock(transaction: Transaction, session_id: int) -> Session | None:
    """Lock the row of a running session until the transaction ends; None when it has ended or never was.

    Whatever changes a session begins with this: so changes have one order, that of their commits.
    """
    found = sa.select(Session).where(Session.id == session_id, Session.ended_at.is_(None)).with_for_update()
    return transaction.execute(found).scalar_one_or_none()


def lock_numbering(transaction: Transaction) -> Numbering:
    """Lock the numbers of sessions until the transaction ends: starts are one after the other, in all processes."""
    return transaction.execute(sa.select(Numbering).with_for_update()).scalar_one()


def add(transaction: Transaction, row: Session | Client) -> None:
    """Add a session or a client, and number it."""
    transaction.add(row)
    transaction.flush()
