"""Numbers that give changes their order.

A change advances its counter first and keeps the counter's row locked until the commit, so the order of commits is the order of the
numbers, and whoever reads changes in the order of their numbers misses none.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.tokens.models import Counter

# a text: it is on the way of every change, and building and hashing an expression costs more than running it
_ADVANCE = sa.text(
    "UPDATE counters SET value = CASE WHEN value + 1 < :at_least THEN :at_least ELSE value + 1 END WHERE name = :name RETURNING value"
)


def advance(session: Session, name: str, at_least: int = 0) -> int:
    """Take the counter's next number: larger than every number before, and at least `at_least`. Locks the row until the commit."""
    value: int = session.connection().execute(_ADVANCE, {"name": name, "at_least": at_least}).scalar_one()
    return value


def value(session: Session, name: str) -> int:
    """Read the counter's newest number."""
    found: int = session.execute(sa.select(Counter.value).where(Counter.name == name)).scalar_one()
    return found
