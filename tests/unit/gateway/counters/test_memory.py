"""What only the counters of one process do: their clocks and their bounds."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.counters.memory import MemoryCounters
from services.gateway.counters.windows import Clocks, Windows
from tests.unit.gateway.counters.asking import eventually, started


class Time:
    """Both clocks, set by hand."""

    def __init__(self) -> None:
        self.monotonic = 5000.0
        self.wall = 1_800_000_000.0

    def move(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.monotonic, lambda: self.wall)


def test_a_window_ends_exactly_when_it_is_over() -> None:
    time = Time()
    counters = MemoryCounters(clocks=time.clocks())
    assert counters.take("k", 1, 10) == (True, 1, 0, time.wall + 10, 10)
    time.move(9.5)
    assert counters.take("k", 1, 10) == (False, 1, 0, time.wall + 0.5, 0.5)
    time.move(0.5)
    assert counters.take("k", 1, 10) == (True, 1, 0, time.wall + 10, 10)


def test_a_clock_that_is_set_neither_opens_nor_closes_a_limit() -> None:
    time = Time()
    counters = MemoryCounters(clocks=time.clocks())
    for durable in (False, True):
        counters.take("k", 1, 10, durable)
        for jump in (86_400.0, -7 * 86_400.0):
            time.wall += jump
            refused = counters.take("k", 1, 10, durable)
            assert not refused.admitted
            assert refused.reset_in == 10
    time.move(10)
    assert counters.take("k", 1, 10).admitted
    assert counters.take("k", 1, 10, True).admitted


def test_reset_at_follows_a_clock_that_was_set() -> None:
    async def scenario() -> None:
        time = Time()
        async with started(MemoryCounters(clocks=time.clocks())) as counters:
            counters.take("k", 5, 10)
            time.wall += 3600
            await eventually(lambda: counters.take("k", 1, 10).reset_at == time.wall + 10)

    asyncio.run(scenario())


def test_reset_at_is_one_value_for_a_whole_window() -> None:
    counters = MemoryCounters()
    assert len({counters.take("k", 100, 60).reset_at for _ in range(200)}) == 1


def test_rounding_of_the_clock_ends_no_window_early_or_late() -> None:
    time = Time()
    counters = MemoryCounters(clocks=time.clocks())
    for number in range(200):
        time.move(random.uniform(0, 5))
        window = random.uniform(0.01, 3)
        end = time.monotonic + window
        assert counters.take(f"k{number}", 1, window).admitted
        time.monotonic = end - 1e-6
        assert not counters.take(f"k{number}", 1, window).admitted
        time.monotonic = end + 1e-6
        assert counters.take(f"k{number}", 1, window).admitted


def test_a_pause_between_two_clocks_does_not_pass_for_their_difference() -> None:
    now = 1000.0
    pauses = iter([0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3])  # before each look at a clock

    def look() -> float:
        nonlocal now
        now += next(pauses)
        return now

    assert Clocks(look, lambda: look() + 5).offset == 5


def test_ended_windows_are_let_go_while_others_open() -> None:
    time = Time()
    counters = MemoryCounters(clocks=time.clocks())
    for number in range(20_000):
        counters.take(f"a:{number}", 5, 1)
        time.move(0.001)
    assert len(counters) <= 1_002  # what was used in the last second


@pytest.mark.slow
def test_ended_windows_are_let_go_when_nothing_opens() -> None:
    async def scenario() -> None:
        async with started(MemoryCounters()) as counters:
            for number in range(5_000):
                counters.take(f"a:{number}", 5, 0.001, durable=number % 2 == 0)
            await eventually(lambda: len(counters) == 0)

    asyncio.run(scenario())


def test_a_full_table_forgets_what_ends_soonest() -> None:
    counters = MemoryCounters(most=1000)
    assert counters.take("long", 1, 3600).admitted
    assert counters.take("never", 1, 0).admitted
    for number in range(10_000):
        counters.take(f"a:{number}", 1, 60)
    assert len(counters) == 1000
    assert not counters.take("long", 1, 3600).admitted
    assert not counters.take("never", 1, 0).admitted
    assert not counters.take("a:9999", 1, 60).admitted


def test_room_is_made_by_the_end_that_a_counter_has_now() -> None:
    counters = MemoryCounters(most=100)
    counters.take("k", 1, 1)
    asyncio.run(counters.reset("k"))
    assert counters.take("k", 1, 3600).admitted
    for number in range(1_000):
        counters.take(f"a:{number}", 1, 60)
    assert not counters.take("k", 1, 3600).admitted


def test_resets_leave_nothing_behind() -> None:
    windows = Windows()
    for _ in range(50_000):
        windows.open("k", 0.0, 0.0)
        windows.drop("k")
    assert len(windows._by_end) < 2_000


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["take", "look", "move", "reset"]), st.integers(0, 3), st.integers(1, 4)), max_size=80))
def test_it_counts_like_the_plainest_counter_does(steps: list[tuple[str, int, int]]) -> None:
    time = Time()
    counters = MemoryCounters(clocks=time.clocks())
    plain: dict[str, tuple[float, int]] = {}
    for step, which, amount in steps:
        counter, window = f"k{which}", float(which * 2)  # k0 never ends
        end, used = plain.get(counter, (0.0, 0))
        if used and end and end <= time.monotonic:
            used = 0
        if step == "move":
            time.move(amount * 0.5)
        elif step == "reset":
            asyncio.run(counters.reset(counter))
            plain.pop(counter, None)
        elif step == "look":
            assert counters.look(counter, amount, window)[:3] == (used < amount, amount, max(amount - used, 0))
        else:
            taken = counters.take(counter, amount, window)
            assert taken.admitted == (used < amount)
            if taken.admitted:
                plain[counter] = (end if used else (time.monotonic + window if window else 0.0), used + 1)
                assert taken.remaining == amount - used - 1
