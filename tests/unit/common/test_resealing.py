"""Values that a former key sealed are sealed again, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.common import resealing
from services.common.core_database import CoreDatabase
from services.common.resealing import Lost, Resealed, Sealed, existing_key, reseal
from services.common.sealing import Seal
from services.common.settings import SettingsError

NEW, OLD, OTHER = "n" * 32, "o" * 32, "x" * 32
BOTH = f"{NEW}\n{OLD}"
THINGS = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.String(10), primary_key=True),
    sa.Column("sealed", sa.Text),
    sa.Column("code", sa.Text, nullable=False),
)
COLUMNS = [Sealed(THINGS.c.sealed, THINGS.c.id, "one"), Sealed(THINGS.c.code, THINGS.c.id, "two")]


@pytest.fixture
def database(database_url: str) -> Iterator[CoreDatabase]:
    opened = CoreDatabase(database_url)
    with opened.transaction() as connection:
        THINGS.metadata.create_all(connection)
    yield opened
    opened.dispose()


def put(database: CoreDatabase, key: str, *ids: str) -> None:
    with database.transaction() as connection:
        for id in ids:
            values = {"id": id, "sealed": Seal("one", key).seal(b"s " + id.encode(), id), "code": Seal("two", key).seal(b"c", id)}
            connection.execute(sa.insert(THINGS).values(values))


def stored(database: CoreDatabase) -> list[tuple[str, ...]]:
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(sa.select(THINGS).order_by(THINGS.c.id))]


def run(database: CoreDatabase, key: str, *, leave_lost: bool = False) -> Resealed:
    return database.run(lambda connection: reseal(connection, COLUMNS, key, leave_lost=leave_lost))


def test_all_values_open_with_the_new_key_alone(database: CoreDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "_AT_ONCE", 2)
    put(database, OLD, "a", "b", "c", "d", "e")
    put(database, NEW, "f")
    with database.transaction() as connection:
        connection.execute(sa.insert(THINGS).values(id="none", sealed=None, code=""))
    assert run(database, BOTH) == Resealed(again=10, already=2)
    assert [Seal("one", NEW).open(sealed, id) for id, sealed, _ in stored(database)[:-1]] == [f"s {id}".encode() for id in "abcdef"]
    assert {Seal("two", NEW).open(code, id) for id, _, code in stored(database)[:-1]} == {b"c"}
    assert stored(database)[-1] == ("none", None, "")
    assert run(database, NEW) == Resealed(already=12)


def test_nothing_changes_with_a_wrong_key(database: CoreDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "_AT_ONCE", 2)
    put(database, OLD, "a", "b", "c")
    before = stored(database)
    with pytest.raises(Lost, match=r"nothing has changed: none of the 2 keys opens 6 of 6 secrets, the first in things.sealed of a$"):
        run(database, f"{NEW}\n{OTHER}")
    with pytest.raises(Lost, match="the key does not open 6 of 6"):
        run(database, NEW)
    put(database, OTHER, "z")
    with pytest.raises(Lost, match=r"2 of 8 secrets, the first in things.sealed of z"):
        run(database, BOTH)
    assert stored(database)[:3] == before


def test_without_a_key_there_is_nothing_to_do_unless_something_is_sealed(database: CoreDatabase) -> None:
    assert run(database, "") == Resealed()
    put(database, OLD, "a")
    with pytest.raises(Lost, match=r"nothing has changed: there is no master key for 2 of 2 secrets, the first in things.sealed of a$"):
        run(database, "")


def test_what_is_lost_can_be_left(database: CoreDatabase) -> None:
    put(database, OLD, "a")
    put(database, OTHER, "z")
    lost = stored(database)[1]
    assert run(database, BOTH, leave_lost=True) == Resealed(again=2, lost=2, first_lost="things.sealed of z")
    assert stored(database)[1] == lost
    assert Seal("two", NEW).open(stored(database)[0][2], "a") == b"c"


def test_killed_in_the_middle_nothing_has_changed(database: CoreDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "_AT_ONCE", 1)
    put(database, OLD, "a", "b", "c")
    before = stored(database)
    again = Seal.again
    monkeypatch.setattr(Seal, "again", lambda self, sealed, place: again(self, sealed, place) if place != "c" else _die())
    with pytest.raises(SystemExit):
        run(database, BOTH)
    assert stored(database) == before


def _die() -> str:
    raise SystemExit


def test_what_changes_meanwhile_is_not_overwritten(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite has one writer at a time."""
    database = CoreDatabase(postgresql_url)
    with database.transaction() as connection:
        THINGS.metadata.create_all(connection)
    put(database, OLD, "a")
    again = Seal.again

    def late(self: Seal, sealed: str, place: str) -> str | None:
        other = CoreDatabase(postgresql_url)
        with other.transaction() as connection:
            connection.execute(sa.update(THINGS).values(sealed="changed"))
        other.dispose()
        monkeypatch.setattr(Seal, "again", again)
        return again(self, sealed, place)

    monkeypatch.setattr(Seal, "again", late)
    run(database, BOTH)
    assert stored(database)[0][1] == "changed"
    database.dispose()


def test_no_key_is_drawn(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    assert existing_key("X_MASTER_KEY", None, file) == ""
    assert not file.exists()
    with pytest.raises(SettingsError, match=r"X_MASTER_KEY: .* cannot be read: Is a directory"):
        existing_key("X_MASTER_KEY", None, tmp_path)
    assert existing_key("X_MASTER_KEY", NEW, file) == NEW
    file.write_text(f"{BOTH}\n")
    assert existing_key("X_MASTER_KEY", None, file) == BOTH
    file.write_text("short")
    with pytest.raises(SettingsError, match="must have 32 characters"):
        existing_key("X_MASTER_KEY", None, file)
