"""Rate windows go from a worker that ends to the next one, on both stores: exactly, once, and within their time."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from services.gateway.counters import handover, memory
from services.gateway.counters.ledger import Entry
from services.gateway.counters.memory import MemoryCounters
from services.gateway.stores.quota import QuotaLedger
from tests.unit.gateway.counters.asking import started, takers


def test_a_window_goes_on_after_a_restart(ledger: QuotaLedger) -> None:
    async def scenario() -> None:
        async with started(MemoryCounters(ledger)) as counters:
            assert await takers(counters, 1, 60, "r:1", 100, 3600) == 60
            assert await takers(counters, 1, 3, "a:api@2001:db8::/64", 3, 3600) == 3
            before = counters.look("r:1", 100, 3600)
        async with started(MemoryCounters(ledger)) as counters:
            assert counters.look("r:1", 100, 3600).reset_at == pytest.approx(before.reset_at, abs=0.05)
            assert await takers(counters, 1, 60, "r:1", 100, 3600) == 40
            assert await takers(counters, 1, 1, "a:api@2001:db8::/64", 3, 3600) == 0
        async with started(MemoryCounters(ledger)) as counters:
            assert await takers(counters, 1, 1, "r:1", 100, 3600) == 0, "and after the next one"

    asyncio.run(scenario())


def test_what_the_old_one_charges_after_the_handover_is_not_lost(ledger: QuotaLedger) -> None:
    """Both serve for a moment. The successor does not know of the last requests of the old one, but whoever comes after it does."""

    async def scenario() -> None:
        old = MemoryCounters(ledger)
        await old.start()
        assert await takers(old, 1, 60, "r:1", 100, 3600) == 60
        assert await takers(old, 1, 5, "q:1", 10, 3600, durable=True) == 5
        await old.hand_over()
        async with started(MemoryCounters(ledger)) as new:
            assert await takers(new, 1, 10, "r:1", 100, 3600) == 10
            assert new.look("q:1", 10, 3600, True).remaining == 5, "the quota's last charges are in the ledger, too"
            assert await takers(old, 1, 3, "r:1", 100, 3600) == 3
            await old.stop()
            await old.stop()
        async with started(MemoryCounters(ledger)) as last:
            assert last.look("r:1", 100, 3600).remaining == 100 - 60 - 10 - 3

    asyncio.run(scenario())


def test_a_window_that_has_ended_is_not_taken_over(ledger: QuotaLedger) -> None:
    now = time.time()
    ledger.hand_over([Entry("r:1", 7, now - 1), Entry("r:2", 3, now + 60)], now - 30)

    async def scenario() -> None:
        async with started(MemoryCounters(ledger)) as counters:
            assert counters.look("r:1", 10, 60).remaining == 10
            assert counters.look("r:2", 10, 60).remaining == 7
            assert len(counters) == 1

    asyncio.run(scenario())


def test_a_handover_is_taken_once_and_is_no_quota(ledger: QuotaLedger) -> None:
    now = time.time()
    ledger.hand_over([Entry("q:1", 7, now + 60)], now)
    ledger.hand_over([Entry("q:1", 2, now + 60)], now)
    ledger.write((), [Entry("q:1", 1, now + 60)], now)
    assert ledger.load(now) == [Entry("q:1", 1, now + 60)]
    assert ledger.take_over(now) == [Entry("q:1", 9, now + 60)]
    assert ledger.take_over(now) == []
    assert ledger.load(now) == [Entry("q:1", 1, now + 60)]


class Slow(QuotaLedger):
    """Answers when `open` is set."""

    open = threading.Event()

    def hand_over(self, windows: object, now: float) -> None:
        self.open.wait(30)


def test_a_worker_that_is_told_to_stop_while_it_takes_them_over_leaves_them(ledger: QuotaLedger) -> None:
    taken, go_on = threading.Event(), threading.Event()

    class Pausing(QuotaLedger):
        def take_over(self, now: float) -> list[Entry]:
            found = super().take_over(now)
            taken.set()
            go_on.wait(30)
            return found

    async def scenario() -> None:
        async with started(MemoryCounters(ledger)) as old:
            await takers(old, 1, 60, "r:1", 100, 3600)
        told = MemoryCounters(Pausing(ledger._database))
        starting = asyncio.create_task(told.start())
        await asyncio.to_thread(taken.wait, 30)
        starting.cancel()
        asyncio.get_running_loop().call_later(0.01, go_on.set)
        await asyncio.wait({starting})
        await told.stop()
        async with started(MemoryCounters(ledger)) as new:
            assert new.look("r:1", 100, 3600).remaining == 40

    asyncio.run(scenario())


class Away(QuotaLedger):
    def hand_over(self, windows: object, now: float) -> None:
        raise ConnectionRefusedError

    def take_over(self, now: float) -> list[Entry]:
        raise ConnectionRefusedError


def test_a_store_that_hangs_holds_up_neither_the_handover_nor_the_end(ledger: QuotaLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_HAND_OVER_S", 0.05)

    async def scenario() -> None:
        slow = Slow(ledger._database)
        async with started(MemoryCounters(slow)) as counters:
            await takers(counters, 1, 1, "r:1", 100, 3600)
            await counters.hand_over()
        slow.open.set()

    asyncio.run(scenario())


def test_a_store_that_is_away_only_begins_the_windows_anew(ledger: QuotaLedger) -> None:
    async def scenario() -> None:
        async with started(MemoryCounters(Away(ledger._database))) as counters:
            assert await takers(counters, 1, 1, "r:1", 100, 3600) == 1
            await counters.hand_over()

    asyncio.run(scenario())


def test_the_most_used_windows_come_first(ledger: QuotaLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "AT_ONCE", 2)

    async def scenario() -> None:
        async with started(MemoryCounters(ledger)) as counters:
            for number in range(6):
                await takers(counters, 1, number + 1, f"r:{number}", 100, 3600)
            given: list[list[Entry]] = []
            monkeypatch.setattr(ledger, "hand_over", lambda entries, now: given.append(list(entries)))
            await counters.hand_over()
            assert [[entry.counter for entry in part] for part in given] == [["r:4", "r:5"], ["r:2", "r:3"], ["r:0", "r:1"]]

    asyncio.run(scenario())
