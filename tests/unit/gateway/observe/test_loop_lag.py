"""How late the event loop is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from services.gateway.observe import loop_lag
from services.gateway.observe.loop_lag import LoopLag


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "_EVERY_S", 0.01)


def numbers(lag: LoopLag) -> Iterator[tuple[str, float]]:
    for metric in lag.seconds.collect():
        for sample in metric.samples:
            yield sample.name + str(sample.labels.get("le", "")), sample.value


def test_a_loop_that_is_held_up_is_late() -> None:
    lag = LoopLag()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        lag.start(loop)
        began = loop.time()
        while loop.time() < began + 0.06:  # the loop has no turn
            time.sleep(0.01)
        while dict(numbers(lag))["gateway_loop_lag_seconds_count"] < 3:
            await asyncio.sleep(0.001)
        lag.stop()

    asyncio.run(run())
    found = dict(numbers(lag))
    assert found["gateway_loop_lag_seconds_sum"] >= 0.04
    assert found["gateway_loop_lag_seconds_bucket0.025"] < found["gateway_loop_lag_seconds_count"]


def test_it_ends_with_its_worker() -> None:
    lag = LoopLag()

    async def run() -> int:
        lag.start(asyncio.get_running_loop())
        lag.stop()
        await asyncio.sleep(0.05)
        return int(dict(numbers(lag))["gateway_loop_lag_seconds_count"])

    assert asyncio.run(run()) == 0
