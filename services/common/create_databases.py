"""`python -m services.common.create_databases SERVICE …`: give each service its role and its database on a PostgreSQL server.

`POSTGRES_ADMIN_URL` (or `POSTGRES_ADMIN_URL_FILE`) is the URL of somebody who may create both. `<SERVICE>_DATABASE_URL` (or `_FILE`), the
setting of the service itself, names its role, password and database. What is missing is created; a password that is another one now is
set; so it may run before every start, and it ends the rotation of a password. It works on any server, also on a managed one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from services.common import startup
from services.common.settings import EXIT_CONFIGURATION, SettingsError, text_of

WAIT_S = 60.0  # for a server that is being started
_PAUSE_S = 0.5
_CONNECT_S = 5
_STATEMENT_MS = 30_000
_ONE_AT_A_TIME = 4_719_033  # the number of the advisory lock; any that nobody else takes
_EXTENSIONS = {"mobility": "postgis"}  # used where the server has them


class Wanted(NamedTuple):
    """What one service needs."""

    service: str
    role: str
    password: str
    database: str


def wanted(services: list[str], environ: Mapping[str, str]) -> tuple[str, list[Wanted]]:
    """Return the administrator's URL and what each service needs. Raises SettingsError with every mistake; it repeats no password."""
    mistakes: list[str] = []
    admin = _url("POSTGRES_ADMIN_URL", environ, mistakes)
    found = []
    for service in services:
        name = f"{service.upper()}_DATABASE_URL"
        parts = _parts(_url(name, environ, mistakes))
        missing = [part for part in ("user", "password", "dbname") if not parts.get(part)]
        if parts and missing:
            mistakes.append(f"{name} must name {', '.join(missing)}: postgresql://USER:PASSWORD@HOST/NAME")
        elif parts:
            found.append(Wanted(service, str(parts["user"]), str(parts["password"]), str(parts["dbname"])))
    if mistakes:
        raise SettingsError(mistakes)
    return admin, found


def _url(name: str, environ: Mapping[str, str], mistakes: list[str]) -> str:
    try:
        text = text_of(name, True, environ) or ""
    except ValueError as error:
        mistakes.append(f"{name} {error}")
        return ""
    if not text.startswith(("postgresql://", "postgres://")) or not _parts(text):
        mistakes.append(f"{name} must be a URL of PostgreSQL: postgresql://USER:PASSWORD@HOST/NAME")
        return ""
    return text


def _parts(url: str) -> dict[str, Any]:
    try:
        return psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return {}


def connect(url: str) -> psycopg.Connection[Any]:
    """Connect, waiting for a server that is not there yet. Raises psycopg.OperationalError."""
    until = time.monotonic() + WAIT_S
    while True:
        try:
            options = f"-c statement_timeout={_STATEMENT_MS}"
            return psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_S, options=options, application_name="create_databases")
        except psycopg.OperationalError as error:
            if time.monotonic() >= until or "authentication failed" in str(error):
                raise
            time.sleep(_PAUSE_S)


def create(admin: psycopg.Connection[Any], one: Wanted) -> list[str]:
    """Create or change role and database; return what was done, in words. Raises psycopg.Error."""
    done = []
    role, database = sql.Identifier(one.role), sql.Identifier(one.database)
    # Hashed here, so that the server's log of statements never shows it.
    hashed = admin.pgconn.encrypt_password(one.password.encode(), one.role.encode(), b"scram-sha-256").decode()
    known = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [one.role]).fetchone()
    verb = sql.SQL("ALTER" if known else "CREATE")
    admin.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(hashed)))
    done.append(f"role {one.role} {'has its password' if known else 'created'}")
    if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [one.database]).fetchone():
        # Whoever is not a superuser may only give a database to a role that it is a member of.
        admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
        done.append(f"database {one.database} created")
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    return done


def extend(url: str, one: Wanted) -> list[str]:
    """Create the extension that the service uses where the server has it, and this administrator may. url: theirs. Raises psycopg.Error."""
    extension = _EXTENSIONS.get(one.service)
    if extension is None:
        return []
    with connect(psycopg.conninfo.make_conninfo(url, dbname=one.database)) as inside:
        has = inside.execute("SELECT installed_version FROM pg_available_extensions WHERE name = %s", [extension]).fetchone()
        if has is None or has[0] is not None:
            return []
        try:
            inside.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(extension)))
        except psycopg.errors.InsufficientPrivilege:  # the service does without it
            return [f"extension {extension} left out: only a superuser of this server may create it"]
    return [f"extension {extension} created"]


def main(services: list[str]) -> int:
    """Return the exit status."""
    if not services:
        sys.stderr.write("usage: python -m services.common.create_databases SERVICE …\n")
        return 2
    try:
        url, all_wanted = wanted(services, os.environ)
    except SettingsError as error:
        sys.stderr.write("".join(f"create_databases: {mistake}\n" for mistake in error.mistakes))
        return EXIT_CONFIGURATION
    try:
        with connect(url) as admin:
            admin.execute("SELECT pg_advisory_lock(%s)", [_ONE_AT_A_TIME])
            for one in all_wanted:
                said = [*create(admin, one), *extend(url, one)]
                sys.stderr.write(f"{one.service}: {', '.join(said)}\n")
    except psycopg.Error as error:
        sys.stderr.write(f"create_databases: {startup.in_a_line('create_databases', error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
