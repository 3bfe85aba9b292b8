"""PostGIS's index over the nodes: `python -m services.mobility.cli spatial-index`. What it is for stands in `spatial.py`.

It is an index of an expression over the column `geom`: no second column, and every write keeps it.
"""

from __future__ import annotations

from collections.abc import Callable

import click
from sqlalchemy.exc import SQLAlchemyError

from services.common.command_line import Command, show
from services.common.core_database import create_engine
from services.common.settings import load_or_exit
from services.common.startup import in_a_line
from services.mobility.settings import load

NAME = "ix_nodes_geom"
CREATE = f"CREATE INDEX {{}} {NAME} ON nodes USING gist (ST_GeomFromWKB(geom, 4326))"
PRESENT = "SELECT to_regprocedure('st_geomfromwkb(bytea, integer)') IS NOT NULL"  # the extension, in a schema where it is found
_VALID = f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{NAME}')"  # noqa: S608  a constant
_NO_TIME_LIMIT = "SET statement_timeout = 0"


class Impossible(Exception):
    """The database cannot have the index; the text says why and what to do."""


def create(url: str, say: Callable[[str], None] = lambda _: None) -> bool:
    """Create the index beside writers; return False when it is there. Raises Impossible, or the store's error."""
    engine = create_engine(url, bounded=False)
    try:
        if engine.dialect.name != "postgresql":
            raise Impossible("the database is SQLite, whose R*Tree needs nothing; PostGIS is for PostgreSQL")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not connection.exec_driver_sql(PRESENT).scalar_one():
                raise Impossible("the database has no PostGIS; a superuser adds it there: CREATE EXTENSION postgis")
            valid = connection.exec_driver_sql(_VALID).scalar()
            if valid:
                return False
            connection.exec_driver_sql(_NO_TIME_LIMIT)
            if valid is False:  # a run was ended half-way
                connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {NAME}")
            say("creating the index; the service may run meanwhile")
            connection.exec_driver_sql(CREATE.format("CONCURRENTLY"))
            connection.exec_driver_sql("ANALYZE nodes")  # the statistics are what the index is for
            return True
    finally:
        engine.dispose()


def drop(url: str) -> bool:
    """Drop the index; return False when there was none. Raises the store's error."""
    engine = create_engine(url, bounded=False)
    try:
        if engine.dialect.name != "postgresql":
            return False
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            there = connection.exec_driver_sql(_VALID).scalar() is not None
            connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
            return there
    finally:
        engine.dispose()


@click.command("spatial-index", cls=Command, example="python -m services.mobility.cli spatial-index")
@click.option("--drop", "unwanted", is_flag=True, help="Drop it; PostGIS itself may be dropped a minute later.")
def command(unwanted: bool) -> None:
    """Create the index that lets PostGIS find nodes. Processes of the service use it within a minute."""
    settings = load_or_exit("mobility", load)
    try:
        done = drop(settings.database_url) if unwanted else create(settings.database_url, lambda line: click.echo(line, err=True))
    except Impossible as error:
        raise click.ClickException(str(error)) from None
    except (SQLAlchemyError, OSError) as error:
        raise click.ClickException(in_a_line("mobility", error)) from None
    text = {True: f"{NAME} is dropped", False: f"there is no {NAME}"} if unwanted else {True: f"{NAME} is made", False: f"{NAME} is there"}
    show({"index": NAME, "changed": done}, text[done])
