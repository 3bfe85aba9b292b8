"""What `/ready` says of a database, and what a call answers that the database does not take."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from services.common.app import create_app
from services.common.core_database import CoreDatabase, refuses_writes
from services.common.migrations import NewerDatabase, NotMigrated
from services.common.readiness import DatabaseCheck, NotReady


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code knows one migration."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "0001_first.py").touch()
    monkeypatch.setattr("services.common.migrations.migrations_folder", lambda _: tmp_path)


@pytest.fixture
def database(database_url: str) -> Iterator[CoreDatabase]:
    opened = CoreDatabase(database_url)
    with opened.transaction() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('0001')"))
        connection.execute(sa.text("CREATE TABLE things (name VARCHAR(100000))"))
    yield opened
    opened.dispose()


def answer(database: CoreDatabase, work: Any) -> tuple[int, Any, str | None]:
    """What a service's call says that does this."""
    app: Flask = create_app("example", version="1", database=database)
    app.add_url_rule("/call", view_func=lambda: str(database.run(work)))
    found = app.test_client().get("/call")
    return found.status_code, found.get_json()["code"], found.headers.get("Retry-After")


def add(connection: sa.Connection) -> None:
    connection.execute(sa.text("INSERT INTO things VALUES (:name)"), {"name": "x" * 100_000})


def only_read(database: CoreDatabase) -> None:
    with database.engine.connect() as connection:
        if database.dialect == "sqlite":
            sa.event.listen(database.engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only = ON"))
        else:
            connection.execute(sa.text(f'ALTER DATABASE "{database.engine.url.database}" SET default_transaction_read_only = on'))
            connection.commit()
    database.dispose()


def test_a_sound_database(database: CoreDatabase) -> None:
    DatabaseCheck("example", database)()
    ready = create_app("example", version="1", database=database).test_client().get("/ready")
    assert (ready.status_code, ready.get_json()["checks"]) == (200, {"database": "ok"})


def test_it_writes_once_in_a_while(database: CoreDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []
    run = database.run
    monkeypatch.setattr(database, "run", lambda work: written.append(work) or run(work))
    check = DatabaseCheck("example", database)
    for _ in range(5):
        check()
    assert len(written) == 1
    check._next_write = 0.0
    check()
    assert len(written) == 2


def test_it_really_writes_to_a_file(sqlite_url: str) -> None:
    database = CoreDatabase(sqlite_url)
    with database.transaction() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version AS SELECT '0001' AS version_num"))
    assert database.engine.url.database
    other = sqlite3.connect(database.engine.url.database)
    check = DatabaseCheck("example", database)
    seen = [other.execute("PRAGMA data_version").fetchone()]
    for _ in range(3):
        check._next_write = 0.0
        check()
        seen.append(other.execute("PRAGMA data_version").fetchone())
    other.close()
    database.dispose()
    assert len(set(seen)) == 4


def test_a_database_that_may_only_be_read(database: CoreDatabase) -> None:
    only_read(database)
    for _ in range(2):
        with pytest.raises(NotReady, match=r"^the database cannot be written: .*read-?only"):
            DatabaseCheck("example", database)()
        assert answer(database, add) == (503, "database-read-only", "10")


def test_a_full_disk(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = CoreDatabase(sqlite_url)
    with database.transaction() as connection:
        connection.execute(sa.text("CREATE TABLE things (name TEXT)"))
    sa.event.listen(database.engine, "checkout", lambda raw, *_: raw.execute("PRAGMA max_page_count = 3").fetchall())
    assert answer(database, add) == (503, "database-full", "10")
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=2, f_frsize=4096))
    with pytest.raises(NotReady, match=r"^the disk of the database has 8,192 bytes left$"):
        DatabaseCheck("example", database)()
    database.dispose()


@pytest.mark.parametrize(("state", "expected"), [("53100", "full"), ("25006", "read-only"), ("23505", None)])
def test_what_postgresql_refuses(state: str, expected: str | None) -> None:
    error = sa.exc.OperationalError("INSERT", {}, type("Refused", (Exception,), {"sqlstate": state})())
    assert refuses_writes(error) == expected


def test_a_folder_that_is_gone(sqlite_url: str) -> None:
    database = CoreDatabase(sqlite_url)
    Path(str(database.engine.url.database)).parent.rmdir()
    with pytest.raises(NotReady, match=r"^the folder of the database cannot be used: No such file or directory$"):
        DatabaseCheck("example", database)()
    Path(str(database.engine.url.database)).parent.mkdir()


def test_a_database_that_does_not_answer() -> None:
    database = CoreDatabase("postgresql://user@127.0.0.1:1/none")
    for _ in range(2):
        with pytest.raises(NotReady, match=r"^the database does not answer$"):
            DatabaseCheck("example", database)()


def test_a_database_that_is_migrated_while_an_older_process_serves(database: CoreDatabase) -> None:
    """Otherwise an upgrade would take all processes away at once."""
    check = DatabaseCheck("example", database)
    check()
    with database.transaction() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0002'"))
    check()
    with pytest.raises(NewerDatabase):
        DatabaseCheck("example", database)()


@pytest.mark.parametrize(
    ("version", "kind", "said"),
    [
        ("0002", NewerDatabase, "it is at migration 0002, this code at 0001. Run the newer version"),
        (None, NotMigrated, "at migration None, the code at 0001; run: python -m services.common.migrate example"),
    ],
)
def test_another_migration(database: CoreDatabase, version: str | None, kind: type[Exception], said: str) -> None:
    with database.transaction() as connection:
        connection.execute(
            sa.text("UPDATE alembic_version SET version_num = :v" if version else "DROP TABLE alembic_version"), {"v": version}
        )
    with pytest.raises(kind, match=said):
        DatabaseCheck("example", database)()


def test_metrics_tell_of_the_disk_of_an_sqlite_database(database: CoreDatabase) -> None:
    """The disk of PostgreSQL is another machine's business."""
    text = create_app("example", version="1", database=database).test_client().get("/metrics").text
    if database.dialect == "sqlite":
        free = float(re.findall(r"^service_disk_free_bytes (.*)$", text, re.MULTILINE)[0])
        assert 0 < free < float(re.findall(r"^service_disk_size_bytes (.*)$", text, re.MULTILINE)[0])
    else:
        assert "service_disk_" not in text
