"""A deadline for what a query asks of the store: a clear refusal instead of a statement that runs for minutes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.mobility import refusals

_STEPS = 10_000  # of SQLite's virtual machine, less than a millisecond, between two looks at the clock
_CANCELED = "57014"  # PostgreSQL: query_canceled


class Deadline:
    """When a query must be done. seconds: from now on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = time.monotonic() + seconds

    def passed(self) -> bool:
        return time.monotonic() >= self._until

    def check(self) -> None:
        """Raises Refusal 422 when it has passed."""
        if self.passed():
            raise refusals.query_too_slow(self.seconds)


@contextmanager
def limited(session: Session, seconds: float) -> Iterator[Deadline]:
    """Let a block's statements take no longer, each on PostgreSQL, all of them on SQLite. Raises Refusal 422.

    What the block does between statements it checks itself. seconds: less than `store_guard` gives a statement.
    """
    deadline = Deadline(seconds)
    connection = None
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text(f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}"))
    else:
        connection = session.connection().connection.driver_connection
        assert connection is not None
        connection.set_progress_handler(deadline.passed, _STEPS)
    try:
        yield deadline
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _CANCELED or getattr(error.orig, "sqlite_errorname", None) == "SQLITE_INTERRUPT":
            raise refusals.query_too_slow(seconds) from None
        raise
    finally:
        if connection is not None:
            connection.set_progress_handler(None, 0)
