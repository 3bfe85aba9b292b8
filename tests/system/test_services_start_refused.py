"""What keeps a service, or its migration, from starting is said in one line that says what to do, without a trace."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.contract import service as contract
from tests.support.freezing import locked
from tests.support.processes import Process, answers, get, migrate, run_program
from tests.support.stores import PostgreSQL
from tests.support.waiting import free_port, wait_until

SERVICES = sorted(contract.names())


def environment(service: str, url: str, folder: Path) -> dict[str, str]:
    name = service.upper()
    own = {f"{name}_DATABASE_URL": url, f"{name}_BIND": f"127.0.0.1:{free_port()}"}
    return {"PATH": "/usr/bin", **contract.find(service).environment(folder), **own}


def gunicorn(service: str) -> list[str]:
    return [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.service.py", f"services.{service}.wsgi:app"]


def migration(service: str) -> list[str]:
    return [sys.executable, "-m", "services.common.migrate", service]


def refused(command: list[str], env: dict[str, str]) -> str:
    """What it writes; it must end by itself, and not well."""
    done = run_program(command, env)
    assert done.returncode in (1, 3), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def make_newer(url: str) -> None:
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '0099'")
    else:
        with psycopg.connect(url) as server:
            server.execute("UPDATE alembic_version SET version_num = '0099'")


@pytest.mark.parametrize("service", SERVICES)
def test_a_newer_database(database_url: str, tmp_path: Path, service: str) -> None:
    env = environment(service, database_url, tmp_path)
    migrate(service, env)
    make_newer(database_url)
    for command in (migration(service), gunicorn(service)):
        said = refused(command, env)
        assert "a newer version of Gatehouse has used this database: it is at migration 0099, this code at 000" in said
        assert ". Run the newer version, or give this one a backup from before or another database\n" in said


@pytest.mark.parametrize("service", SERVICES)
def test_a_database_that_was_never_migrated(sqlite_url: str, tmp_path: Path, service: str) -> None:
    said = refused(gunicorn(service), environment(service, sqlite_url, tmp_path))
    assert f"{service}: cannot start: the database is at migration None, the code at " in said
    assert f"; run: python -m services.common.migrate {service}\n" in said


@pytest.mark.parametrize("command", [migration, gunicorn])
@pytest.mark.parametrize("service", SERVICES)
def test_an_impossible_folder(tmp_path: Path, service: str, command: Callable[[str], list[str]]) -> None:
    (tmp_path / "file").touch()
    said = refused(command(service), environment(service, f"sqlite:///{tmp_path}/file/new.db", tmp_path))
    assert f": Not a directory: {tmp_path}/file" in said
    assert "; choose another path in its settings\n" in said


@pytest.mark.parametrize("command", [migration, gunicorn])
@pytest.mark.parametrize("service", SERVICES)
def test_a_missing_package(tmp_path: Path, service: str, command: Callable[[str], list[str]]) -> None:
    (tmp_path / "psycopg.py").write_text("raise ModuleNotFoundError(\"No module named 'psycopg'\", name='psycopg')\n")
    env = {**environment(service, "postgresql://user@127.0.0.1:1/none", tmp_path), "PYTHONPATH": str(tmp_path)}
    assert ": the Python package psycopg is missing; install it with requirements/base.txt\n" in refused(command(service), env)


def test_a_package_that_the_routes_need(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "flask_smorest.py").write_text("raise ModuleNotFoundError(\"No module named 'flask_smorest'\", name='flask_smorest')\n")
    env = environment("tokens", sqlite_url, tmp_path)
    migrate("tokens", env)
    said = refused(gunicorn("tokens"), {**env, "PYTHONPATH": str(tmp_path)})
    assert "the Python package flask_smorest is missing; install it with requirements/base.txt" in said


def test_a_migration_without_its_database(tmp_path: Path) -> None:
    said = refused(migration("tokens"), environment("tokens", "postgresql://user@127.0.0.1:1/none", tmp_path))
    assert said.startswith("tokens: the database could not be migrated: the database cannot be used: connection ")
    assert said.endswith("; check TOKENS_DATABASE_URL and the database\n")
    assert said.count("\n") == 1


def test_a_migration_says_what_it_waits_for(sqlite_url: str, tmp_path: Path) -> None:
    env = environment("tokens", sqlite_url, tmp_path)
    migrate("tokens", env)
    with locked(Path(sqlite_url.removeprefix("sqlite:///"))):
        waiting = Process(migration("tokens"), env, tmp_path / "migration.log")
        wait_until(lambda: waiting.text() == "tokens: another process writes to this database; waiting for it\n", 30)
    assert waiting.child.wait(30) == 0
    waiting.stop()


@pytest.mark.parametrize("service", SERVICES)
def test_a_database_that_comes_later(postgresql: PostgreSQL, tmp_path: Path, service: str) -> None:
    """Away at the start: the service lives, is not ready, and goes on by itself when the database is there."""
    url = postgresql.new_database()
    real = environment(service, url, tmp_path)
    migrate(service, real)
    (tmp_path / "socket").mkdir()
    env = {**real, f"{service.upper()}_DATABASE_URL": url.partition("?")[0] + f"?host={tmp_path / 'socket'}"}
    port = int(env[f"{service.upper()}_BIND"].rpartition(":")[2])
    process = Process(gunicorn(service), env, tmp_path / "service.log")
    try:
        wait_until(lambda: answers(port), 60, "health")
        status, body = get(port, "/ready")
        assert (status, b"the database does not answer" in body) == (503, True)
        assert "started without it" in process.text()
        (tmp_path / "socket" / ".s.PGSQL.5432").symlink_to(Path(url.partition("host=")[2]) / ".s.PGSQL.5432")
        wait_until(lambda: get(port, "/ready")[0] == 200, 30, "ready")
        assert "Traceback" not in process.text()
    finally:
        process.stop()
        postgresql.drop(url)
