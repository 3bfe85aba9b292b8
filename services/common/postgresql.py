"""PostgreSQL's side of the limits of `store_guard.py`: connections that do not wait for ever.

The server's own limits end what is slow. A server that has stopped enforces nothing, and the kernel goes on acknowledging what is sent to
it: therefore the client has a limit, too.
"""

from __future__ import annotations

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import event
from sqlalchemy.engine import Engine

from services.common.store_guard import ANSWER_S, asking, call
from services.common.threads import call_in_thread

RV = TypeVar("RV")

STATEMENT_TIMEOUT_S = ANSWER_S - 0.5  # the server's: it ends before the client gives the connection up
LOCK_TIMEOUT_S = 2.0
CONNECT_S = 3.0  # for a new connection in all: the name, and every address that it stands for


class NoAnswer(psycopg.OperationalError):
    """The server has been silent for too long; the connection is closed. What it was asked last may be done or not."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server stays silent for longer than the thread's call may wait."""

    _asks = True  # whether what is waited for is an exchange with the server

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait as psycopg does; every exchange passes here. Raises NoAnswer."""
        limit = call.silence_s() if timeout is None else timeout
        until = time.monotonic() + limit
        try:
            with asking:
                found = super().wait(gen, interval, limit)
        except psycopg.Error as error:
            if error.sqlstate is not None:
                call.answered()
            elif timeout is None and time.monotonic() >= until:
                self.close()
                call.silent()
                raise NoAnswer(f"no answer for {limit:.1f} s") from None
            raise
        if self._asks:
            call.answered()
        return found

    def set_autocommit(self, value: bool) -> None:
        """Set it as psycopg does, without asking the server: the call learns nothing about it."""
        self._asks = False
        try:
            super().set_autocommit(value)
        finally:
            self._asks = True


def bound(engine: Engine) -> None:
    """Give the engine bounded connections."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> BoundedConnection:
        try:
            connection = _connected(arguments, options)
        except psycopg.OperationalError:
            call.silent()
            raise
        try:
            _limit(connection)
        except psycopg.Error:
            connection.close()
            raise
        return connection

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        if call.patience_s > ANSWER_S:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_milliseconds(call.patience_s)}")


def _connected(arguments: list[Any], options: dict[str, Any]) -> BoundedConnection:
    """Connect. Raises OperationalError within CONNECT_S.

    In a thread of its own: psycopg's limit is for each address, and finding them has none.
    """
    made = call_in_thread(_connect, arguments, options, name="connecting", unwanted=lambda late: late.close())
    try:
        with asking:
            return made.result(CONNECT_S)
    except TimeoutError:
        if made.cancel():
            raise NoAnswer(f"no connection within {CONNECT_S:.0f} s") from None
        return made.result()


def _connect(arguments: list[Any], options: dict[str, Any]) -> BoundedConnection:
    return BoundedConnection.connect(*arguments, **options)


def _limit(connection: BoundedConnection) -> None:
    """By a statement, not among the parameters of the start, which poolers refuse."""
    connection.autocommit = True
    connection.execute(
        "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
        (_milliseconds(STATEMENT_TIMEOUT_S), _milliseconds(LOCK_TIMEOUT_S)),
    )
    connection.autocommit = False


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
