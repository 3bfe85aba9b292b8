"""Answered requests on their way to the store: noted at once, written behind, dropped and counted when there is no room."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from services.gateway.analytics import recorder as recorders
from services.gateway.analytics.record import Batch, Record
from services.gateway.analytics.recorder import BATCH, Recorder
from services.gateway.exchange import CompiledApi
from tests.support.waiting import wait_until
from tests.unit.gateway.analytics.making import KEEP_S, NOON, api
from tests.unit.gateway.exchanges import exchange

AWAY = OperationalError("", {}, Exception("the store is away"))


class Store:
    """Notes what is written. failing: what it raises. open: whether it answers."""

    def __init__(self) -> None:
        self.written: list[Record] = []
        self.sizes: list[int] = []
        self.failing: Exception | None = None
        self.open = threading.Event()
        self.open.set()

    def write(self, batch: Batch, records: Sequence[Record], totals: Mapping[Any, Any]) -> None:
        self.open.wait(60)
        if self.failing is not None:
            raise self.failing
        self.written += records
        self.sizes.append(len(records))


@pytest.fixture
def store() -> Store:
    return Store()


def answer(hook: Any, of: CompiledApi | None, times: int = 1, **changes: Any) -> None:
    one = exchange("GET", "/api/x", [("User-Agent", "a")])
    one.api = of
    for name, value in changes.items():
        setattr(one, name, value)
    for _ in range(times):
        hook(one, 200, 10, 0, one.started + 0.002)


def test_requests_are_written_behind_their_answers(store: Store) -> None:
    logged: list[Any] = []
    recorder = Recorder(store.write, KEEP_S, now=lambda: NOON)
    hook = recorder.before(lambda *told: logged.append(told))
    answer(hook, api(), 3)
    assert (recorder.waiting(), store.written, len(logged)) == (3, [], 3)
    recorder.start()
    wait_until(lambda: len(store.written) == 3)
    assert store.written[0].raw_path == "/api/x" and store.written[0].path == "/x" and store.written[0].at == NOON * 1000
    assert store.written[0].request_us in (1999, 2000, 2001)
    asyncio.run(recorder.stop())


@pytest.mark.parametrize(
    ("of", "tracked", "recorded"),
    [
        (api(), None, 1),
        (api(do_not_track=True), None, 0),
        (api(), False, 0),
        (api(do_not_track=True), True, 1),
        (None, None, 0),
    ],
)
def test_what_is_tracked(of: CompiledApi | None, tracked: bool | None, recorded: int, store: Store) -> None:
    recorder = Recorder(store.write, KEEP_S)
    answer(recorder.before(lambda *_: None), of, tracked=tracked)
    assert recorder.waiting() == recorded


def test_detail_only_when_it_is_asked_for(store: Store) -> None:
    recorder = Recorder(store.write, KEEP_S)
    for detailed in False, True:
        answer(recorder.before(lambda *_: None), api(enable_detailed_recording=detailed))
    recorder.start()
    asyncio.run(recorder.stop())
    assert [(one.user_agent, one.raw_request) for one in store.written] == [("", ""), ("a", "GET /api/x HTTP/1.1\r\nUser-Agent: a")]


def test_a_full_queue_drops_and_counts_and_the_request_goes_on(store: Store) -> None:
    logged: list[Any] = []
    recorder = Recorder(store.write, KEEP_S, most=10)
    answer(recorder.before(lambda *told: logged.append(told)), api(), 13)
    assert (recorder.waiting(), recorder.dropped, len(logged)) == (10, 3, 13)


def test_the_last_requests_are_written_at_the_end_in_batches(store: Store) -> None:
    recorder = Recorder(store.write, KEEP_S)
    answer(recorder.before(lambda *_: None), api(), BATCH * 2 + 1)
    recorder.start()
    asyncio.run(recorder.stop())
    assert (store.sizes, recorder.dropped) == ([BATCH, BATCH, 1], 0)


def test_a_store_that_comes_back_gets_all_of_them(store: Store) -> None:
    recorder = Recorder(store.write, KEEP_S)
    store.failing = AWAY
    hook = recorder.before(lambda *_: None)
    answer(hook, api(), 2)
    recorder.start()
    wait_until(lambda: recorder.waiting() == 0)
    answer(hook, api(), 3)
    store.failing = None
    wait_until(lambda: len(store.written) == 5)
    assert recorder.dropped == 0
    asyncio.run(recorder.stop())


def test_at_the_end_what_cannot_be_written_is_counted_as_dropped(store: Store) -> None:
    recorder = Recorder(store.write, KEEP_S)
    store.failing = AWAY
    answer(recorder.before(lambda *_: None), api(), BATCH + 7)
    recorder.start()
    wait_until(lambda: recorder.waiting() == 7)
    asyncio.run(recorder.stop())
    assert (recorder.dropped, recorder.waiting()) == (BATCH + 7, 0)


def test_a_store_that_hangs_does_not_hold_up_the_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "_FLUSH_WITHIN_S", 0.1)
    recorder = Recorder(store.write, KEEP_S)
    store.open.clear()
    answer(recorder.before(lambda *_: None), api())
    recorder.start()
    wait_until(lambda: recorder.waiting() == 0)
    began = time.monotonic()
    asyncio.run(recorder.stop())
    assert time.monotonic() - began < 30
    store.open.set()


def test_a_batch_that_the_store_refuses_is_dropped_and_the_next_is_written(store: Store) -> None:
    recorder = Recorder(store.write, KEEP_S)
    store.failing = ValueError("no")
    hook = recorder.before(lambda *_: None)
    answer(hook, api(), 2)
    recorder.start()
    wait_until(lambda: recorder.dropped == 2)
    store.failing = None
    answer(hook, api())
    wait_until(lambda: len(store.written) == 1)
    asyncio.run(recorder.stop())


def test_a_stop_before_the_start(store: Store) -> None:
    asyncio.run(Recorder(store.write, KEEP_S).stop())


def test_what_waits_is_small_whatever_the_path(store: Store) -> None:
    recorder = Recorder(store.write, KEEP_S)
    answer(recorder.before(lambda *_: None), api(), path="/" * 9999, relative="/" * 9999)
    [noted] = recorder._waiting
    assert (len(noted[4]), len(noted[5])) == (2048, 1024)
