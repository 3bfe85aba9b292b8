"""Whose password is checked next, and how many wait."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.auth.app import build
from services.auth.credentials.service.turns import FAMILIAR, ORDINARY, SUSPECT, Turns
from services.common.refusal import Refusal
from tests.support.waiting import wait_until
from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth, settings_for
from tests.unit.auth.guessing import fail, try_it


@pytest.mark.slow
def test_fifty_log_ins_at_once_all_succeed(auth: Auth) -> None:
    with ThreadPoolExecutor(50) as pool:
        tokens = list(pool.map(lambda _: auth.log_in(), range(50)))
    assert len(set(tokens)) == 50


def test_guesses_at_once_are_counted_before_the_next_is_checked(auth: Auth) -> None:
    with ThreadPoolExecutor(30) as pool:
        statuses = list(pool.map(lambda _: fail(auth), range(30)))
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 5 + auth.parts.settings.hashers


def test_too_many_waiting_are_told_to_come_back(database_url: str, tmp_path: Path, auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    app = build(settings_for(database_url, tmp_path, hashers=1, hash_queue=1), auth.clock, key="k" * 32)
    busy = Auth(app, auth.clock)
    fits, told = busy.parts.hasher._fits, threading.Event()
    monkeypatch.setattr(busy.parts.hasher, "_fits", lambda kept, password: told.wait(30) and fits(kept, password))
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(busy.ask, "POST", "/login", {"email": ADMIN, "password": PASSWORD}) for _ in range(3)]
        first = next(as_completed(asked)).result()
        told.set()
    busy.parts.close()
    assert (first.status_code, first.headers["Retry-After"]) == (503, "1")
    assert sorted(one.result().status_code for one in asked) == [200, 200, 503]


def test_guesses_do_not_take_the_places_of_accounts_without_failures(
    database_url: str, tmp_path: Path, auth: Auth, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth.add_user("ada@example.org", admin)
    app = build(settings_for(database_url, tmp_path, hashers=1, hash_queue=20), auth.clock, key="k" * 32)
    busy = Auth(app, auth.clock)
    assert fail(busy, address="203.0.113.9") == 401
    fits, told = busy.parts.hasher._fits, threading.Event()
    checked: list[str] = []

    def slowly(kept: str, password: str) -> bool:
        assert told.wait(60)
        checked.append(password)
        return fits(kept, password)

    monkeypatch.setattr(busy.parts.hasher, "_fits", slowly)
    turns = busy.parts.hasher._turns
    with ThreadPoolExecutor(40) as pool:
        guesses = [pool.submit(fail, busy, f"user{n}@example.org", "203.0.113.9") for n in range(30)]
        wait_until(lambda: sum(one.done() for one in guesses) == 13, what="the guesses that found no place")
        assert {one.result() for one in guesses if one.done()} == {503}
        assert turns._inside == 17
        ada = pool.submit(try_it, busy, "192.0.2.1", "ada@example.org")
        familiar = pool.submit(try_it, busy)
        wait_until(lambda: turns._inside == 19, what="places for the two who never failed")
        assert fail(busy, "one-more@example.org", "203.0.113.9") == 503
        told.set()
    busy.parts.close()
    assert (ada.result().status_code, familiar.result().status_code) == (200, 200)
    assert checked[1:3] == [PASSWORD] * 2  # right after the guess that was being looked at


def test_guesses_at_an_account_take_no_share_from_where_its_owner_was_lately(
    database_url: str, tmp_path: Path, auth: Auth, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers at many addresses fill all of the queue that they may, at the very account that the owner signs in to."""
    auth.add_user("ada@example.org", admin)
    auth.log_in("ada@example.org", address="192.0.2.1")
    app = build(settings_for(database_url, tmp_path, hashers=1, hash_queue=20), auth.clock, key="k" * 32)
    busy = Auth(app, auth.clock)
    fits, told = busy.parts.hasher._fits, threading.Event()
    checked: list[str] = []

    def slowly(kept: str, password: str) -> bool:
        assert told.wait(60)
        checked.append(password)
        return fits(kept, password)

    monkeypatch.setattr(busy.parts.hasher, "_fits", slowly)
    turns = busy.parts.hasher._turns
    with ThreadPoolExecutor(40) as pool:
        guesses = [pool.submit(fail, busy, "ada@example.org", f"203.0.113.{n}") for n in range(30)]
        wait_until(lambda: sum(one.done() for one in guesses) == 13, what="the guesses that found no place")
        owner = pool.submit(try_it, busy, "192.0.2.1", "ada@example.org")
        wait_until(lambda: owner.done() or turns._inside == 18, what="the owner's place")
        told.set()
    busy.parts.close()
    assert owner.result().status_code == 200
    assert checked[1] == PASSWORD  # right after the guess that was being looked at


def test_an_account_cannot_fill_the_queue_from_many_familiar_places(
    database_url: str, tmp_path: Path, auth: Auth, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth.add_user("ada@example.org", admin)
    for n in range(30):
        auth.log_in("ada@example.org", address=f"203.0.113.{n}")
    app = build(settings_for(database_url, tmp_path, hashers=1, hash_queue=20), auth.clock, key="k" * 32)
    busy = Auth(app, auth.clock)
    fits, told = busy.parts.hasher._fits, threading.Event()
    monkeypatch.setattr(busy.parts.hasher, "_fits", lambda kept, password: told.wait(60) and fits(kept, password))
    turns = busy.parts.hasher._turns
    with ThreadPoolExecutor(40) as pool:
        many = [pool.submit(try_it, busy, f"203.0.113.{n}", "ada@example.org") for n in range(30)]
        wait_until(lambda: turns._inside + sum(one.done() for one in many) == 30, what="all have a place or none")
        other = pool.submit(try_it, busy)
        wait_until(lambda: other.done() or turns._inside == 18, what="the other's place")
        told.set()
    busy.parts.close()
    assert sorted(one.result().status_code for one in many) == [200] * 17 + [503] * 13
    assert other.result().status_code == 200


def test_turns_go_by_rank_and_none_waits_forever() -> None:
    turns = Turns(slots=1, queue=100)
    order: list[int] = []

    def go(rank: int) -> None:
        with turns.turn(rank):
            order.append(rank)

    with ThreadPoolExecutor(20) as pool, turns.turn(FAMILIAR):
        for n, rank in enumerate([SUSPECT] * 3 + [ORDINARY] * 3 + [FAMILIAR] * 3):
            pool.submit(go, rank)
            wait_until(lambda n=n: turns._number == n + 1, what="one more that waits")
    assert order == [FAMILIAR] * 3 + [SUSPECT] + [ORDINARY] * 3 + [SUSPECT] * 2


def test_one_address_and_one_account_do_not_hold_the_last_places() -> None:
    turns = Turns(slots=2, queue=40)
    with ExitStack() as held, ThreadPoolExecutor(60) as pool:
        ended = threading.Event()

        def hold(rank: int, *holders: str) -> bool:
            try:
                with turns.turn(rank, holders):
                    return ended.wait(60)
            except Refusal:
                return False

        held.callback(ended.set)
        asked = [pool.submit(hold, FAMILIAR, "account:a", "address:b") for _ in range(42)]
        wait_until(lambda: turns._inside + sum(one.done() for one in asked) == 42)
        assert turns._inside == 42 - 2 * 4
        others = [pool.submit(hold, ORDINARY, f"account:{n}", f"address:{n}") for n in range(6)]
        wait_until(lambda: turns._inside + sum(one.done() for one in (*asked, *others)) == 48)
        assert turns._inside == 42 - 4
        ended.set()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a priority of its own")
def test_the_threads_that_hash_give_way_to_those_that_answer(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    fits = auth.parts.hasher._fits

    def look(kept: str, password: str) -> bool:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return fits(kept, password)

    monkeypatch.setattr(auth.parts.hasher, "_fits", look)
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    auth.log_in()
    assert len(seen) == 1
    assert seen[0] > before
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
