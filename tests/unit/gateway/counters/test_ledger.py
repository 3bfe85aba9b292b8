"""Durable counters and their ledger, on both stores: restarts, several writers, a database that is away or slow."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import OperationalError

from services.gateway.counters import ledger as ledgers
from services.gateway.counters.ledger import Entry
from services.gateway.counters.memory import MemoryCounters
from services.gateway.counters.windows import Clocks
from services.gateway.stores.quota import QuotaLedger
from tests.support.waiting import wait_until
from tests.unit.gateway.counters.asking import eventually, started, takers


class Gate:
    """A ledger that a test can take away, or make slow. asked, passed, ended: how often it was called, how many calls went on and ended."""

    def __init__(self, ledger: QuotaLedger) -> None:
        self.ledger = ledger
        self.away = False
        self.open = threading.Event()
        self.open.set()
        self.asked = self.passed = self.ended = 0

    @contextmanager
    def _passing(self) -> Iterator[None]:
        self.asked += 1
        try:
            self.open.wait(60)
            self.passed += 1
            if self.away:
                raise OperationalError("statement", {}, ConnectionRefusedError("away"))
            yield
        finally:
            self.ended += 1

    def load(self, now: float) -> Sequence[Entry]:
        with self._passing():
            return self.ledger.load(now)

    def write(self, forgotten: Collection[str], charges: Sequence[Entry], now: float) -> Sequence[Entry]:
        with self._passing():
            return self.ledger.write(forgotten, charges, now)

    def sweep(self, now: float) -> None:
        with self._passing():
            self.ledger.sweep(now)

    def hand_over(self, windows: Sequence[Entry], now: float) -> None:
        with self._passing():
            self.ledger.hand_over(windows, now)

    def take_over(self, now: float) -> Sequence[Entry]:
        with self._passing():
            return self.ledger.take_over(now)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written every 25 ms instead of every half second, for tests to which the pace is all the same."""
    monkeypatch.setattr(ledgers, "EVERY_S", 0.025)


@pytest.fixture
def gate(ledger: QuotaLedger) -> Iterator[Gate]:
    gate = Gate(ledger)
    yield gate
    gate.open.set()
    # A call that nobody waits for any more goes on in its thread; the database must not go before.
    wait_until(lambda: gate.ended == gate.asked, 20, "the end of every call")


def used(ledger: QuotaLedger, counter: str = "q:1") -> int:
    return {entry.counter: entry.used for entry in ledger.load(time.time())}.get(counter, 0)


def test_a_quota_survives_a_restart(ledger: QuotaLedger) -> None:
    async def scenario() -> None:
        async with started(MemoryCounters(ledger)) as counters:
            assert await takers(counters, 60, 1, "q:1", 20, 3600, durable=True) == 20
            assert await takers(counters, 60, 1, "q:2", 100, 0, durable=True) == 60
            before = counters.take("q:1", 20, 3600, True)
        async with started(MemoryCounters(ledger)) as counters:
            after = counters.take("q:1", 20, 3600, True)
            assert not after.admitted
            assert after.reset_at == pytest.approx(before.reset_at, abs=0.01)
            assert await takers(counters, 60, 1, "q:2", 100, 0, durable=True) == 40

    asyncio.run(scenario())


def test_a_rate_is_no_durable_counter(ledger: QuotaLedger) -> None:
    async def scenario() -> None:
        async with started(MemoryCounters(ledger)) as counters:
            await takers(counters, 60, 1, "r:1", 20, 3600)
        assert ledger.load(time.time()) == []

    asyncio.run(scenario())


@pytest.mark.slow
def test_charges_reach_the_ledger_without_a_stop(ledger: QuotaLedger) -> None:
    """What a killed process loses is what it took in the last moment."""

    async def scenario() -> None:
        async with started(MemoryCounters(ledger)) as counters:
            for total in (20, 40, 60):
                await takers(counters, 20, 1, "q:1", 1000, 3600, durable=True)
                await eventually(lambda total=total: used(ledger) == total)

    asyncio.run(scenario())


@pytest.mark.usefixtures("often")
def test_two_writers_add_up_and_learn_from_each_other(ledger: QuotaLedger) -> None:
    async def scenario() -> None:
        async with started(MemoryCounters(ledger)) as one, started(MemoryCounters(ledger)) as two:
            await takers(one, 7, 1, "q:1", 100, 3600, durable=True)
            await takers(two, 11, 1, "q:1", 100, 1800, durable=True)
            await eventually(lambda: used(ledger) == 18)
            charged = 18

            async def agree() -> bool:
                nonlocal charged
                charged += 2
                one.take("q:1", 1000, 3600, True)
                two.take("q:1", 1000, 1800, True)
                await asyncio.sleep(0.05)
                seen = [1000 - counters.look("q:1", 1000, 3600, True).remaining for counters in (one, two)]
                return min(seen) > charged * 0.75

            await eventually(agree)
            ends = [counters.look("q:1", 1000, 3600, True).reset_at for counters in (one, two)]
            assert ends[0] == pytest.approx(ends[1], abs=10)  # each adds up its clocks at a moment of its own
        assert used(ledger) == charged

    asyncio.run(scenario())


@pytest.mark.usefixtures("often")
def test_a_reset_is_in_the_ledger_when_it_returns(ledger: QuotaLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "RESET_S", 30.0)

    async def scenario() -> None:
        async with started(MemoryCounters(ledger)) as counters:
            await takers(counters, 20, 1, "q:1", 20, 3600, durable=True)
            await eventually(lambda: used(ledger) == 20)
            await takers(counters, 5, 1, "q:1", 25, 3600, durable=True)
            await counters.reset("q:1")
            assert ledger.load(time.time()) == []
            assert await takers(counters, 5, 1, "q:1", 3, 3600, durable=True) == 3
        assert used(ledger) == 3

    asyncio.run(scenario())


def test_counters_that_are_reset_together_are_one_write(gate: Gate) -> None:
    """One by one, those of a thousand keys are a thousand commits."""

    async def scenario() -> None:
        async with started(MemoryCounters(gate)) as counters:
            before = gate.asked
            await counters.reset(*(f"q:{number}" for number in range(100)))
            assert gate.asked - before <= 2, "and one of the half second"

    asyncio.run(scenario())


def test_a_reset_while_its_charges_are_being_written(gate: Gate) -> None:
    async def scenario() -> None:
        async with started(MemoryCounters(gate)) as counters:
            gate.open.clear()
            await takers(counters, 20, 1, "q:1", 20, 3600, durable=True)
            writing = asyncio.create_task(counters._behind.write())  # type: ignore[union-attr]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            resetting = asyncio.create_task(counters.reset("q:1"))
            await asyncio.sleep(0)
            assert counters.take("q:1", 20, 3600, True).remaining == 19
            gate.open.set()
            await asyncio.gather(writing, resetting)
            assert counters.look("q:1", 20, 3600, True).remaining == 19
        assert used(gate.ledger) == 1

    asyncio.run(scenario())


def test_a_reset_while_a_write_is_failing(gate: Gate) -> None:
    async def scenario() -> None:
        async with started(MemoryCounters(gate)) as counters:
            gate.away = True
            gate.open.clear()
            await takers(counters, 20, 1, "q:1", 20, 3600, durable=True)
            writing = asyncio.create_task(counters._behind.write())  # type: ignore[union-attr]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            resetting = asyncio.create_task(counters.reset("q:1"))
            await asyncio.sleep(0)
            gate.open.set()
            await asyncio.gather(writing, resetting)
            gate.away = False
        assert used(gate.ledger) == 0

    asyncio.run(scenario())


@pytest.mark.usefixtures("often")
def test_while_the_database_is_away_nothing_waits_and_nothing_is_lost(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "LONGEST_PAUSE_S", 0.5)

    async def scenario() -> None:
        async with started(MemoryCounters(gate)) as counters:
            await takers(counters, 5, 1, "q:1", 1000, 3600, durable=True)
            await eventually(lambda: used(gate.ledger) == 5)
            gate.away = True
            await takers(counters, 7, 1, "q:1", 1000, 3600, durable=True)
            behind = counters._behind
            assert behind is not None
            assert not await behind.write()
            await takers(counters, 11, 1, "q:1", 1000, 3600, durable=True)
            assert not await behind.write()
            await counters.reset("q:2")  # kept, too
            assert counters.look("q:1", 1000, 3600, True).remaining == 1000 - 23
            gate.away = False
            await eventually(lambda: used(gate.ledger) == 23)
            assert counters.look("q:1", 1000, 3600, True).remaining == 1000 - 23

    asyncio.run(scenario())


def test_a_database_that_hangs_stops_no_request(gate: Gate) -> None:
    async def scenario() -> None:
        async with started(MemoryCounters(gate)) as counters:
            gate.open.clear()
            passed = gate.passed
            await takers(counters, 1, 1, "q:1", 10**6, 3600, durable=True)
            writing = asyncio.create_task(counters._behind.write())  # type: ignore[union-attr]
            await eventually(lambda: gate.asked > passed)
            assert await takers(counters, 60, 50, "q:1", 2000, 3600, durable=True) == 1999
            assert (gate.passed, writing.done()) == (passed, False)
            gate.open.set()
            await writing
        assert used(gate.ledger) == 2000

    asyncio.run(scenario())


@pytest.mark.usefixtures("often")
def test_a_start_without_the_database_counts_and_joins_later(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "LONGEST_PAUSE_S", 0.5)
    gate.ledger.write((), [Entry("q:1", 30, time.time() + 1800), Entry("q:2", 5, None), Entry("q:3", 5, None)], time.time())

    async def scenario() -> None:
        gate.away = True
        async with started(MemoryCounters(gate)) as counters:
            assert await takers(counters, 10, 1, "q:1", 1000, 3600, durable=True) == 10
            await counters.reset("q:3")
            gate.away = False
            await eventually(lambda: counters.look("q:1", 1000, 3600, True).remaining == 960)
            assert counters.look("q:1", 1000, 3600, True).reset_in <= 1800
            assert counters.look("q:2", 7, 0, True).remaining == 2
            assert counters.look("q:3", 7, 0, True).remaining == 7
        assert (used(gate.ledger), used(gate.ledger, "q:3")) == (40, 0)

    asyncio.run(scenario())


def test_a_stop_while_the_database_is_away_ends(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "LAST_WRITE_S", 0.2)

    async def scenario() -> None:
        counters = MemoryCounters(gate)
        await counters.start()
        counters.take("q:1", 5, 60, True)
        gate.open.clear()
        passed = gate.passed
        await counters.stop()
        assert gate.passed == passed
        gate.open.set()

    asyncio.run(scenario())


@pytest.mark.parametrize("written", [True, False], ids=["written", "still owed"])
def test_an_ended_window_is_not_carried_on(ledger: QuotaLedger, written: bool) -> None:
    passed = 0.0
    clocks = Clocks(lambda: time.monotonic() + passed, lambda: time.time() + passed)

    async def scenario() -> None:
        nonlocal passed
        async with started(MemoryCounters(ledger, clocks)) as counters:
            assert await takers(counters, 6, 1, "q:1", 5, 60, durable=True) == 5
            if written:
                await eventually(lambda: used(ledger) == 5)
            passed = 61.0
            assert counters.take("q:1", 5, 3600, True).admitted
        assert used(ledger) == 1
        async with started(MemoryCounters(ledger, clocks)) as counters:
            assert counters.look("q:1", 5, 3600, True).remaining == 4

    asyncio.run(scenario())


@pytest.mark.usefixtures("often")
def test_a_clock_that_is_set_moves_the_ends_in_the_ledger(ledger: QuotaLedger) -> None:
    jump = 0.0
    clocks = Clocks(time.monotonic, lambda: time.time() + jump)

    async def scenario() -> None:
        nonlocal jump
        async with started(MemoryCounters(ledger, clocks)) as counters:
            await takers(counters, 5, 1, "q:1", 5, 60, durable=True)
            await takers(counters, 5, 1, "q:2", 5, 0, durable=True)
            await eventually(lambda: used(ledger) == 5)

            def restated() -> bool:
                end = {entry.counter: entry.window_ends_at for entry in ledger.load(0)}["q:1"]
                return end is not None and 50 < end - time.time() - jump < 61

            for seconds in (3600.0, -3600.0):
                jump = seconds
                await eventually(restated)
                assert not counters.take("q:1", 5, 60, True).admitted
            assert {e.counter: e.used for e in ledger.load(0)} == {"q:1": 5, "q:2": 5}

    asyncio.run(scenario())


def test_a_quota_that_made_room_is_not_forgotten(ledger: QuotaLedger) -> None:
    async def scenario() -> None:
        async with started(MemoryCounters(ledger, most=10)) as counters:
            assert await takers(counters, 3, 1, "q:1", 10, 60, durable=True) == 3
            for number in range(100, 150):
                counters.take(f"q:{number}", 10, 600, True)
            assert len(counters) == 10
            assert counters.take("q:1", 10, 60, True).remaining == 6  # still owed to the ledger
            await eventually(lambda: used(ledger) == 4 and used(ledger, "q:149") == 1)

    asyncio.run(scenario())
