"""Signals that would do harm leave the gateway as it is: a HUP after which no worker could serve, a TTIN without a Valkey."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.support.gateway import Gateway, definition, gateway
from tests.support.processes import get
from tests.support.stores import Valkey
from tests.support.waiting import wait_until


def _refused_and_then_done(running: Gateway, repair: Callable[[], object]) -> None:
    """A HUP changes nothing now, and does once `repair` has been called."""
    workers = running.workers()
    running.signal(signal.SIGHUP)
    wait_until(lambda: "reload refused" in running.process.text(), 10, "the refusal of the reload")
    assert running.process.alive()
    assert running.workers() == workers
    assert get(running.port, "/a/x")[0] == 502
    repair()
    running.signal(signal.SIGHUP)
    wait_until(lambda: running.workers() and not set(running.workers()) & set(workers), 20, "new workers")
    assert get(running.port, "/a/x")[0] == 502


@pytest.fixture
def definitions() -> list[dict[str, object]]:
    return [definition("a", "http://127.0.0.1:1/")]


def test_a_folder_that_is_not_there(definitions: list[dict[str, object]], tmp_path: Path) -> None:
    with gateway(tmp_path, definitions, {"GATEWAY_SOURCE": "files"}) as running:
        folder = running.folder / "apis"
        elsewhere = folder.rename(running.folder / "elsewhere")
        _refused_and_then_done(running, lambda: elsewhere.rename(folder))


def test_a_valkey_url_that_cannot_be_used(definitions: list[dict[str, object]], valkey: Valkey, tmp_path: Path) -> None:
    url = tmp_path / "valkey-url"
    url.write_text(valkey.url)
    with gateway(tmp_path, definitions, {"VALKEY_URL_FILE": str(url)}) as running:
        url.write_text("redis://user:hunter2@127.0.0.1:1/database")
        _refused_and_then_done(running, lambda: url.write_text(valkey.url))
        assert "hunter2" not in running.process.text()


def test_another_master_key(definitions: list[dict[str, object]], tmp_path: Path) -> None:
    with gateway(tmp_path, definitions) as running:
        hook = {"name": "h", "method": "POST", "target_path": "http://127.0.0.1:9/", "secret": "hunter2"}
        assert running.operator("POST", "/api/hooks", hook)[0] == 200
        file = Path(running.env["GATEWAY_MASTER_KEY_PATH"])
        former = file.read_text()
        file.write_text("another master key of more than 32 letters")
        _refused_and_then_done(running, lambda: file.write_text(former))
        assert "is not the key that sealed the secrets" in running.process.text()


def test_a_database_of_other_code(definitions: list[dict[str, object]], tmp_path: Path) -> None:
    with gateway(tmp_path, definitions) as running, contextlib.closing(sqlite3.connect(running.folder / "gateway.db")) as database:
        (revision,) = database.execute("SELECT version_num FROM alembic_version").fetchone()

        def set_to(version: str) -> None:
            database.execute("UPDATE alembic_version SET version_num = ?", (version,))
            database.commit()

        set_to("9999")
        _refused_and_then_done(running, lambda: set_to(revision))


def test_a_database_that_is_away(definitions: list[dict[str, object]], postgresql_url: str, tmp_path: Path) -> None:
    server = conninfo_to_dict(postgresql_url)
    name = server["dbname"]
    with (
        psycopg.connect(make_conninfo(**{**server, "dbname": "postgres"}), autocommit=True) as admin,
        gateway(tmp_path, definitions, {"GATEWAY_DATABASE_URL": postgresql_url}) as running,
    ):

        def take_connections(really: bool) -> None:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {really}')  # type: ignore[arg-type]  # typed for literals

        take_connections(False)
        _refused_and_then_done(running, lambda: take_connections(True))


def test_a_second_worker_that_could_not_count_with_the_first(definitions: list[dict[str, object]], tmp_path: Path) -> None:
    with gateway(tmp_path, definitions, arguments=["-w", "2"]) as running:
        workers = running.workers()
        assert len(workers) == 1
        said = running.process.text().count("further workers refused")
        assert said
        running.signal(signal.SIGTTIN)
        wait_until(lambda: running.process.text().count("further workers refused") > said, 10, "the refusal of a second worker")
        running.signal(signal.SIGHUP)
        wait_until(lambda: running.workers() and not set(running.workers()) & set(workers), 20, "new workers")
        assert len(running.workers()) == 1


def test_a_second_worker_that_can(definitions: list[dict[str, object]], valkey: Valkey, tmp_path: Path) -> None:
    with gateway(tmp_path, definitions, {"VALKEY_URL": valkey.url}) as running:
        running.signal(signal.SIGTTIN)
        wait_until(lambda: len(running.workers()) == 2, 10, "a second worker")
