"""Polls that wait without a thread, and polls under many writers."""

from __future__ import annotations

import json
import math
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from services.common.store_guard import StoreUnavailable
from services.sessions.items.store import Changes
from services.sessions.updates import parking
from services.sessions.updates.parking import TICKS, Ask, Outcome, Parked, Released
from services.sessions.updates.service import Update
from tests.support.waiting import wait_until
from tests.unit.sessions.conftest import API, Joined, MakeAPI, value
from tests.unit.sessions.updates.conftest import add, change, end, poll, release, versions


class Lot:
    """The parking of an application. outcomes: of polls, by their owners' names, in the order in which they came."""

    def __init__(self, api: API) -> None:
        self.api = api
        self.outcomes: queue.Queue[tuple[Any, Outcome]] = queue.Queue()
        api.parts.parking.start(self.settle)

    def settle(self, outcomes: Sequence[tuple[Parked, Outcome]]) -> None:
        for one, outcome in outcomes:
            self.outcomes.put((one.owner, outcome))

    def park(self, joined: Joined, known: dict[str, int], owner: Any = None, *, seconds: float = 20, client: bool = True) -> Parked:
        seat = self.api.parts.seats.seat(joined.token, joined.client if client else None, following=True)
        made = Parked(seat, known, math.ceil((time.monotonic() + seconds) * TICKS), owner)
        assert self.api.parts.parking.park(made)
        return made

    def next(self) -> tuple[Any, Outcome]:
        return self.outcomes.get(timeout=20)


@pytest.fixture
def lot(api: API) -> Lot:
    return Lot(api)


def begin(api: API) -> tuple[Joined, dict[str, int]]:
    joined = api.join(api.running())
    return joined, versions(value(poll(api, joined)))


def test_a_change_is_told_once_to_all(api: API, lot: Lot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred polls that wait cost nothing, and a change a few looks at the store."""
    joined, known = begin(api)
    looks: list[int] = []
    many, read = api.parts.lookups.all, api.parts.database.read
    for _ in range(200):
        lot.park(joined, known)
    monkeypatch.setattr(api.parts.lookups, "all", lambda *asked: looks.append(1) or many(*asked))  # type: ignore[func-returns-value]
    monkeypatch.setattr(api.parts.database, "read", lambda: looks.append(1) or read())  # type: ignore[func-returns-value]
    add(api, joined.id)
    found = [lot.next()[1] for _ in range(200)]
    assert isinstance(found[0], Update)
    assert all(outcome is found[0] for outcome in found)
    assert len(looks) < 8
    assert api.parts.polls.taken == 0


def test_a_poll_that_comes_late_is_answered(api: API, lot: Lot) -> None:
    joined, known = begin(api)
    add(api, joined.id)
    lot.park(joined, known)
    _, outcome = lot.next()
    assert isinstance(outcome, Update)
    assert set(json.loads(outcome.body)["items"]) >= {"MESSAGES"}


def test_the_time_of_a_poll_ends(api: API, lot: Lot) -> None:
    joined, known = begin(api)
    lot.park(joined, known, "long")
    lot.park(joined, known, "short", seconds=0.1)
    assert lot.next() == ("short", None)
    assert api.parts.polls.taken == 1


def test_who_is_released_is_told_so(api: API, lot: Lot) -> None:
    joined, known = begin(api)
    lot.park(joined, known, "client")
    lot.park(joined, known, "reader", client=False)
    release(api, joined)
    assert lot.next() == ("client", Released)
    end(api, joined.id)
    assert lot.next() == ("reader", Released)


def test_who_was_released_before_is_sent_to_the_application(api: API, lot: Lot) -> None:
    """Which says exactly why."""
    joined, known = begin(api)
    seat = api.parts.seats.seat(joined.token, joined.client, following=True)
    end(api, joined.id)
    api.parts.parking.park(Parked(seat, known, math.ceil((time.monotonic() + 20) * TICKS), "late"))
    assert lot.next() == ("late", Ask)


def test_a_store_that_is_away_ends_no_poll(api: API, lot: Lot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "AGAIN_S", 0.05)
    joined, known = begin(api)
    lot.park(joined, known, "waits")
    many, failed = api.parts.lookups.all, threading.Event()

    def away(*_: Any) -> Any:
        failed.set()
        raise StoreUnavailable("away")

    monkeypatch.setattr(api.parts.lookups, "all", away)
    add(api, joined.id)
    assert failed.wait(10)
    monkeypatch.setattr(api.parts.lookups, "all", many)
    owner, outcome = lot.next()
    assert (owner, type(outcome)) == ("waits", Update)


def test_all_are_answered_at_the_end(api: API, lot: Lot) -> None:
    joined, known = begin(api)
    for _ in range(3):
        lot.park(joined, known)
    api.parts.wakeups.close()
    assert [lot.next()[1] for _ in range(3)] == [None] * 3
    seat = api.parts.seats.seat(joined.token, joined.client, following=True)
    assert not api.parts.parking.park(Parked(seat, known, 1 << 60, None))
    assert api.parts.polls.taken == 0


def test_who_has_gone_is_forgotten(api: API, lot: Lot) -> None:
    joined, known = begin(api)
    gone = lot.park(joined, known, "gone")
    lot.park(joined, known, "there")
    api.parts.parking.forget(gone)
    api.parts.parking.forget(gone)
    assert api.parts.polls.taken == 1
    add(api, joined.id)
    assert lot.next()[0] == "there"
    assert lot.outcomes.empty()


class Follower:
    """What a client knows of a session from the answers to its polls, each of which it checks."""

    def __init__(self) -> None:
        self.known = dict.fromkeys(("MESSAGES", "BUILDINGS"), -1)
        self.items: dict[str, dict[int, Any]] = {"MESSAGES": {}, "BUILDINGS": {}}

    def take(self, told: Any) -> None:
        for name, items in told["items"].items():
            assert all(one["version"] > self.known[name] for one in items), "told twice"
            self.items[name] |= {one["id"]: one for one in items}
        for name, gone in told["deletes"].items():
            assert all(one["version"] > self.known[name] for one in gone), "told twice"
            for one in gone:
                self.items[name].pop(one["id"], None)
        self.known = versions(told, self.known)


def write(api: API, session_id: int, seed: int) -> None:
    """Make changes of all kinds, several in one transaction."""
    chance = random.Random(seed)

    def work(changes: Changes) -> None:
        for _ in range(chance.randint(1, 3)):
            name = chance.choice(("MESSAGES", "BUILDINGS"))
            items = changes.all(name)
            if len(items) < 4 or chance.random() < 0.4:
                changes.add(name, {"text": str(chance.random())})
            elif chance.random() < 0.5:
                changes.change(chance.choice(items), {"text": str(chance.random())})
            else:
                changes.remove(chance.choice(items))

    for _ in range(15):
        change(api, session_id, work)


def by_threads(api: API, joined: Joined, follower: Follower, over: threading.Event) -> None:
    while not over.is_set():
        answer = poll(api, joined, follower.known, timeout=25)
        if answer.status_code == 200:
            follower.take(answer.json)


def parked(api: API, joined: Joined, follower: Follower, over: threading.Event) -> None:
    found: queue.Queue[Outcome] = queue.Queue()
    while not over.is_set():
        seat = api.parts.seats.seat(joined.token, joined.client, following=True)
        api.parts.parking.park(Parked(seat, dict(follower.known), math.ceil((time.monotonic() + 20) * TICKS), found))
        outcome = found.get(timeout=25)
        if isinstance(outcome, Update):
            follower.take(json.loads(outcome.body))


@pytest.mark.parametrize("follow", [by_threads, parked])
def test_nothing_is_missed_and_nothing_comes_twice(make_api: MakeAPI, follow: Callable[..., None]) -> None:
    api = make_api()

    def settle(outcomes: Sequence[tuple[Parked, Outcome]]) -> None:
        for one, outcome in outcomes:
            one.owner.put(outcome)

    api.parts.parking.start(settle)
    joined = api.join(api.running())
    followers, over, failed = [Follower() for _ in range(3)], threading.Event(), []

    def run(follower: Follower) -> None:
        try:
            follow(api, joined, follower, over)
        except BaseException as error:
            failed.append(error)

    following = [threading.Thread(target=run, args=(follower,), daemon=True) for follower in followers]
    writing = [threading.Thread(target=write, args=(api, joined.id, seed)) for seed in range(4)]
    for thread in (*following, *writing):
        thread.start()
    for thread in writing:
        thread.join(60)
    expected = value(poll(api, joined, {"MESSAGES": -1, "BUILDINGS": -1}))["items"]
    state = {name: {one["id"]: one for one in expected.get(name, ())} for name in ("MESSAGES", "BUILDINGS")}
    wait_until(lambda: failed or all(follower.items == state for follower in followers), what="the state of the store")
    over.set()
    end(api, joined.id)
    for thread in following:
        thread.join(30)
    assert failed == []
