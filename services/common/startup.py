"""A service that starts: what keeps it from it is said in one line; a database that is away does not."""

from __future__ import annotations

import re
import sys
from typing import Any, NoReturn

from sqlalchemy.exc import SQLAlchemyError

from services.common import logging as logs
from services.common.core_database import Transactions, is_unavailable
from services.common.migrations import NotMigrated, check_migrated
from services.common.refusal import Refusal

FAILURES = (NotMigrated, SQLAlchemyError, OSError, ImportError)  # what is not a mistake of the code
EXIT_NOT_STARTED = 3  # gunicorn's own: the master stops, too, instead of starting the worker again and again

# PostgreSQL's answers to a wrong password, role or database. libpq hands out no SQLSTATE for a connection that was not made; a server that
# speaks another language is taken for one that is away.
_SHUT_OUT = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|permission denied for database"
    r'|(?:role|database) "[^"]*" (?:does not exist|is not permitted to log in)'
)

log = logs.get(__name__)


def answers(service: str, database: Transactions[Any]) -> bool:
    """Say whether the database answers. A service that starts without it is not ready until it is back.

    Raises NotMigrated, or the store's error when waiting does not help.
    """
    try:
        check_migrated(service, database)
    except SQLAlchemyError as error:
        if database.dialect == "sqlite" or not is_unavailable(error) or _SHUT_OUT.search(str(error)):  # waiting does not help
            raise
        log.error("database unavailable; started without it", error=in_a_line(service, error))
        return False
    return True


def stop(service: str, reason: str) -> NoReturn:
    """Say why the service cannot start, and end the process."""
    sys.stderr.write(f"{service}: cannot start: {reason}\n")
    sys.stderr.flush()
    raise SystemExit(EXIT_NOT_STARTED)


def in_a_line(service: str, error: Exception) -> str:
    """Say what went wrong and what to do, for a terminal; of a refusal also the names of the fields that are wrong."""
    if isinstance(error, Refusal):
        named = "; ".join(f"{name}: {' '.join(map(str, why))}" for name, why in (error.fields or {}).items())
        return f"{error.message}{': ' + named if named else ''}"
    told = str(getattr(error, "orig", None) or error).partition("\n")[0] or type(error).__name__
    if isinstance(error, NotMigrated):
        return told
    if isinstance(error, ImportError):
        return f"{missing_package(error)}; install it with requirements/base.txt"
    if isinstance(error, OSError):
        return f"{error.strerror or told}: {error.filename}; choose another path in its settings" if error.filename else told
    if isinstance(error, SQLAlchemyError):
        return f"the database cannot be used: {told}; check {service.upper()}_DATABASE_URL and the database"
    return told


def missing_package(error: ImportError) -> str:
    """Write the sentence about an import that failed."""
    return (
        f"the Python package {error.name} is missing"
        if isinstance(error, ModuleNotFoundError)
        else f"a Python package does not load: {error}"
    )
