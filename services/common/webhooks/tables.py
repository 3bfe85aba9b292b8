"""The tables of an outbox, described for the service that owns them: in its metadata, under its names, made by its migrations."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Tables:
    """deliveries: the calls and how far they got. marks: events that were told a moment ago."""

    deliveries: sa.Table
    marks: sa.Table


def outbox_tables(metadata: sa.MetaData, *, deliveries: str = "deliveries", marks: str = "event_marks", subject: str = "subject") -> Tables:
    """Describe the tables of an outbox. metadata: of Core or of a declarative base. deliveries, marks: names of the tables. subject: name
    of the column for what an event is about.

    Times are epoch seconds.
    """
    calls = sa.Table(
        deliveries,
        metadata,
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("hook_id", sa.Text, nullable=False, index=True),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column(subject, sa.Text, key="subject", nullable=False),
        sa.Column("method", sa.String(10), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("headers", sa.JSON, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("give_up_at", sa.Double, nullable=False),
        sa.Column("next_at", sa.Double, nullable=False),
        sa.Column("leased_until", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("last_status", sa.Integer),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Index(f"ix_{deliveries}_state_next_at", "state", "next_at"),
    )
    told = sa.Table(
        marks,
        metadata,
        sa.Column("mark", sa.String(64), primary_key=True),
        sa.Column("until", sa.Double, nullable=False, index=True),
    )
    return Tables(calls, told)
