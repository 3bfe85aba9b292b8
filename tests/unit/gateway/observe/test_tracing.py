"""Which requests are traced, and what happens while nobody takes their spans."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace

import pytest

from services.gateway.exchange import Exchange
from services.gateway.observe import tracing
from services.gateway.observe.tracing import Traced, Tracing
from tests.support.waiting import wait_until
from tests.unit.gateway.exchanges import exchange

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """Takes what is sent. well: whether it does; free: it answers only then."""

    def __init__(self) -> None:
        self.taken: list[Traced] = []
        self.well = True
        self.free = threading.Event()
        self.free.set()

    def send(self, requests: Sequence[Traced], offset: int) -> bool:
        assert self.free.wait(20)
        if self.well:
            self.taken += requests
        return self.well

    def close(self) -> None:
        self.free.set()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Collector:
    monkeypatch.setattr(tracing, "_EVERY_S", 0.01)
    monkeypatch.setattr(tracing, "_LAST_WORDS_S", 0.2)
    return Collector()


@pytest.fixture
def traced(collector: Collector) -> Iterator[Callable[[float], Tracing]]:
    """Makes a Tracing with a ratio, which is stopped in the end."""
    made: list[Tracing] = []

    def make(ratio: float) -> Tracing:
        made.append(Tracing(lambda: collector, ratio, lambda *_: None))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


def request(*parents: str, path: str = "/api/x") -> Exchange:
    one = exchange(target=path, headers=[("traceparent", parent) for parent in parents])
    one.api = SimpleNamespace(api_id="one", listen_path="/api/")  # type: ignore[assignment]
    return one


def answer(tracing: Tracing, one: Exchange) -> None:
    tracing.write(one, 200, 1, 0, one.started + 0.5)


def test_a_request_goes_on_in_the_trace_of_its_caller() -> None:
    one = request(f"00-{TRACE}-{SPAN}-01")
    sent = Tracing(Collector, 0.0, lambda *_: None).parent_of_upstream(one).decode()
    trace = one.trace
    assert trace is not None
    assert (trace.id, trace.parent, trace.sampled) == (int(TRACE, 16), int(SPAN, 16), True)
    assert sent == f"00-{TRACE}-{trace.asking:016x}-01"
    assert len({trace.parent, trace.span, trace.asking, 0}) == 4
    assert Tracing(Collector, 0.0, lambda *_: None).parent_of_upstream(one).decode() == sent, "a second attempt is the same call"


def test_a_caller_that_is_not_traced_is_not_traced_here() -> None:
    sent = Tracing(Collector, 1.0, lambda *_: None).parent_of_upstream(request(f"00-{TRACE}-{SPAN}-00"))
    assert sent.startswith(f"00-{TRACE}-".encode())
    assert sent.endswith(b"-00")


@pytest.mark.parametrize("parents", [(), ("00-x",), (f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01")])
def test_a_request_without_a_parent_begins_a_trace(parents: tuple[str, ...]) -> None:
    one, other = request(*parents), request(*parents)
    found = Tracing(Collector, 1.0, lambda *_: None)
    first, second = found.begin(one), found.begin(other)
    assert first.id != second.id
    assert first.id != int(TRACE, 16)
    assert (first.parent, first.sampled) == (0, True)


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
def test_a_share_of_them_is_traced(ratio: float) -> None:
    found = Tracing(Collector, ratio, lambda *_: None)
    sampled = sum(found.begin(request()).sampled for _ in range(5000))
    assert abs(sampled / 5000 - ratio) < (0.05 if 0 < ratio < 1 else 1e-9)


def test_the_log_is_written_after_the_trace_is_known(collector: Collector) -> None:
    logged: list[tuple[bool, int, int]] = []
    found = Tracing(lambda: collector, 0.0, lambda one, status, size, *_: logged.append((one.trace is not None, status, size)))
    found.write(request(), 200, 7, 0, 1.0)
    assert logged == [(True, 200, 7)]


def test_what_is_sampled_is_sent(traced: Callable[[float], Tracing], collector: Collector) -> None:
    found = traced(0.0)
    for parent in (f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"):
        answer(found, request(parent, path=f"/api/device/token/{'0badc0de-' * 4}"))
    wait_until(lambda: collector.taken, what="a request at the collector")
    wait_until(lambda: found.exported == 1, what="the count")
    [one] = collector.taken
    assert (one.path, one.api_id, one.listen_path, one.status) == ("/api/device/token/***", "one", "/api/", 200)
    assert one.ended - one.started == pytest.approx(0.5)


def test_probes_are_not_traced(traced: Callable[[float], Tracing], collector: Collector) -> None:
    found = traced(1.0)
    probe, unknown = exchange(target="/hello"), exchange(target="/nowhere")
    unknown.refused = "not-found"
    answer(found, probe)
    answer(found, unknown)
    wait_until(lambda: collector.taken, what="a request at the collector")
    found.stop()
    assert [one.path for one in collector.taken] == ["/nowhere"]


def test_what_does_not_fit_is_dropped_and_counted(
    traced: Callable[[float], Tracing], collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_MOST_WAITING", 10)
    collector.free.clear()
    found = traced(1.0)
    answer(found, request())
    wait_until(lambda: not found._waiting, what="the first one on its way")
    for _ in range(15):
        answer(found, request())
    assert (len(found._waiting), found.dropped) == (10, 5)
    collector.free.set()
    wait_until(lambda: found.exported == 11, what="all others at the collector")


def test_what_is_not_taken_is_dropped_and_counted(traced: Callable[[float], Tracing], collector: Collector) -> None:
    collector.well = False
    found = traced(1.0)
    answer(found, request())
    wait_until(lambda: found.dropped == 1, what="the count")
    collector.well = True
    answer(found, request())
    wait_until(lambda: found.exported == 1, what="the next one at the collector")


def test_a_collector_that_hangs_does_not_hold_up_the_end(traced: Callable[[float], Tracing], collector: Collector) -> None:
    collector.free.clear()
    found = traced(1.0)
    answer(found, request())
    found.stop()
    assert collector.free.is_set(), "it was closed"


def test_the_last_ones_are_sent_at_the_end(
    traced: Callable[[float], Tracing], collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_EVERY_S", 60.0)
    monkeypatch.setattr(tracing, "_LAST_WORDS_S", 20.0)
    found = traced(1.0)
    for _ in range(3):
        answer(found, request())
    found.stop()
    assert len(collector.taken) == 3
