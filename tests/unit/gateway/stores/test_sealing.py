"""Webhook secrets at rest: sealed with one master key, sealed afterwards when an earlier version stored them, and gone from the files."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from services.common.core_database import CoreDatabase
from services.common.migrations import migrate
from services.common.sealing import NotOpened
from services.common.webhooks.signing import CannotSign
from services.gateway.settings import Settings
from services.gateway.stores.hooks import HOOKS, HookStore, SigningSecrets
from services.gateway.stores.keys import KEYS, SECRETS, KeyStore
from services.gateway.stores.sealing import SEALING, Sealing, WrongMasterKey
from tests.support.log_lines import captured
from tests.support.migrating import migrate_to
from tests.support.stores import Prepare

KEY, OTHER = "the key of this installation, really", "the key of another installation, truly"
SECRET = "whsec-in-clear-that-nobody-may-find-again"


@pytest.fixture(scope="session")
def prepare_database() -> Prepare:
    def prepare(url: str) -> None:
        migrate("gateway", url)

    return prepare


@pytest.fixture
def database(database_url: str) -> Iterator[CoreDatabase]:
    made = CoreDatabase(database_url)
    yield made
    made.dispose()


def hooks_of(database: CoreDatabase, **settings: Any) -> HookStore:
    return HookStore(database, Sealing(database, Settings(**(settings or {"master_key": KEY}))))


def start_on(database: CoreDatabase) -> None:
    """As a gateway that starts."""
    sealing = Sealing(database, Settings(master_key=KEY))
    HookStore(database, sealing).seal_all()
    KeyStore(database, sealing).seal_all()
    sealing.wipe(HOOKS.name, KEYS.name, SECRETS.name)


def hook(id: str = "h1") -> dict[str, str]:
    return {"id": id, "name": id}


def in_clear(database: CoreDatabase, *ids: str) -> None:
    """Webhooks as an earlier version stored them."""
    hooks = hooks_of(database)
    for id in ids:
        hooks.create(hook(id))
    with database.transaction() as connection:
        connection.execute(sa.update(HOOKS).values(secret=SECRET))


def stored(database: CoreDatabase) -> str:
    with database.read() as connection:
        return "\n".join(str(row) for table in (HOOKS, SEALING) for row in connection.execute(sa.select(table)))


def test_a_secret_is_stored_sealed(database: CoreDatabase) -> None:
    hooks = hooks_of(database)
    hooks.create(hook("h1"), SECRET)
    hooks.create(hook("h2"))
    hooks.create(hook("h3"))
    hooks.replace("h3", hook("h3"), SECRET + " of h3")
    assert SECRET not in stored(database)
    again = hooks_of(database)
    assert [again.secret(id) for id in ("h1", "h2", "h3", "none")] == [SECRET, "", SECRET + " of h3", ""]
    assert [one.get("signed", False) for one in again.page(-1)[0]] == [True, False, True]
    hooks.replace("h1", hook("h1"))
    hooks.replace("h3", hook("h3"), "")
    assert [again.secret(id) for id in ("h1", "h3")] == [SECRET, ""]


def test_a_sealed_secret_that_is_moved_to_another_webhook_does_not_open(database: CoreDatabase) -> None:
    hooks = hooks_of(database)
    hooks.create(hook("h1"), SECRET)
    hooks.create(hook("h2"), "own")
    with database.transaction() as connection:
        sealed = connection.scalar(sa.select(HOOKS.c.sealed).where(HOOKS.c.id == "h1"))
        connection.execute(sa.update(HOOKS).where(HOOKS.c.id == "h2").values(sealed=sealed))
    with pytest.raises(WrongMasterKey):
        hooks.secret("h2")


def test_nothing_is_sealed_with_a_second_key(database: CoreDatabase) -> None:
    hooks_of(database).create(hook("h1"), SECRET)
    other = hooks_of(database, master_key=OTHER)
    with pytest.raises(WrongMasterKey, match="GATEWAY_MASTER_KEY is not the key that sealed"):
        other.create(hook("h2"), "another")
    with pytest.raises(WrongMasterKey):
        other.replace("h1", hook("h1"), "another")
    assert other.get("h2") is None
    assert hooks_of(database).secret("h1") == SECRET
    other.create(hook("h3"))
    other.replace("h1", hook("h1"), "")
    assert hooks_of(database).secret("h1") == ""


def test_of_several_that_seal_first_with_different_keys_one_wins(database: CoreDatabase) -> None:
    outcomes: dict[str, str] = {}

    def create(id: str) -> None:
        try:
            hooks_of(database, master_key=f"key of {id}, which is long enough now").create(hook(id), SECRET)
            outcomes[id] = "sealed"
        except WrongMasterKey:
            outcomes[id] = "refused"

    at_once([lambda id=f"h{number}": create(id) for number in range(6)])
    assert sorted(outcomes.values()) == ["refused"] * 5 + ["sealed"]


def at_once(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_stood_in_clear_is_sealed_by_workers_that_start_at_once(database: CoreDatabase, database_url: str) -> None:
    ids = [f"h{number}" for number in range(20)]
    in_clear(database, *ids)
    failed: list[BaseException] = []

    def start() -> None:
        own = CoreDatabase(database_url)
        try:
            start_on(own)
        except BaseException as error:
            failed.append(error)
        finally:
            own.dispose()

    at_once([start] * 4)
    assert not failed
    assert SECRET not in stored(database)
    hooks = hooks_of(database)
    assert [hooks.secret(id) for id in ids] == [SECRET] * 20


def test_a_start_that_died_in_the_middle_is_gone_on_with(database: CoreDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    in_clear(database, "h1", "h2")
    seal = Sealing.seal

    def die(self: Sealing, connection: sa.Connection, plain: str, place: str, *, wiped: bool = True) -> str:
        if place == "h2":
            raise SystemExit
        return seal(self, connection, plain, place, wiped=wiped)

    with monkeypatch.context() as patched:
        patched.setattr(Sealing, "seal", die)
        with pytest.raises(SystemExit):
            start_on(database)
    with monkeypatch.context() as patched:  # sealed, and dead before anything is wiped
        patched.setattr(Sealing, "wipe", lambda *_: None)
        start_on(database)
    with database.read() as connection:
        assert connection.scalar(sa.select(SEALING.c.wiped)) is False
    with captured() as lines:
        start_on(database)
        start_on(database)
    assert [line["event"] for line in lines] == ["plaintext secrets wiped"]
    assert [hooks_of(database).secret(id) for id in ("h1", "h2")] == [SECRET, SECRET]


def test_a_secret_that_changes_while_it_is_sealed_is_not_lost(database: CoreDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    in_clear(database, "h1")
    run = database.run

    def late(work: Callable[[sa.Connection], Any]) -> Any:
        monkeypatch.setattr(database, "run", run)
        hooks_of(database).replace("h1", hook("h1"), "new")
        return run(work)

    monkeypatch.setattr(database, "run", late)
    start_on(database)
    assert hooks_of(database).secret("h1") == "new"


def test_nothing_is_left_of_it_in_the_files(database: CoreDatabase, database_url: str) -> None:
    """SQLite: main file, log and index. PostgreSQL: the table's file after a checkpoint."""
    in_clear(database, *(f"h{number}" for number in range(50)))
    start_on(database)
    if database.dialect == "sqlite":
        files = list(Path(database_url.removeprefix("sqlite:///")).parent.iterdir())
        assert any(file.stat().st_size for file in files)
    else:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("CHECKPOINT")
            folder = connection.exec_driver_sql("SHOW data_directory").scalar()
            files = [Path(str(folder), str(connection.exec_driver_sql("SELECT pg_relation_filepath('hooks')").scalar()))]
        assert b"h49" in files[0].read_bytes()
    assert not [file for file in files if SECRET.encode() in file.read_bytes()]


def test_a_wipe_may_take_longer_than_a_call_and_leaves_the_limits_of_others(postgresql_url: str) -> None:
    database = CoreDatabase(postgresql_url, pool_size=1)
    in_clear(database, "h1")
    limits: list[Any] = []

    def ask(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("VACUUM"):
            limits.extend(cursor.execute(f"SHOW {name}").fetchone()[0] for name in ("statement_timeout", "lock_timeout"))

    sa.event.listen(database.engine, "before_cursor_execute", ask)
    start_on(database)
    with database.read() as connection:
        limits.extend(connection.scalar(sa.text(f"SHOW {name}")) for name in ("statement_timeout", "lock_timeout"))
        assert connection.scalar(sa.select(SEALING.c.wiped)) is True
    assert limits == [*("1min", "10s") * 3, "3s", "2s"]
    database.dispose()


def test_a_wipe_that_cannot_be_is_tried_again(sqlite_url: str) -> None:
    database = CoreDatabase(sqlite_url)
    in_clear(database, "h1")
    with database.read() as reader, captured() as lines:
        reader.execute(sa.select(HOOKS)).all()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("services.common.core_database.ANSWER_S", 0.05)
            impatient = CoreDatabase(sqlite_url)
            start_on(impatient)
            impatient.dispose()
        assert lines[-1]["event"] == "plaintext secrets not wiped; trying again at the next start"
    start_on(database)
    with database.read() as connection:
        assert connection.scalar(sa.select(SEALING.c.wiped)) is True
    database.dispose()


def test_the_key_file_is_made_before_it_is_needed_and_once(database: CoreDatabase, tmp_path: Path) -> None:
    path = tmp_path / "var" / "master.key"
    at_once([lambda: Sealing(database, Settings(master_key_path=path)).check()] * 8)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text().strip()) >= 32
    hooks = hooks_of(database, master_key_path=path)
    hooks.create(hook(), SECRET)
    assert hooks_of(database, master_key=path.read_text().strip()).secret("h1") == SECRET


def test_where_the_key_file_cannot_be_made_it_is_missed_when_a_secret_comes(database: CoreDatabase, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = {"master_key_path": tmp_path / "file" / "master.key"}
    Sealing(database, Settings(**nowhere)).check()
    hooks = hooks_of(database, **nowhere)
    hooks.create(hook("h1"))
    with pytest.raises(WrongMasterKey, match=r"GATEWAY_MASTER_KEY_PATH .* Not a directory"):
        hooks.create(hook("h2"), SECRET)


@pytest.mark.parametrize("lost", ["another key", "no file", "empty file", "short key"])
def test_a_start_with_the_wrong_key_says_what_to_do(lost: str, database: CoreDatabase, tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    hooks_of(database, master_key_path=path).create(hook(), SECRET)
    Sealing(database, Settings(master_key_path=path)).check()
    former = path.read_text()
    content = {"another key": OTHER, "empty file": "", "short key": "short"}.get(lost)
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(WrongMasterKey) as refused:
        Sealing(database, Settings(master_key_path=path)).check()
    said = str(refused.value)
    assert str(path) in said and "\n" not in said
    assert former.strip() not in said and OTHER not in said and SECRET not in said
    if lost == "no file":
        assert not path.exists()  # a new key would hide that the old one is missed


def test_the_courier_is_told_why_it_cannot_sign(database: CoreDatabase) -> None:
    hooks_of(database).create(hook(), SECRET)
    secrets = SigningSecrets(hooks_of(database, master_key=OTHER))
    with pytest.raises(CannotSign, match="cannot be opened, give it a new one: GATEWAY_MASTER_KEY is not"):
        secrets.of("h1")
    assert SigningSecrets(hooks_of(database)).of("h1") == SECRET


def test_the_migration_is_taken_back_with_the_key(database: CoreDatabase, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks_of(database).create(hook("h1"), SECRET)
    hooks_of(database).create(hook("h2"))
    monkeypatch.setenv("GATEWAY_MASTER_KEY", OTHER)
    with pytest.raises(NotOpened):
        migrate_to("gateway", "0004", database, command.downgrade)
    monkeypatch.setenv("GATEWAY_MASTER_KEY", KEY)
    migrate_to("gateway", "0004", database, command.downgrade)
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT id, secret FROM hooks ORDER BY id").all()
    assert [tuple(row) for row in rows] == [("h1", SECRET), ("h2", "")]
    migrate("gateway", database_url)
    hooks = hooks_of(database)
    start_on(database)
    assert hooks.secret("h1") == SECRET
    assert SECRET not in stored(database)
