"""Room for what is large."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from services.common.app import Refusal
from services.tokens.room import SMALL, TIMES, Room
from tests.support.waiting import wait_until

SIZE = 100_000
NEEDED = SIZE * TIMES


def test_what_is_small_takes_none() -> None:
    room = Room(1)
    for _ in range(100):
        room.take(SMALL, 0)


def test_full() -> None:
    room = Room(2 * NEEDED)
    one, other = room.take(SIZE), room.take(SIZE)
    with pytest.raises(Refusal) as refused:
        room.take(SIZE, 0.01)
    assert refused.value.status == 503
    other.shrink(NEEDED + 1)  # more than it has: nothing happens
    other.shrink(NEEDED // 2)
    one.shrink(NEEDED // 2)
    third = room.take(SIZE, 0)
    for taken in (one, one, third):  # a second time gives nothing back
        taken.leave()
    room.take(SIZE, 0)
    with pytest.raises(Refusal):
        room.take(SIZE, 0)


def test_larger_than_the_room_goes_alone() -> None:
    room = Room(NEEDED)
    taken = room.take(10 * SIZE, 0)
    with pytest.raises(Refusal):
        room.take(SIZE, 0)
    taken.leave()
    room.take(SIZE, 0)


def test_who_waits_gets_what_is_given_back() -> None:
    room = Room(NEEDED)
    taken = room.take(SIZE)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(room.take, SIZE, 30)
        wait_until(waiting.running, what="the one who waits")
        taken.leave()
        waiting.result()
