"""What every implementation of the port does: the same tests in process and through Valkey."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from services.gateway.counters import factory
from services.gateway.counters.port import Charge, Charges, Counters
from tests.support.stores import Valkey
from tests.unit.gateway.counters.asking import all_takers, eventually, look, started, take, take_all, takers

Scenario = Callable[[Counters], Awaitable[None]]
Run = Callable[[Scenario], None]


@pytest.fixture(params=["memory", "valkey"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a scenario on started counters."""
    url: str | None = None
    if request.param == "valkey":
        valkey: Valkey = request.getfixturevalue("valkey")
        url = valkey.url

    async def play(scenario: Scenario) -> None:
        async with started(factory.create(url, "gatehouse", None)) as counters:
            assert counters.available
            await scenario(counters)
            assert counters.uncounted == 0

    return lambda scenario: asyncio.run(play(scenario))


@pytest.mark.parametrize("durable", [False, True])
def test_sixty_takers_at_once_are_admitted_exactly_to_the_limit(run: Run, durable: bool) -> None:
    async def scenario(counters: Counters) -> None:
        assert await takers(counters, 60, 1, "k", 11, 60, durable) == 11
        assert await takers(counters, 60, 5, "l", 20, 60, durable) == 20
        assert await takers(counters, 60, 5, "m", 300, 60, durable) == 300

    run(scenario)


def test_remaining_counts_down_and_reset_stays(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        before = time.time()
        first = await take(counters, "k", 3, 60)
        later = [await take(counters, "k", 3, 60) for _ in range(4)]
        assert (first.admitted, first.limit, first.remaining) == (True, 3, 2)
        assert [(taken.admitted, taken.remaining) for taken in later] == [(True, 1), (True, 0), (False, 0), (False, 0)]
        assert {taken.reset_at for taken in later} == {first.reset_at}
        assert before + 59.9 <= first.reset_at <= time.time() + 60.1
        assert 50 < later[-1].reset_in <= first.reset_in <= 60.001  # the difference of two floats

    run(scenario)


def test_refused_is_not_charged(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        assert await takers(counters, 10, 5, "k", 2, 60) == 2
        assert (await take(counters, "k", 3, 60)).admitted  # 2 were used, not 50
        assert not (await take(counters, "k", 3, 60)).admitted

    run(scenario)


def test_look_does_not_charge(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        assert [(await look(counters, "k", 2, 60))[:3] for _ in range(5)] == [(True, 2, 2)] * 5
        taken = await take(counters, "k", 2, 60)
        looked = [await look(counters, "k", 2, 60) for _ in range(5)]
        assert {(one.admitted, one.remaining, one.reset_at) for one in looked} == {(True, 1, taken.reset_at)}
        await take(counters, "k", 2, 60)
        assert (await look(counters, "k", 2, 60))[:3] == (False, 2, 0)

    run(scenario)


def test_look_opens_no_window(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        looked = await look(counters, "k", 2, 60)
        await eventually(lambda: time.time() + 60 > looked.reset_at + 0.05)
        assert (await take(counters, "k", 2, 60)).reset_at > looked.reset_at

    run(scenario)


def test_a_window_ends_and_a_new_one_begins_with_its_first_use(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        ended = (await take(counters, "k", 5, 1)).reset_at
        assert await takers(counters, 20, 1, "k", 5, 1) == 4

        async def open_again() -> bool:
            return (await look(counters, "k", 5, 1)).remaining == 5

        await eventually(open_again)
        assert time.time() >= ended - 0.01
        assert await takers(counters, 20, 1, "k", 5, 60) == 5
        assert (await look(counters, "k", 5, 60)).reset_at >= ended + 59

    run(scenario)


@pytest.mark.parametrize("window", [0.25, 1.125, 0.0004])
def test_windows_may_be_fractions(run: Run, window: float) -> None:
    async def scenario(counters: Counters) -> None:
        taken = await take(counters, "k", 1, window)
        assert taken.admitted
        assert 0 < taken.reset_in <= max(window, 0.001)

        async def admitted() -> bool:
            return (await take(counters, "k", 1, window)).admitted

        begun = time.time()
        await eventually(admitted)
        assert time.time() >= min(begun, taken.reset_at - 0.01)

    run(scenario)


@pytest.mark.parametrize("durable", [False, True])
def test_window_0_never_ends(run: Run, durable: bool) -> None:
    async def scenario(counters: Counters) -> None:
        assert await takers(counters, 60, 1, "k", 7, 0, durable) == 7
        assert await take(counters, "k", 7, 0, durable) == (False, 7, 0, 0.0, 0.0)
        assert await look(counters, "k", 9, 0, durable) == (True, 9, 2, 0.0, 0.0)

    run(scenario)


def test_a_shorter_window_takes_effect_at_once(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        for counter, window in (("month", 2_592_000.0), ("never", 0.0)):
            assert await takers(counters, 5, 1, counter, 3, window) == 3
            refused = await take(counters, counter, 3, 30)
            assert not refused.admitted
            assert 29 < refused.reset_in <= 30.001
            assert (await look(counters, counter, 3, 2_592_000)).reset_in <= 30.001  # a longer one waits for the next window
            assert (await take(counters, counter, 4, 0.2)).admitted

            async def over(counter: str = counter) -> bool:
                return (await look(counters, counter, 3, 60)).remaining == 3

            await eventually(over)

    run(scenario)


def test_an_edited_limit_takes_effect_at_once(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        assert await takers(counters, 10, 1, "k", 5, 60) == 5
        assert await take(counters, "k", 2, 60) == (False, 2, 0, *(await look(counters, "k", 2, 60))[3:4], pytest.approx(60, abs=10))
        assert await takers(counters, 10, 1, "k", 8, 60) == 3

    run(scenario)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nothing_admits_nothing(run: Run, limit: int) -> None:
    async def scenario(counters: Counters) -> None:
        assert (await take(counters, "k", limit, 60))[::2][:2] == (False, 0)
        assert not (await look(counters, "k", limit, 60)).admitted
        assert (await look(counters, "k", 1, 60)).remaining == 1

    run(scenario)


@pytest.mark.parametrize("durable", [False, True])
def test_reset_begins_anew(run: Run, durable: bool) -> None:
    async def scenario(counters: Counters) -> None:
        assert await takers(counters, 5, 1, "k", 3, 0, durable) == 3
        assert await takers(counters, 5, 1, "other", 3, 0, durable) == 3
        await counters.reset("k")
        await counters.reset("nobody")
        assert await takers(counters, 5, 1, "k", 3, 60, durable) == 3
        assert (await look(counters, "k", 3, 60, durable)).reset_in > 50
        assert not (await take(counters, "other", 3, 0, durable)).admitted

    run(scenario)


def test_counters_do_not_meet(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        names = ["r:1", "q:1", "a:api@2001:db8::/64", "é ✓ \r\n", "", "x" * 3000]
        admitted = await asyncio.gather(*(takers(counters, 10, 2, name, 4, 60) for name in names))
        assert admitted == [4] * len(names)

    run(scenario)


def test_a_taker_that_goes_away_disturbs_nobody(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        tasks = [asyncio.create_task(takers(counters, 1, 1, "k", 100, 60)) for _ in range(60)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.wait(tasks)
        used = 100 - (await look(counters, "k", 100, 60)).remaining
        assert sum(task.result() for task in tasks[1::2]) == 30
        assert 30 <= used <= 60

    run(scenario)


def test_stopping_twice_is_harmless(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        await counters.stop()

    run(scenario)


def test_all_are_taken_from_up_to_the_first_that_refuses(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        charges = Charges((Charge("one", 9, 60), Charge("two", 2, 30), Charge("three", 5, 0, durable=True)))
        found = [await take_all(counters, charges) for _ in range(4)]
        assert [[(taken.admitted, taken.limit, taken.remaining) for taken in each] for each in found] == [
            [(True, 9, 8), (True, 2, 1), (True, 5, 4)],
            [(True, 9, 7), (True, 2, 0), (True, 5, 3)],
            [(True, 9, 6), (False, 2, 0)],
            [(True, 9, 5), (False, 2, 0)],
        ]
        assert [taken.reset_in > 20 for taken in found[0]] == [True, True, False]
        assert found[0][2].reset_at == 0
        assert len({each[1].reset_at for each in found}) == 1
        assert (await look(counters, "one", 9, 60)).remaining == 5
        assert (await look(counters, "three", 5, 0, True)).remaining == 3

    run(scenario)


@pytest.mark.parametrize(
    ("limits", "admitted"),
    [
        ((40, 30, 20), {3: 20, 2: 10, 1: 10, 0: 20}),
        ((20, 30, 40), {3: 20, 0: 40}),
        ((40, 20, 30), {3: 20, 1: 20, 0: 20}),
        ((99, 0, 40), {1: 60}),
        ((99, 99, 99), {3: 60}),
        ((-1, 5, 5), {0: 60}),
    ],
)
def test_sixty_at_once_are_charged_as_one_after_the_other(run: Run, limits: tuple[int, int, int], admitted: dict[int, int]) -> None:
    async def scenario(counters: Counters) -> None:
        charges = Charges(tuple(Charge(f"k{place}", limit, 60) for place, limit in enumerate(limits)))
        assert await all_takers(counters, 60, charges) == admitted
        for place, limit in enumerate(limits):
            charged = sum(times for count, times in admitted.items() if count > place)
            assert (await look(counters, f"k{place}", limit, 60)).remaining == max(limit - charged, 0)

    run(scenario)


def test_each_of_many_at_once_is_told_what_is_left_after_it(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        await take(counters, "k", 9, 60)
        charges = Charges((Charge("k", 9, 60), Charge("l", 5, 60)))
        found = await asyncio.gather(*(take_all(counters, charges) for _ in range(7)))
        assert [[taken.remaining for taken in each] for each in found] == [[7, 4], [6, 3], [5, 2], [4, 1], [3, 0], [2, 0], [1, 0]]

    run(scenario)


def test_many_at_once_are_held_to_a_window_that_became_shorter(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        await take(counters, "k", 9, 0)
        charges = Charges((Charge("k", 3, 30),))
        assert await all_takers(counters, 5, charges) == {1: 2, 0: 3}
        assert 20 < (await look(counters, "k", 3, 60)).reset_in <= 30.001

    run(scenario)


def test_charges_that_share_counters_are_exact_together(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        keys = [Charges((Charge(f"r:{number}", 9, 60), Charge("a:api", 20, 60))) for number in range(4)]
        found = await asyncio.gather(*(all_takers(counters, 10, charges) for charges in keys))
        assert sum(each[2] for each in found) == 20
        assert sum(each[0] for each in found) == 4

    run(scenario)


def test_one_of_many_that_goes_away_disturbs_nobody(run: Run) -> None:
    async def scenario(counters: Counters) -> None:
        charges = Charges((Charge("k", 100, 60), Charge("l", 100, 60)))
        tasks = [asyncio.create_task(take_all(counters, charges)) for _ in range(60)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(taken.admitted for task in tasks[1::2] for taken in task.result())
        assert 30 <= 100 - (await look(counters, "l", 100, 60)).remaining <= 60

    run(scenario)
