"""Tables of the tokens service: the archive of tokens, the interaction queue, and the counters that order both."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.common.database import Conventions, SQLAlchemy


class Base(Conventions, DeclarativeBase):
    """What all tables of the service share."""


db = SQLAlchemy(model_class=Base)

# SQLite numbers rows by itself only in an INTEGER primary key; there it holds 64 bits all the same
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Token(Base):
    """One archived token. It never changes, except that newer rules may rewrite its SVG.

    id: milliseconds since 2021-05-01, written in base 34 outside (`archive/rules/ids.py`). position: dense, 1 is the oldest, so that an
    index finds any page and nothing is counted. rules: the version of `svg.RULES` that wrote the SVG; below 0: the one that could not
    clean it.
    """

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(_BIG, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(_BIG, index=True)
    svg: Mapped[str] = mapped_column(sa.Text)
    generated: Mapped[str] = mapped_column(sa.String(64))
    keywords: Mapped[list[Any]]
    rules: Mapped[int]
    created_at: Mapped[dt.datetime]
    idempotency_key: Mapped[str | None] = mapped_column(sa.String(255), unique=True)
    body_digest: Mapped[str] = mapped_column(sa.String(64))


class Interaction(Base):
    """One visitor's turn. status: incomplete → new → waiting → done. seq: number of its newest change, 0 before the first.

    done_at: when it got its token; None when that was before this column existed.
    """

    __tablename__ = "interactions"
    __table_args__ = (
        sa.Index("ix_interactions_status_seq", "status", "seq"),
        sa.Index("ix_interactions_status_deposited_at", "status", "deposited_at"),
        sa.Index("ix_interactions_status_requested_at", "status", "requested_at"),
        sa.CheckConstraint("status IN ('incomplete', 'new', 'waiting', 'done')", name="status"),
    )

    id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    status: Mapped[str] = mapped_column(sa.String(10))
    color: Mapped[str] = mapped_column(sa.String(7))
    keywords: Mapped[list[Any] | None]
    queue_position: Mapped[int | None]
    token_id: Mapped[int | None] = mapped_column(_BIG)
    seq: Mapped[int] = mapped_column(_BIG)
    requested_at: Mapped[dt.datetime]
    deposited_at: Mapped[dt.datetime | None]
    done_at: Mapped[dt.datetime | None] = mapped_column(index=True)


class Counter(Base):
    """A number that gives changes their order (`counters.py`).

    `changes`: of interactions. `requests`: chooses the colour. `tokens`: the newest token's number. `epoch`: drawn once, names this store.
    """

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    value: Mapped[int] = mapped_column(_BIG)
