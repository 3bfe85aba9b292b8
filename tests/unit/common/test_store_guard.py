"""A store that does not answer: gate and breaker alone, and before an SQLite file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.common import store_guard
from services.common.core_database import CoreDatabase, is_transient, is_unavailable
from services.common.lookups import Lookups
from services.common.store_guard import ANSWER_S, Entrance, Guard, StoreUnavailable, asking, call
from tests.support.asking import add, read, succeeds
from tests.support.freezing import locked
from tests.support.waiting import wait_until

ONE = sa.text("SELECT 1")


def in_threads(number: int, work: Callable[[], Any]) -> tuple[list[threading.Thread], list[BaseException]]:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads, failures


def passes(entrance: Entrance) -> None:
    with entrance:
        pass


# The gate and the breaker alone.


def test_a_full_gate_that_moves_lets_all_pass() -> None:
    guard = Guard(2, together=True)
    passed: list[int] = []

    def work() -> None:
        with guard.reads:
            passed.append(1)

    with guard.reads:
        threads, failures = in_threads(10, work)
        wait_until(lambda: len(guard.reads._gate.line.waiting) == 10)
    for thread in threads:
        thread.join(30)
    assert (failures, len(passed)) == ([], 10)


def test_a_full_gate_that_nobody_leaves_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_guard, "STALL_S", 0.05)
    guard = Guard(2, together=True)
    with guard.reads, asking:
        threads, failures = in_threads(10, guard.reads.enter)
        for thread in threads:
            thread.join(30)
        assert [type(error) for error in failures] == [StoreUnavailable] * 10
        assert is_unavailable(failures[0])
        threads, failures = in_threads(1, lambda: passes(guard.writes))
        threads[0].join(30)
        assert failures == []


def test_a_full_gate_of_calls_that_work_refuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have their answers, and compute: however long it takes, the store is not away."""
    monkeypatch.setattr(store_guard, "STALL_S", 0.01)
    guard = Guard(2, together=True)
    looked: list[float] = []
    come_in = guard.reads._gate.line.come_in

    def counting(patience: Callable[[], float]) -> bool:
        def counted() -> float:
            looked.append(patience())
            return looked[-1]

        return come_in(counted)

    monkeypatch.setattr(guard.reads._gate.line, "come_in", counting)
    with guard.reads:
        with asking:
            pass
        threads, failures = in_threads(3, lambda: passes(guard.reads))
        wait_until(lambda: len(looked) > 12)
        assert failures == []
    for thread in threads:
        thread.join(30)
    assert failures == []


def test_who_waits_for_a_place_is_before_who_comes_back() -> None:
    """One that reads piece after piece may not keep the others out."""
    guard = Guard(2, together=True)
    order: list[str] = []

    def wait() -> None:
        with guard.reads:
            order.append("waited")

    with guard.reads:
        threads, failures = in_threads(3, wait)
        wait_until(lambda: len(guard.reads._gate.line.waiting) == 3)
    with guard.reads:
        order.append("came back")
    for thread in threads:
        thread.join(30)
    assert (failures, order) == ([], ["waited"] * 3 + ["came back"])


def test_an_answer_that_has_begun_waits_for_a_place_however_still_the_store_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_guard, "STALL_S", 0.01)
    guard = Guard(2, together=True)

    def read_on() -> None:
        guard.reads.enter(patient=True)
        guard.reads.leave()

    with guard.reads, asking:
        begun, failures = in_threads(1, read_on)
        wait_until(lambda: len(guard.reads._gate.line.waiting) == 1)
        others, refused = in_threads(3, guard.reads.enter)
        for thread in others:
            thread.join(30)
        assert [type(error) for error in refused] == [StoreUnavailable] * 3
        assert begun[0].is_alive()
    begun[0].join(30)
    assert failures == []


def test_writers_of_a_file_write_in_the_order_of_arrival() -> None:
    guard = Guard(40, together=False)
    turns = guard.writes._turns
    assert turns is not None
    order: list[int] = []
    threads: list[threading.Thread] = []

    def write(number: int) -> None:
        with guard.writes, guard.writes:
            order.append(number)

    with guard.writes:
        for number in range(10):
            threads.append(threading.Thread(target=write, args=(number,)))
            threads[-1].start()
            wait_until(lambda number=number: len(turns.waiting) == number + 1)  # type: ignore[misc]
    for thread in threads:
        thread.join(30)
    assert order == list(range(10))


def test_a_turn_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(40, together=False)
    with guard.writes:
        threads, failures = in_threads(1, lambda: guard.writes.enter(0.01))
        threads[0].join(30)
        assert [str(one) for one in failures] == ["other calls write to the database for too long"]
    for _ in range(2):
        with guard.writes:
            pass
    assert guard.writes._gate.line.inside == guard.writes._gate.asking == 0


def test_a_call_within_a_call_passes() -> None:
    guard = Guard(1, together=True)
    with guard.reads:
        until = call.until
        with guard.reads, guard.writes:
            assert call.until == until
        assert call.depth == 1
    assert call.depth == 0


def test_the_call_that_tries_may_be_refused_by_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the next one tries."""
    monkeypatch.setattr(store_guard, "PAUSE_S", 0.0)
    monkeypatch.setattr(store_guard, "STALL_S", 0.0)
    guard = Guard(2, together=True)
    with guard.reads, asking:

        def find_it_away_then_back() -> None:
            with guard.writes:
                call.silent()
            with pytest.raises(StoreUnavailable, match="none of them has ended lately"):
                guard.reads.enter()
            with guard.writes:
                call.answered()

        threads, failures = in_threads(1, find_it_away_then_back)
        threads[0].join(30)
    assert failures == []


def test_the_breaker_refuses_at_once_then_one_call_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard(8, together=True)
    monkeypatch.setattr(store_guard, "PAUSE_S", 60.0)
    with guard.reads:
        call.silent()
    with pytest.raises(StoreUnavailable, match="does not answer"):
        guard.reads.enter()
    with pytest.raises(StoreUnavailable):
        guard.writes.enter()
    assert call.depth == 0

    monkeypatch.setattr(store_guard, "PAUSE_S", 0.0)
    guard.reads._breaker._next_try = 0.0
    with guard.reads:  # tries
        threads, failures = in_threads(3, guard.writes.enter)
        for thread in threads:
            thread.join(30)
        assert [type(error) for error in failures] == [StoreUnavailable] * 3
        call.silent()
    with guard.writes:  # the next one tries, and finds it back
        call.answered()
    assert guard.reads._breaker._open_since is None
    threads, failures = in_threads(3, lambda: passes(guard.reads))
    for thread in threads:
        thread.join(30)
    assert failures == []


def test_who_waited_for_a_place_does_not_ask_a_store_that_was_found_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_guard, "PAUSE_S", 60.0)
    guard = Guard(2, together=True)
    with guard.reads:
        threads, failures = in_threads(3, lambda: passes(guard.reads))
        wait_until(lambda: len(guard.reads._gate.line.waiting) == 3)
        call.silent()
    for thread in threads:
        thread.join(30)
    assert [str(error) for error in failures] == ["the database does not answer; it is asked again in a moment"] * 3
    assert guard.reads._gate.line.inside == 0


def in_a_call(guard: Guard, began: threading.Event, go_on: threading.Event) -> threading.Thread:
    """A call that is answered when it is told to go on."""

    def work() -> None:
        with guard.reads:
            began.set()
            go_on.wait(30)
            call.answered()

    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(30)
    return thread


def fail(guard: Guard) -> None:
    with guard.reads:
        call.silent()


def test_the_breaker_can_open_again_after_another_call_was_answered_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call tries; one that began earlier is answered before it, and closes the breaker."""
    monkeypatch.setattr(store_guard, "PAUSE_S", 0.0)
    guard = Guard(8, together=True)
    earlier, trial = threading.Event(), threading.Event()
    first = in_a_call(guard, threading.Event(), earlier)
    fail(guard)
    second = in_a_call(guard, threading.Event(), trial)
    for event, thread in ((earlier, first), (trial, second)):
        event.set()
        thread.join(30)
    fail(guard)
    with guard.reads:
        call.answered()
    assert guard.reads._breaker._open_since is None


def test_the_first_answer_closes_the_breaker_however_long_the_call_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_guard, "PAUSE_S", 0.0)
    guard = Guard(8, together=True)
    fail(guard)
    with guard.reads:
        call.answered()
        threads, failures = in_threads(3, lambda: passes(guard.reads))
        for thread in threads:
            thread.join(30)
    assert failures == []


def test_a_call_that_tries_and_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_guard, "PAUSE_S", 0.0)
    monkeypatch.setattr(store_guard, "TRIAL_S", 0.0)
    guard = Guard(8, together=True)
    fail(guard)
    go_on = threading.Event()
    hanging = in_a_call(guard, threading.Event(), go_on)
    with guard.reads:
        call.answered()
    go_on.set()
    hanging.join(30)


def test_a_call_that_tries_and_fails_by_itself_leaves_the_try_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_guard, "PAUSE_S", 0.0)
    guard = Guard(8, together=True)
    fail(guard)
    for _ in range(2):
        with pytest.raises(RuntimeError), guard.reads:
            raise RuntimeError
    assert guard.reads._breaker._open_since is not None


def test_a_call_that_fails_by_itself_says_nothing_about_the_store() -> None:
    guard = Guard(8, together=True)
    with pytest.raises(RuntimeError), guard.reads:
        raise RuntimeError
    with guard.reads:
        pass


# SQLite.


@pytest.fixture
def file(sqlite_url: str) -> Iterator[CoreDatabase]:
    database = CoreDatabase(sqlite_url, at_once=8)
    with database.transaction() as connection:
        connection.execute(sa.text("CREATE TABLE things (id INTEGER)"))
    yield database
    database.dispose()


def path(database: CoreDatabase) -> Path:
    assert database.engine.url.database
    return Path(database.engine.url.database)


@pytest.mark.slow
def test_a_held_write_lock_costs_a_write_its_time_and_a_read_nothing(file: CoreDatabase) -> None:
    with locked(path(file)):
        began = time.monotonic()
        with pytest.raises(sa.exc.OperationalError, match="locked") as refused:
            file.run(add)
        spent = time.monotonic() - began
        assert ANSWER_S - 0.2 < spent < 5
        assert is_transient(refused.value)
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            file.run(add)
        read(file)
        assert time.monotonic() - began < 0.3
    wait_until(lambda: succeeds(lambda: file.run(add)), 5)


def test_a_read_that_is_answered_closes_the_breaker(file: CoreDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a connection that was there already, and for a look-up."""
    monkeypatch.setattr(store_guard, "PAUSE_S", 0.0)
    lookups = Lookups(file.engine.url.render_as_string(), file.guard)
    for ask in (lambda: read(file), lambda: lookups.one(sa.select(sa.literal(1)), {})):
        ask()
        with file.guard.reads:
            call.silent()
        ask()
        assert file.guard.reads._breaker._open_since is None
    lookups.dispose()


def test_another_attempt_has_what_is_left(file: CoreDatabase) -> None:
    with file.guard.writes, locked(path(file)):
        call.until = time.monotonic() + 0.2
        began = time.monotonic()
        with pytest.raises(sa.exc.OperationalError, match="locked"), file.transaction():
            pass
        assert time.monotonic() - began < 2
        call.answered()
    with file.transaction() as connection:
        assert connection.scalar(sa.text("PRAGMA busy_timeout")) == ANSWER_S * 1000
