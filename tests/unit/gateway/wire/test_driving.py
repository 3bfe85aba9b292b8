"""Coroutines that go on in the callback that brings what they wait for; what else they await they await as ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.gateway.wire.driving import Driver, Signal


def run(test: Callable[[asyncio.AbstractEventLoop], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(10):
            await test(asyncio.get_running_loop())

    asyncio.run(main())


class Diary:
    """What a coroutine did. Waits for the signal, then for what it is given."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.signal = Signal(loop)
        self.lines: list[Any] = []
        self.driver: Driver | None = None

    async def wait_for_signals(self) -> None:
        try:
            for number in range(3):
                await self.signal
                self.lines.append(number)
        except asyncio.CancelledError:
            self.lines.append("cancelled")
            raise

    async def wait_for(self, awaited: Awaitable[Any]) -> None:
        try:
            self.lines.append(await awaited)
        except asyncio.CancelledError:
            self.lines.append("cancelled")
            raise
        except ValueError as error:
            self.lines.append(str(error))


def test_a_signal_goes_on_before_it_returns() -> None:
    async def test(loop: asyncio.AbstractEventLoop) -> None:
        diary = Diary(loop)
        Driver(diary.wait_for_signals(), loop).step()
        for number in range(3):
            assert diary.signal.awaited
            diary.signal.set()
            assert diary.lines[-1] == number
        assert not diary.signal.awaited
        diary.signal.set()
        assert diary.lines == [0, 1, 2]

    run(test)


def test_a_signal_is_not_kept_for_who_comes_later() -> None:
    async def test(loop: asyncio.AbstractEventLoop) -> None:
        diary = Diary(loop)
        diary.signal.set()
        Driver(diary.wait_for_signals(), loop).step()
        assert diary.lines == []

    run(test)


def test_futures_tasks_and_their_errors() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("as expected")

    async def nested() -> str:
        await asyncio.sleep(0)
        return await asyncio.to_thread(lambda: "from a thread")

    async def test(loop: asyncio.AbstractEventLoop) -> None:
        for awaited, expected in (
            (loop.create_task(fails()), "as expected"),
            (nested(), "from a thread"),
            (asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2)), [1, 2]),
        ):
            diary = Diary(loop)
            Driver(diary.wait_for(awaited), loop).step()
            while not diary.lines:
                await asyncio.sleep(0)
            assert diary.lines == [expected]

    run(test)


def test_cancelled_at_a_signal() -> None:
    async def test(loop: asyncio.AbstractEventLoop) -> None:
        diary = Diary(loop)
        driver = Driver(diary.wait_for_signals(), loop)
        driver.step()
        diary.signal.set()
        driver.cancel()
        assert diary.lines == [0, "cancelled"]
        driver.cancel()
        diary.signal.set()
        assert diary.lines == [0, "cancelled"]

    run(test)


def test_cancelled_with_what_it_waits_for() -> None:
    async def test(loop: asyncio.AbstractEventLoop) -> None:
        diary = Diary(loop)
        task = loop.create_task(asyncio.sleep(3600))
        driver = Driver(diary.wait_for(task), loop)
        driver.step()
        driver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while not diary.lines:
            await asyncio.sleep(0)
        assert diary.lines == ["cancelled"]

    run(test)


def test_cancelled_when_what_it_waits_for_is_done_already() -> None:
    async def test(loop: asyncio.AbstractEventLoop) -> None:
        diary = Diary(loop)
        future: asyncio.Future[str] = loop.create_future()
        driver = Driver(diary.wait_for(future), loop)
        driver.step()
        future.set_result("too late")
        driver.cancel()
        while not diary.lines:
            await asyncio.sleep(0)
        assert diary.lines == ["cancelled"]

    run(test)


def test_cancelled_while_it_runs() -> None:
    """As when a coroutine closes its own connection."""

    async def test(loop: asyncio.AbstractEventLoop) -> None:
        diary = Diary(loop)

        async def cancels_itself() -> None:
            assert diary.driver is not None
            diary.driver.cancel()
            diary.lines.append("still running")
            await diary.wait_for_signals()

        diary.driver = Driver(cancels_itself(), loop)
        diary.driver.step()
        while len(diary.lines) < 2:
            await asyncio.sleep(0)
        assert diary.lines == ["still running", "cancelled"]
        assert not diary.signal.awaited

    run(test)


def test_what_a_coroutine_raises_is_raised_where_it_was_driven() -> None:
    async def breaks(signal: Signal) -> None:
        await signal
        raise ValueError("broken")

    async def test(loop: asyncio.AbstractEventLoop) -> None:
        signal = Signal(loop)
        Driver(breaks(signal), loop).step()
        with pytest.raises(ValueError, match="broken"):
            signal.set()

    run(test)


def test_a_task_waits_for_a_signal_too() -> None:
    async def test(loop: asyncio.AbstractEventLoop) -> None:
        diary = Diary(loop)
        task = loop.create_task(diary.wait_for_signals())
        for number in range(3):
            while not diary.signal.awaited:
                await asyncio.sleep(0)
            diary.signal.set()
            while len(diary.lines) == number:
                await asyncio.sleep(0)
        await task
        assert diary.lines == [0, 1, 2]

    run(test)


def test_a_task_that_waits_for_a_signal_can_be_cancelled() -> None:
    async def test(loop: asyncio.AbstractEventLoop) -> None:
        diary = Diary(loop)
        task = loop.create_task(diary.wait_for_signals())
        while not diary.signal.awaited:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert diary.lines == ["cancelled"]
        assert not diary.signal.awaited

    run(test)


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_coroutine_that_gives_its_turn_away_goes_on_in_the_next_one_or_hears_that_it_is_over(cancelled: bool) -> None:
    async def test(loop: asyncio.AbstractEventLoop) -> None:
        diary = Diary(loop)
        driver = Driver(diary.wait_for(asyncio.sleep(0, "next turn")), loop)
        driver.step()
        assert diary.lines == []
        if cancelled:
            driver.cancel()
            driver.cancel()
        await asyncio.sleep(0)
        assert diary.lines == ["cancelled" if cancelled else "next turn"]
        driver.cancel()

    run(test)
