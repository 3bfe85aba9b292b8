"""Each change of a key is forgotten once, whether a worker heard of it, missed it, or both."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from services.gateway.keys.cache import CachedKeys
from services.gateway.keys.changes import EVERY, KeyChanges
from services.gateway.keys.model import Key, Opened


@dataclass
class Told:
    number: int
    entries: tuple[tuple[int, str], ...] | None


class Store:
    """Opens every hash. log: what changed, by generation; reaches: how far back it is known."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.reaches = 0
        self.asked: list[str] = []
        self.looked: list[int] = []

    def by_hash(self, hash: str) -> Opened:
        self.asked.append(hash)
        return Opened(Key(hash), None)

    def generation(self) -> int:
        return len(self.log)

    def changes(self, seen: int) -> Told:
        self.looked.append(seen)
        entries = tuple((number, hash) for number, hash in enumerate(self.log, 1) if number > seen)
        return Told(len(self.log), entries if self.reaches <= seen <= len(self.log) else None)


class Worker:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.keys = CachedKeys(store)
        self.changes = KeyChanges(store, self.keys)
        self.changes.begin()

    def forgotten(self, *hashes: str) -> set[str]:
        """Which of these the store is asked for again; afterwards all are known."""
        asyncio.run(self._find(hashes))
        asked, self.store.asked = set(self.store.asked), []
        return asked

    async def _find(self, hashes: tuple[str, ...]) -> None:
        for hash in hashes:
            found = self.keys.find_hash(hash)
            if not isinstance(found, Key | None):
                await found


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def worker(store: Store) -> Worker:
    store.log += ["a", "b"]  # before this worker began
    worker = Worker(store)
    worker.forgotten("a", "b", "c")
    return worker


ALL = ("a", "b", "c")


def test_what_was_missed_is_found_and_nothing_else_is_forgotten(store: Store, worker: Worker) -> None:
    worker.changes.look()
    assert worker.forgotten(*ALL) == set()
    store.log.append("b")
    worker.changes.look()
    assert worker.forgotten(*ALL) == {"b"}
    worker.changes.look()
    assert worker.forgotten(*ALL) == set()
    assert store.looked == [2, 2, 3]


def test_what_was_heard_is_forgotten_at_once_and_not_again(store: Store, worker: Worker) -> None:
    store.log.append("a")
    worker.changes.heard(3, ["a"])
    assert store.looked == [], "nobody is asked"
    assert worker.forgotten(*ALL) == {"a"}
    worker.changes.look()
    assert worker.forgotten(*ALL) == set()


def test_a_change_that_was_missed_between_two_that_were_heard(store: Store, worker: Worker) -> None:
    store.log += ["a", "b", "a", "c"]
    worker.changes.heard(6, ["c"])
    worker.changes.heard(3, ["a"])
    assert worker.forgotten(*ALL) == {"a", "c"}
    worker.changes.look()
    assert worker.forgotten(*ALL) == {"a", "b"}, "of `a` the second change was missed"
    store.log.append("c")
    worker.changes.look()
    assert worker.forgotten(*ALL) == {"c"}


def test_what_was_seen_before_it_is_heard_hides_nothing_later(store: Store, worker: Worker) -> None:
    """The look at the log comes between the commit and the announcement."""
    store.log.append("a")
    worker.changes.look()
    worker.changes.heard(3, ["a"])
    worker.forgotten(*ALL)
    store.log.append("a")
    worker.changes.look()
    assert worker.forgotten(*ALL) == {"a"}


def test_who_is_too_far_behind_forgets_all(store: Store, worker: Worker) -> None:
    store.log += ["a", "a"]
    store.reaches = 3
    worker.changes.look()
    assert worker.forgotten(*ALL) == {"a", "b", "c"}
    worker.changes.look()
    assert worker.forgotten(*ALL) == set()


def test_an_older_copy_of_the_database(store: Store, worker: Worker) -> None:
    """What was heard of the former one hides nothing of this one."""
    worker.changes.heard(4, ["c"])
    store.log = ["a"]
    worker.changes.look()
    assert worker.forgotten(*ALL) == {"a", "b", "c"}
    store.log += ["a", "a", "b"]
    worker.changes.look()
    assert worker.forgotten(*ALL) == {"a", "b"}


@pytest.mark.parametrize("heard", [True, False])
def test_a_change_of_all_keys(store: Store, worker: Worker, heard: bool) -> None:
    """As that of a policy."""
    store.log.append(EVERY)
    if heard:
        worker.changes.heard(3, [EVERY])
    else:
        worker.changes.look()
    assert worker.forgotten(*ALL) == set(ALL)
    worker.changes.look()
    assert worker.forgotten(*ALL) == set()
