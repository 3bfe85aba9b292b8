"""What psycopg can do and SQLAlchemy does not know: COPY, and several statements in one round trip."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError


def copy(connection: sa.Connection, statement: str, data: bytes) -> None:
    """Run COPY … FROM STDIN. Raises what SQLAlchemy raises."""
    with _driver(connection, statement) as driver, driver.cursor() as cursor, cursor.copy(statement) as copying:
        copying.write(data)


def run(connection: sa.Connection, statement: str, parameters: Mapping[str, Any]) -> None:
    """Run a statement that gives no rows; for one that runs all the time, SQLAlchemy costs more than the driver. Raises what it raises."""
    with _driver(connection, statement) as driver:
        driver.execute(statement, parameters)


def fetch(connection: sa.Connection, queries: Sequence[tuple[str, Sequence[Any]]]) -> list[list[tuple[Any, ...]]]:
    """Run queries one after another, each with its parameters, without waiting between them; return the rows of each.

    Raises what SQLAlchemy raises.
    """
    with _driver(connection, queries[0][0]) as driver:
        cursors = [driver.cursor() for _ in queries]
        with driver.pipeline():
            for cursor, (query, parameters) in zip(cursors, queries, strict=True):
                cursor.execute(query, parameters)
        return [cursor.fetchall() for cursor in cursors]


@contextlib.contextmanager
def _driver(connection: sa.Connection, statement: str) -> Iterator[Any]:
    """Give psycopg's connection, and raise its errors as SQLAlchemy does."""
    module: Any = connection.dialect.loaded_dbapi
    pooled = connection.connection
    try:
        yield pooled.driver_connection
    except module.Error as error:
        lost = connection.dialect.is_disconnect(error, pooled, None)
        if lost:
            connection.invalidate(error)
        raise DBAPIError.instance(
            statement, None, error, module.Error, hide_parameters=True, connection_invalidated=lost, dialect=connection.dialect
        ) from error
