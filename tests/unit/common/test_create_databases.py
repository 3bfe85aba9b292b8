"""A role and a database for each service, on a real PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest

from services.common import create_databases
from services.common.create_databases import main, wanted
from services.common.settings import SettingsError
from tests.support.stores import PostgreSQL


class Place:
    """Names that no other test uses; URLs as a service has them, by the Unix socket of the test's server."""

    def __init__(self, server: PostgreSQL) -> None:
        url = server.new_database()
        self.host = url.partition("host=")[2]
        self.admin = f"postgresql://postgres:@/postgres?host={self.host}"
        self.name = "s" + secrets.token_hex(5)

    def url(self, password: str, database: str = "") -> str:
        return f"postgresql://{self.name}:{password}@/{database or self.name}?host={self.host}"


@pytest.fixture
def place(postgresql: PostgreSQL) -> Iterator[Place]:
    found = Place(postgresql)
    yield found
    with psycopg.connect(found.admin, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{found.name}" WITH (FORCE)')
        admin.execute(f'DROP ROLE IF EXISTS "{found.name}"')


def hashed(place: Place) -> str:
    with psycopg.connect(place.admin) as admin:
        row = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [place.name]).fetchone()
    assert row is not None
    return str(row[0])


def run(monkeypatch: pytest.MonkeyPatch, place: Place, password: str) -> int:
    monkeypatch.setenv("POSTGRES_ADMIN_URL", place.admin)
    monkeypatch.setenv("TOKENS_DATABASE_URL", place.url(password))
    return main(["tokens"])


def test_role_and_database_are_created(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, place, "s3cret-s3cret") == 0
    told = capsys.readouterr().err
    assert told == f"tokens: role {place.name} created, database {place.name} created\n"
    with psycopg.connect(place.url("s3cret-s3cret")) as own:
        own.execute("CREATE TABLE anything (n integer)")  # it owns the schema, too
        assert own.execute("SELECT current_user, current_database()").fetchone() == (place.name, place.name)


def test_again_it_changes_nothing_and_keeps_the_rows(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, place, "s3cret-s3cret") == 0
    with psycopg.connect(place.url("x"), autocommit=True) as own:
        own.execute("CREATE TABLE kept AS SELECT 7 AS n")
    assert run(monkeypatch, place, "s3cret-s3cret") == 0
    with psycopg.connect(place.url("x")) as own:
        assert own.execute("SELECT n FROM kept").fetchone() == (7,)


def test_another_password_is_set(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of the tests asks nobody for a password, so what it stores is compared."""
    assert run(monkeypatch, place, "the-first-one") == 0
    before = hashed(place)
    assert run(monkeypatch, place, "the-second-one") == 0
    assert before.startswith("SCRAM-SHA-256$")
    assert hashed(place) != before


def test_no_other_role_may_connect(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, place, "s3cret-s3cret") == 0
    other = "o" + secrets.token_hex(5)
    with psycopg.connect(place.admin, autocommit=True) as admin:
        admin.execute(f'CREATE ROLE "{other}" LOGIN')
        try:
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(f"postgresql://{other}@/{place.name}?host={place.host}").close()
        finally:
            admin.execute(f'DROP ROLE "{other}"')


def test_the_password_reaches_no_log(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that logs statements sees a hash."""
    sent: list[str] = []
    execute = psycopg.Connection.execute

    def noting(self: psycopg.Connection[object], query: object, *more: object, **options: object) -> object:
        sent.append(query.as_string(self) if isinstance(query, psycopg.sql.Composable) else str(query))
        return execute(self, query, *more, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(psycopg.Connection, "execute", noting)
    assert run(monkeypatch, place, "pass-word-in-clear") == 0
    assert any("PASSWORD" in one for one in sent)
    assert not [one for one in sent if "pass-word-in-clear" in one]


def test_a_server_that_is_not_there_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(create_databases, "WAIT_S", 0.0)
    monkeypatch.setenv("POSTGRES_ADMIN_URL", "postgresql://postgres:hidden-one@127.0.0.1:1/postgres")
    monkeypatch.setenv("TOKENS_DATABASE_URL", "postgresql://tokens:hidden-two@127.0.0.1:1/tokens")
    assert main(["tokens"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("create_databases: ")
    assert told.count("\n") == 1
    assert "hidden" not in told


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"TOKENS_DATABASE_URL": "postgresql://u:p@h/n"}, "POSTGRES_ADMIN_URL must be a URL of PostgreSQL"),
        ({"POSTGRES_ADMIN_URL": "postgresql://h/n"}, "TOKENS_DATABASE_URL must be a URL of PostgreSQL"),
        ({"POSTGRES_ADMIN_URL": "postgresql://h/n", "TOKENS_DATABASE_URL": "sqlite:///x"}, "TOKENS_DATABASE_URL must be a URL"),
        ({"POSTGRES_ADMIN_URL": "postgresql://h/n", "TOKENS_DATABASE_URL": "postgresql://u@h/n"}, "TOKENS_DATABASE_URL must name password"),
        (
            {"POSTGRES_ADMIN_URL_FILE": "/not/there", "TOKENS_DATABASE_URL": "postgresql://u:p@h/n"},
            "cannot be read from POSTGRES_ADMIN_URL_FILE",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(environment: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError) as raised:
        wanted(["tokens"], environment)
    assert any(told in mistake for mistake in raised.value.mistakes), raised.value.mistakes


def test_without_a_service_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: ")


@pytest.fixture
def ordinary(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """As on a managed server: the administrator may create roles and databases, and is not a superuser."""
    superuser, name = place.admin, f"{place.name}-admin"
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute(f'CREATE ROLE "{name}" LOGIN CREATEROLE CREATEDB')
    monkeypatch.setattr(place, "admin", f"postgresql://{name}:@/postgres?host={place.host}")
    yield place
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{place.name}" WITH (FORCE)')
        admin.execute(f'DROP OWNED BY "{name}"')
        admin.execute(f'DROP ROLE IF EXISTS "{place.name}"')
        admin.execute(f'DROP ROLE "{name}"')
    place.admin = superuser


def test_no_superuser_is_needed(ordinary: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And an extension that only one may create is left out: the service does without it."""
    monkeypatch.setattr(create_databases, "_EXTENSIONS", {"tokens": "vector"})
    for password in ("s3cret-s3cret", "another-s3cret"):
        assert run(monkeypatch, ordinary, password) == 0, capsys.readouterr().err
        with psycopg.connect(ordinary.url(password)) as own:
            own.execute("CREATE TABLE IF NOT EXISTS anything (n integer)")
    left_out = "extension vector left out: only a superuser of this server may create it"
    assert [line.rpartition(", ")[2] for line in capsys.readouterr().err.splitlines()] == [left_out] * 2
