"""How the tests ask counters, whether these answer at once or later."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from services.gateway.counters.port import Charges, Counters, Taken

C = TypeVar("C", bound=Counters)


async def answer(taken: Taken | Awaitable[Taken]) -> Taken:
    return taken if isinstance(taken, tuple) else await taken


async def take(counters: Counters, counter: str, limit: int, window: float, durable: bool = False) -> Taken:
    return await answer(counters.take(counter, limit, window, durable))


async def look(counters: Counters, counter: str, limit: int, window: float, durable: bool = False) -> Taken:
    return await answer(counters.look(counter, limit, window, durable))


async def take_all(counters: Counters, charges: Charges) -> list[Taken]:
    taken = counters.take_all(charges)
    return taken if isinstance(taken, list) else await taken


async def all_takers(counters: Counters, clients: int, charges: Charges) -> Counter[int]:
    """So many clients at once, each taking all; by how many counters they were admitted."""
    found = await asyncio.gather(*(take_all(counters, charges) for _ in range(clients)))
    return Counter(sum(taken.admitted for taken in each) for each in found)


async def takers(counters: Counters, clients: int, each: int, counter: str, limit: int, window: float, durable: bool = False) -> int:
    """So many clients at once, each taking so often; how many were admitted."""

    async def client() -> int:
        admitted = 0
        for _ in range(each):
            admitted += (await take(counters, counter, limit, window, durable)).admitted
            await asyncio.sleep(0)
        return admitted

    return sum(await asyncio.gather(*(client() for _ in range(clients))))


@asynccontextmanager
async def started(counters: C) -> AsyncIterator[C]:
    await counters.start()
    try:
        yield counters
    finally:
        await counters.stop()


async def eventually(condition: Callable[[], Awaitable[bool]] | Callable[[], bool], timeout: float = 30.0) -> None:
    """Wait on the loop until the condition holds; AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        held = condition()
        if not isinstance(held, bool):
            held = await held
        if held:
            return
        assert time.monotonic() < deadline, f"did not come true within {timeout} s"
        await asyncio.sleep(0.005)
