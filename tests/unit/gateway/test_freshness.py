"""What a worker has in memory follows the store: what was announced, what no announcement said, and which keys were used."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa

from services.gateway.definitions.claims import Claim
from services.gateway.keys.model import Key, Opened
from services.gateway.stores.definition_model import StoredDefinition
from services.gateway.stores.definitions import DefinitionStore
from services.gateway.wiring import Gateway
from tests.support.waiting import wait_until
from tests.unit.gateway.exchanges import document


def away(*_: Any) -> NoReturn:
    raise OSError("the database is away")


class Worker:
    """A started gateway's changes, without its loop. loaded: how often everything was read; asked: hashes that the store was asked for."""

    def __init__(self, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gateway = gateway
        self.loaded = 0
        self.asked: list[str] = []
        read_all, by_hash = gateway.definitions.all, gateway.keys_store.by_hash

        def all() -> list[StoredDefinition]:
            self.loaded += 1
            return read_all()

        def ask(hash: str) -> Opened | None:
            self.asked.append(hash)
            return by_hash(hash)

        monkeypatch.setattr(gateway.definitions, "all", all)
        monkeypatch.setattr(gateway.keys_store, "by_hash", ask)
        gateway._load()
        gateway.announcements.start(gateway.freshness.apply)

    def opens(self, *hashes: str) -> list[bool]:
        """Whether each opens a key, in memory or in the store."""

        async def look() -> list[bool]:
            found = [self.gateway.keys.find_hash(hash) for hash in hashes]
            return [(one if isinstance(one, Key | None) else await one) is not None for one in found]

        self.asked.clear()
        return asyncio.run(look())


@pytest.fixture
def worker(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(gateway, monkeypatch)


def saved(store: DefinitionStore, api_id: str, name: str) -> None:
    """Somebody saves an API; nobody is told."""
    raw = document(id=f"i-{api_id}", api_id=api_id, name=name, proxy={"listen_path": f"/{api_id}/", "target_url": "http://h/"})
    write = store.update if store.get(api_id) else store.create
    arguments = (f"i-{api_id}", raw) if store.get(api_id) else (raw,)
    write(*arguments, [], claim=Claim(f"/{api_id}/", True), who="a")  # type: ignore[operator]


def test_what_no_announcement_said_is_found_and_only_that_is_done(worker: Worker) -> None:
    gateway, store = worker.gateway, worker.gateway.keys_store
    ids = [store.create(hash, {}).id for hash in ("a", "b", "c")]
    for name in ("one", "two"):
        saved(gateway.definitions, name, "First")
    gateway.freshness.catch_up()
    assert worker.opens("a", "b", "c") == [True, True, True]
    before = gateway.live.current
    store.delete(ids[1])
    saved(gateway.definitions, "two", "Second")
    gateway.freshness.catch_up()
    assert worker.opens("a", "b", "c") == [True, False, True]
    assert worker.asked == ["b"]
    assert gateway.live.current.apis["two"].name == "Second"
    assert gateway.live.current.apis["one"] is before.apis["one"]
    assert worker.loaded == 1, "at the start"


def test_a_look_at_a_store_where_nothing_changed_costs_four_reads(worker: Worker) -> None:
    statements: list[str] = []
    sa.event.listen(worker.gateway.database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    number = worker.gateway.live.current.number
    worker.gateway.freshness.catch_up()
    assert sum("SELECT" in one for one in statements) == len([one for one in statements if one != "BEGIN"]) == 4
    assert worker.gateway.live.current.number == number


def test_what_was_announced_is_not_done_again(worker: Worker) -> None:
    gateway = worker.gateway
    made = gateway.keys_store.create("a", {})
    assert gateway.publish_keys(made.generation, made.changed) == []
    assert worker.opens("a", "b") == [True, False]
    changed = gateway.keys_store.replace(made.id, {"rate": 3})
    assert gateway.publish_keys(changed.generation, changed.changed) == []
    saved(gateway.definitions, "one", "First")
    assert gateway.publish_definitions() == []
    served = gateway.live.current
    assert (sorted(served.apis), worker.opens("a"), worker.asked) == (["one"], [True], ["a"])
    gateway.freshness.catch_up()
    assert gateway.live.current is served
    assert (worker.opens("a"), worker.asked) == ([True], [])
    assert worker.loaded == 1, "at the start"


def test_a_reload_that_somebody_asks_for_reads_everything(worker: Worker) -> None:
    assert worker.gateway.publish_reload() == []
    assert worker.loaded == 2


def test_a_worker_that_did_not_listen_finds_what_was_said(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection to Valkey was lost and is there again."""
    gateway = worker.gateway
    made = gateway.keys_store.create("a", {})
    gateway.keys_store.create("b", {})
    gateway.freshness.apply("keys", [])
    worker.opens("a", "b")
    gateway.keys_store.delete(made.id)
    gateway.freshness.apply("keys", [])
    assert (worker.opens("a", "b"), worker.asked) == ([False, True], ["a"])
    with monkeypatch.context() as patched:
        patched.setattr(gateway.keys_store, "changes", away)
        gateway.freshness.apply("keys", [])
    assert (worker.opens("b"), worker.asked) == ([True], ["b"]), "nobody could say what changed: nothing stays open"


def test_what_a_silent_store_does_not_say_is_taken_for_changed_at_once(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that was revoked meanwhile does not stay open for as long as the store is waited for."""
    monkeypatch.setattr("services.gateway.freshness._AT_ONCE", 0.001)
    gateway = worker.gateway
    gateway.keys_store.create("a", {})
    worker.opens("a")
    answer = threading.Event()
    monkeypatch.setattr(gateway.keys_store, "changes", lambda seen: answer.wait(30) and away())
    looking = threading.Thread(target=gateway.freshness.apply, args=("keys", []))
    looking.start()
    wait_until(lambda: len(gateway.keys) == 0, 30, "an empty memory")
    assert looking.is_alive(), "the store is still waited for"
    answer.set()
    looking.join(30)


def test_a_database_that_takes_no_writes_still_says_which_keys_changed(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again and again since the start; keys come into memory meanwhile."""
    gateway = worker.gateway
    made = gateway.keys_store.create("a", {})
    assert worker.opens("a") == [True]
    gateway.keys_store.delete(made.id)
    gateway.loading.missing = "it takes no writes"
    monkeypatch.setattr(gateway.hooks, "seal_all", away)
    with pytest.raises(OSError, match="away"):
        gateway._load()
    assert worker.opens("a") == [False]


def test_keys_whose_use_could_not_be_noted_are_noted_later(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.keys.give_back_used({"a", "b"})
    with monkeypatch.context() as patched:
        patched.setattr(gateway.keys_store, "mark_used", away)
        with pytest.raises(OSError, match="away"):
            gateway.freshness.mark_used()
    noted: list[set[str]] = []
    monkeypatch.setattr(gateway.keys_store, "mark_used", lambda ids, when: noted.append(set(ids)))
    gateway.freshness.mark_used()
    assert noted == [{"a", "b"}]


def test_a_key_in_use_is_noted_once_a_minute(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[set[str]] = []
    monkeypatch.setattr(gateway.keys_store, "mark_used", lambda ids, when: noted.append(set(ids)))
    for used in ({"a"}, {"a"}, {"a", "b"}):
        gateway.keys.give_back_used(used)
        gateway.freshness.mark_used()
    assert noted == [{"a"}, {"b"}]
    monkeypatch.setattr("services.gateway.freshness._NOTED_EVERY", 0.0)
    gateway.freshness._noted_until = 0.0
    for _ in range(2):
        gateway.keys.give_back_used({"a"})
        gateway.freshness.mark_used()
    assert noted[2:] == [{"a"}, {"a"}]
