"""What each write changed can be told to those who missed it, in the order of the writes, on both stores."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from services.common.clock import SettableClock
from services.common.core_database import CoreDatabase
from services.gateway.settings import Settings
from services.gateway.stores import generations
from services.gateway.stores.generations import CHANGES, GENERATIONS, Changes, raise_generation, since
from services.gateway.stores.keys import KeyStore, StoredKey
from services.gateway.stores.sealing import Sealing


def write(database: CoreDatabase, *items: str) -> int:
    return database.run(lambda connection: raise_generation(connection, "keys", items))


def told(database: CoreDatabase, seen: int) -> Changes:
    with database.read() as connection:
        return since(connection, "keys", seen)


def test_what_changed_since(database: CoreDatabase) -> None:
    assert told(database, 0) == Changes(0, ())
    assert [write(database, "a", "b"), write(database), write(database, "a")] == [1, 2, 3]
    database.run(lambda connection: raise_generation(connection, "definitions", ["z"]))
    assert told(database, 0) == Changes(3, ((1, "a"), (1, "b"), (2, ""), (3, "a")))
    assert told(database, 0).items() == {"a", "b"}
    assert told(database, 2) == Changes(3, ((3, "a"),))
    assert told(database, 3) == Changes(3, ())


def test_the_log_is_bounded_and_who_is_further_behind_is_told_so(database: CoreDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "KEPT", 3)
    for number in range(6):
        write(database, f"k{number}", "all")
    with database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(CHANGES)) == 6
    assert told(database, 3).items() == {"k3", "k4", "k5", "all"}
    assert told(database, 2) == Changes(6, None)


def test_what_the_log_cannot_tell(database: CoreDatabase) -> None:
    for number in range(3):
        write(database, f"k{number}")
    database.run(lambda connection: connection.execute(sa.delete(CHANGES).where(CHANGES.c.number == 2)))
    assert told(database, 1) == Changes(3, None), "a number without an entry: a writer that knows no log"
    assert told(database, 2).items() == {"k2"}
    assert told(database, 7) == Changes(3, None), "an older copy of the database"


def test_two_writers_at_once_are_seen_in_the_order_of_their_numbers(database: CoreDatabase) -> None:
    """A reader that has seen a number must not be surprised by a lower one that is committed later."""
    write(database, "before")
    ended: list[str] = []
    begun = threading.Event()

    def second() -> None:
        begun.set()
        write(database, "second")
        ended.append("second")

    other = threading.Thread(target=second)
    with database.transaction() as connection:
        assert raise_generation(connection, "keys", ["first"]) == 2
        other.start()
        assert begun.wait(30)
        assert told(database, 1) == Changes(1, ())
        ended.append("first")
    other.join(30)
    assert ended == ["first", "second"]
    assert told(database, 1).entries == ((2, "first"), (3, "second"))


def test_a_write_that_is_taken_back_leaves_no_number(database: CoreDatabase) -> None:
    with database.engine.connect() as connection:
        raise_generation(connection, "keys", ["lost"])
        connection.rollback()
    assert write(database, "kept") == 1
    assert told(database, 0).entries == ((1, "kept"),)


def test_many_writers_at_once(database: CoreDatabase) -> None:
    gate = threading.Barrier(6)

    def many(name: int) -> None:
        gate.wait(30)
        for turn in range(5):
            write(database, f"{name}.{turn}")

    threads = [threading.Thread(target=many, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    entries = told(database, 0).entries
    assert entries is not None
    assert [number for number, _ in entries] == list(range(1, 31))
    assert len({item for _, item in entries}) == 30


def test_every_write_of_a_key_names_all_that_opens_it_or_did(database: CoreDatabase) -> None:
    """In the log and, the same, to who wrote it and announces it."""
    clock = SettableClock()
    store = KeyStore(database, Sealing(database, Settings(master_key="m" * 32)), clock)
    seen = 0

    def wrote(*written: StoredKey) -> set[str]:
        nonlocal seen
        seen += 1
        assert {one.generation for one in written} == {seen}
        told = store.changes(seen - 1)
        assert told.number == seen
        assert told.items() == set().union(*(one.changed for one in written))
        return told.items()

    assert wrote(store.create("x", {})) == {"x"}
    made = store.create("h1", {}, other_hashes=["other"])
    assert wrote(made) == {"h1", "other"}
    assert (store.get(made.id).generation, store.get(made.id).changed) == (0, frozenset())  # type: ignore[union-attr]
    store.mark_used([made.id], clock.now())
    assert store.generation() == seen, "use is not a change"
    assert wrote(store.rotate(made.id, "h2", 60)) == {"h1", "other", "h2"}
    assert wrote(store.replace(made.id, {"rate": 3})) == {"h1", "other", "h2"}
    clock.move(61)
    assert wrote(store.rotate(made.id, "h3", 60)) == {"h1", "other", "h2", "h3"}
    assert wrote(store.rotate(made.id, "h4", 0)) == {"h2", "h3", "h4"}
    store.rotate(made.id, "h5", 60)
    seen += 1
    clock.move(61)
    last = store.create("y", {})
    wrote(last)
    assert wrote(*store.delete_all([made.id, last.id])) == {"h4", "h5", "y"}, "a worker whose clock is behind may still know `h4`"
    assert store.generation() == seen
    with database.read() as connection:
        assert connection.scalar(sa.select(GENERATIONS.c.number).where(GENERATIONS.c.name == "keys")) == seen
