"""A worker whose database is away at the start: what it serves instead, and how it finds back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from services.common.core_database import CoreDatabase
from services.common.migrations import NotMigrated
from services.gateway.live import Live
from services.gateway.loading import Loading
from services.gateway.stores.copies import DefinitionCopy
from services.gateway.stores.definition_model import StoredDefinition
from services.gateway.stores.sealing import WrongMasterKey
from tests.support.gateway import definition
from tests.support.waiting import wait_until
from tests.unit.gateway.exchanges import ports

AWAY = OperationalError("SELECT 1", {}, ConnectionRefusedError("connection refused\nis the server running?"))


def stored(name: str) -> StoredDefinition:
    return StoredDefinition(f"i-{name}", name, 1, {"id": f"i-{name}", **definition(name, "http://127.0.0.1:9/")})


class Store:
    """A database with two definitions. reads, writes: what happens instead."""

    def __init__(self) -> None:
        self.reads: Exception | None = None
        self.writes: Exception | None = None
        self.asked = 0

    def generation(self) -> int:
        if self.reads is not None:
            raise self.reads
        return 2

    def all(self) -> list[StoredDefinition]:
        return [stored("a"), stored("b")]

    def changed_since(self, generation: int) -> None:
        return None


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def copy(tmp_path: Path) -> DefinitionCopy:
    return DefinitionCopy(CoreDatabase(f"sqlite:///{tmp_path}/gateway.db"), tmp_path / "gateway.db.definitions")


@pytest.fixture
def live(store: Store) -> Live:
    return Live(store, ports())


def loading(store: Store, live: Live, copy: DefinitionCopy | None) -> Loading:
    def load() -> None:
        store.asked += 1
        if store.writes is not None:
            raise store.writes
        live.reload()

    return Loading(load, live, copy)


def test_a_database_that_is_there_is_loaded(store: Store, live: Live, copy: DefinitionCopy) -> None:
    copy.write([stored("old")], 1)
    made = loading(store, live, copy)
    made.begin()
    assert not made.missing
    assert set(live.current.apis) == {"a", "b"}
    made.go_on(threading.Event())
    assert store.asked == 1


def test_the_copy_is_served_until_the_database_is_back(
    store: Store, live: Live, copy: DefinitionCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.loading._AGAIN_S", 0.001)
    copy.write([stored("old")], 1)
    store.reads = store.writes = AWAY
    made = loading(store, live, copy)
    made.begin()
    assert set(live.current.apis) == {"old"}
    assert live.current.generation == 1
    assert "the copy of the definitions of 20" in made.missing
    going = threading.Thread(target=made.go_on, args=(threading.Event(),), daemon=True)
    going.start()
    wait_until(lambda: store.asked > 3, 30, "more attempts")
    store.reads = store.writes = None
    going.join(30)
    assert not made.missing
    assert set(live.current.apis) == {"a", "b"}


@pytest.mark.parametrize("damaged", [False, True])
def test_without_a_copy_nothing_is_served_and_it_is_told(damaged: bool, store: Store, live: Live, copy: DefinitionCopy) -> None:
    if damaged:
        copy.path.write_text("nonsense")
    store.reads = store.writes = AWAY
    made = loading(store, live, copy)
    made.begin()
    assert live.current.number == 0
    assert ("it is damaged" if damaged else "there is no copy") in made.missing
    stopping = threading.Event()
    stopping.set()
    made.go_on(stopping)


def test_a_database_that_can_be_read_and_not_written_is_served_itself(store: Store, live: Live, copy: DefinitionCopy) -> None:
    copy.write([stored("old")], 1)
    store.writes = OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))
    made = loading(store, live, copy)
    made.begin()
    assert set(live.current.apis) == {"a", "b"}
    assert made.missing


@pytest.mark.parametrize("error", [NotMigrated("at 0001"), WrongMasterKey("another key")])
def test_a_database_that_is_wrong_stops_the_start_and_not_what_is_served(
    error: Exception, store: Store, live: Live, copy: DefinitionCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.writes = error
    with pytest.raises(type(error)):
        loading(store, live, copy).begin()
    monkeypatch.setattr("services.gateway.loading._AGAIN_S", 0.001)
    copy.write([stored("old")], 1)
    store.reads = store.writes = AWAY
    made = loading(store, live, copy)
    made.begin()
    stopping = threading.Event()
    going = threading.Thread(target=made.go_on, args=(stopping,), daemon=True)
    going.start()
    store.writes = error
    wait_until(lambda: str(error) in made.missing, 30, "the reason")
    assert set(live.current.apis) == {"old"}
    stopping.set()
    going.join(30)
