"""The database base on both stores: transactions, several writers at once, moments, migrations that start together."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from services.common.core_database import ATTEMPTS, is_transient, is_unavailable, normalise
from services.common.database import Conventions, Database, SQLAlchemy
from services.common.migrations import NewerDatabase, head_revision, migrate, migrations_folder

ROOT = Path(__file__).resolve().parents[3]


class Base(Conventions, DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]
    at: Mapped[dt.datetime | None]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(db, database_url)
    Base.metadata.create_all(opened.engine)
    yield opened
    opened.dispose()


def _add(session: Session, number: int, balance: int = 0) -> None:
    session.add(Account(id=number, balance=balance))


def _balance(database: Database, number: int) -> int | None:
    with database.read() as session:
        return session.scalar(sa.select(Account.balance).where(Account.id == number))


def test_a_transaction_commits(database: Database) -> None:
    with database.transaction() as session:
        _add(session, 1, 5)
    assert _balance(database, 1) == 5


def test_an_exception_rolls_back(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as session:
            _add(session, 1)
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert _balance(database, 1) is None


def test_writers_at_once_lose_nothing(database: Database) -> None:
    """Eight threads read, add one and write, 25 times each: with half-way locks some would fail or overwrite."""
    with database.transaction() as session:
        _add(session, 1)

    def work(session: Session) -> None:
        account = session.scalars(sa.select(Account).where(Account.id == 1).with_for_update()).one()
        account.balance += 1

    failures: list[BaseException] = []

    def write() -> None:
        try:
            for _ in range(25):
                database.run(work)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert _balance(database, 1) == 200


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.transaction() as session:
        _add(session, 1, 1)
    with database.transaction() as writing:
        writing.execute(sa.update(Account).values(balance=2))
        found: list[int | None] = []
        reader = threading.Thread(target=lambda: found.append(_balance(database, 1)))
        reader.start()
        reader.join(30)
        assert found == [1]
    assert _balance(database, 1) == 2


def _locked() -> OperationalError:
    return OperationalError("UPDATE", {}, Exception("database is locked"))


def test_run_tries_again_after_a_lock_failure(database: Database) -> None:
    attempts = []

    def work(session: Session) -> str:
        attempts.append(1)
        _add(session, len(attempts))
        session.flush()
        if len(attempts) < 3:
            raise _locked()
        return "done"

    assert database.run(work) == "done"
    assert [_balance(database, number) for number in (1, 2, 3)] == [None, None, 0]


def test_run_gives_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.common.core_database.time.sleep", lambda _: None)
    attempts = []

    def work(_: Session) -> None:
        attempts.append(1)
        raise _locked()

    with pytest.raises(OperationalError):
        database.run(work)
    assert len(attempts) == ATTEMPTS


def test_run_does_not_repeat_a_wrong_statement(database: Database) -> None:
    attempts = []

    def work(session: Session) -> None:
        attempts.append(1)
        session.execute(sa.text("SELECT nonsense FROM nowhere"))

    with pytest.raises(sa.exc.DBAPIError):
        database.run(work)
    assert len(attempts) == 1


def test_a_deadlock_of_postgresql_is_repeated(postgresql_url: str) -> None:
    """Two transactions lock the same two rows in opposite order: PostgreSQL ends one, and `run` does it again."""
    database = Database(db, postgresql_url)
    Base.metadata.create_all(database.engine)
    with database.transaction() as session:
        _add(session, 1)
        _add(session, 2)
    both = threading.Barrier(2)
    attempts: list[int] = []

    def transfer(first: int, second: int) -> None:
        tried = []

        def work(session: Session) -> None:
            attempts.append(first)
            tried.append(1)
            session.execute(sa.update(Account).where(Account.id == first).values(balance=Account.balance + 1))
            if len(tried) == 1:
                both.wait(30)
            session.execute(sa.update(Account).where(Account.id == second).values(balance=Account.balance + 1))

        database.run(work)

    threads = [threading.Thread(target=transfer, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (_balance(database, 1), _balance(database, 2)) == (2, 2)
    assert len(attempts) == 3
    database.dispose()


def test_moments_are_utc_with_microseconds(database: Database) -> None:
    east = dt.datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    with database.transaction() as session:
        session.add(Account(id=1, balance=0, at=east))
    with database.read() as session:
        found = session.scalars(sa.select(Account.at)).one()
    assert found == east
    assert found is not None
    assert found.utcoffset() == dt.timedelta(0)


def test_a_naive_moment_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="naive datetime"), database.transaction() as session:
        session.add(Account(id=1, balance=0, at=dt.datetime(2026, 1, 1)))


def test_a_store_that_is_away_raises() -> None:
    with pytest.raises(OperationalError) as refused:
        Database(db, "postgresql://user@127.0.0.1:1/none").revision()
    assert is_unavailable(refused.value)
    assert not is_transient(refused.value)


def test_a_pool_without_a_free_connection_is_a_store_that_is_away(database: Database) -> None:
    few = sa.create_engine(database.engine.url, poolclass=sa.QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with few.connect(), pytest.raises(sa.exc.TimeoutError) as refused:
        few.connect()
    few.dispose()
    assert is_unavailable(refused.value)


def test_a_database_that_was_never_migrated(database: Database) -> None:
    assert database.revision() is None


def test_a_database_of_a_newer_version_is_refused_and_keeps_its_migration(database_url: str) -> None:
    database = Database(db, database_url)
    with database.transaction() as session:
        session.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        session.execute(sa.text("INSERT INTO alembic_version VALUES ('9999')"))
    with pytest.raises(NewerDatabase, match=f"it is at migration 9999, this code at {head_revision('tokens')}"):
        migrate("tokens", database_url)
    assert database.revision() == "9999"
    database.dispose()


@pytest.mark.parametrize("service", [folder.parent.name for folder in sorted((ROOT / "services").glob("*/migrations"))])
def test_the_newest_migration_is_what_alembic_says(service: str) -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(migrations_folder(service)))
    assert head_revision(service) == ScriptDirectory.from_config(configuration).get_current_head()


def test_foreign_keys_hold_on_sqlite(sqlite_url: str) -> None:
    with Database(db, sqlite_url).read() as session:
        assert session.execute(sa.text("PRAGMA foreign_keys")).scalar() == 1
        assert session.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"


@pytest.mark.parametrize(("chosen", "pragma"), [({}, 2), ({"sqlite_synchronous": "FULL"}, 2), ({"sqlite_synchronous": "NORMAL"}, 1)])
def test_commits_on_sqlite_are_durable_unless_chosen_otherwise(sqlite_url: str, chosen: dict[str, str], pragma: int) -> None:
    with Database(db, sqlite_url, **chosen).read() as session:  # type: ignore[arg-type]
        assert session.execute(sa.text("PRAGMA synchronous")).scalar() == pragma


def test_an_unknown_word_for_synchronous_is_refused(sqlite_url: str) -> None:
    with pytest.raises(ValueError, match="FULL, NORMAL, not 'OFTEN'"):
        Database(db, sqlite_url, sqlite_synchronous="OFTEN")


def test_postgresql_means_psycopg() -> None:
    assert normalise("postgresql://u:p@h/n").drivername == "postgresql+psycopg"
    assert normalise("sqlite:///x.db").drivername == "sqlite"


@pytest.mark.parametrize("url", ["postgresql://u:p@ss:word@h/n", "postgresql://u:p@ss@h/n"])
def test_a_malformed_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(sa.exc.ArgumentError, match="must be percent-encoded") as refused:
        normalise(url)
    assert "ss" not in str(refused.value).replace("password", "")


def test_each_application_has_its_own_database(tmp_path: Path) -> None:
    """The models are the same; with an application's context Flask-SQLAlchemy finds the engine of that application's database."""
    for number in (1, 2):
        app = Flask(f"app{number}")
        database = Database(db, f"sqlite:///{tmp_path}/{number}.db")
        database.init_app(app)
        Base.metadata.create_all(database.engine)
        with app.app_context():
            assert db.engine is database.engine
            with database.transaction() as session:
                _add(session, 1, number)
        assert _balance(database, 1) == number
        database.dispose()


def test_a_request_leaves_no_connection_behind(database: Database) -> None:
    app = Flask("app")
    database.init_app(app)

    @app.get("/")
    def balance() -> str:
        database.run(lambda session: _add(session, 1, 5))
        with pytest.raises(RuntimeError, match=r"use Database.run"):
            db.session.execute(sa.text("SELECT 1"))
        return str(_balance(database, 1))

    assert app.test_client().get("/").text == "5"
    assert isinstance(database.engine.pool, sa.QueuePool)
    assert database.engine.pool.checkedout() == 0


def test_the_base_is_what_flask_sqlalchemy_calls_the_model() -> None:
    assert db.Model is Base
    assert db.metadata is Base.metadata


def test_constraints_have_names() -> None:
    class Other(Conventions, DeclarativeBase):
        pass

    table = sa.Table("t", Other.metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer, unique=True))
    assert {str(constraint.name) for constraint in table.constraints} == {"pk_t", "uq_t_n"}


ENVIRONMENT = '''"""Migrations of the example."""

import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from services.common.migrations import run_migrations

run_migrations(sa.MetaData())
'''
REVISION = '''"""Holds its lock until all processes have begun, so that they meet."""

import time
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("thing", sa.Column("id", sa.Integer, primary_key=True))
    deadline = time.monotonic() + 30
    while len(list(Path(__file__).parents[2].glob("begun-*"))) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    op.execute("INSERT INTO thing (id) VALUES (1)")
'''
MIGRATE = """
import os, sys
from pathlib import Path
from services.common import migrations
url, folder = sys.argv[1], Path(sys.argv[2])
migrations.migrations_folder = lambda _: folder
(folder.parent / f"begun-{os.getpid()}").touch()
migrations.migrate("example", url)
"""


@pytest.mark.slow
def test_two_processes_that_migrate_at_once_do_not_collide(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENVIRONMENT)
    (folder / "versions" / "0001_thing.py").write_text(REVISION)
    command = [sys.executable, "-c", MIGRATE, database_url, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    children = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    written = [child.communicate(timeout=60)[1] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], written
    database = Database(db, database_url)
    assert database.revision() == "0001"
    with database.read() as session:
        assert session.execute(sa.text("SELECT count(*) FROM thing")).scalar() == 1
    database.dispose()


def test_an_error_shows_no_values(database: Database) -> None:
    twice = [{"id": 424242, "balance": 0}] * 2
    with pytest.raises(IntegrityError) as refused, database.transaction() as session:
        session.execute(sa.insert(Account), twice)
    assert "parameters hidden" in str(refused.value)


@pytest.mark.slow
def test_a_server_that_vanished_is_noticed(postgresql_url: str) -> None:
    database = Database(db, postgresql_url)
    with database.engine.connect() as connection:
        asked = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    database.dispose()
    assert {name: asked.get(name) for name in ("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")} == {
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "15000",
    }
