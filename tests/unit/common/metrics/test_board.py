"""Several processes, and the page of metrics that each of them answers with."""

from __future__ import annotations

import multiprocessing
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from services.common.metrics import board as boards
from services.common.metrics.board import Board
from tests.support.waiting import wait_until

forking = multiprocessing.get_context("fork")


def _process(board: Board, orders: Connection) -> None:
    """Counts what it is told to; answers with its page when it is asked for it; ends at "end" as a worker does."""
    registry = CollectorRegistry()
    counter = Counter("requests", "Requests.", registry=registry)
    Gauge("memory", "Memory.", registry=registry).set(7)
    seat = board.join(registry)
    assert seat is not None
    orders.send("ready")
    while (order := orders.recv()) != "end":
        if order == "page":
            orders.send(seat.text().decode())
        elif order == "hang":
            registry.collect = threading.Event().wait  # type: ignore[method-assign, assignment]
            orders.send("hangs")
        else:
            counter.inc(order)
            orders.send("counted")
    seat.leave()


class Worker:
    """A forked process with a seat at a board."""

    def __init__(self, board: Board) -> None:
        self._orders, theirs = forking.Pipe()
        self.process = forking.Process(target=_process, args=(board, theirs), daemon=True)
        self.process.start()
        assert self._orders.recv() == "ready"

    def tell(self, order: str | int) -> str:
        self._orders.send(order)
        answer: str = self._orders.recv()
        return answer

    def end(self) -> None:
        self._orders.send("end")
        self.process.join(10)
        assert self.process.exitcode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.join(10)


Start = Callable[[], Worker]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may keep a process from answering in a second."""
    monkeypatch.setattr(boards, "PATIENCE_S", 30.0)


@contextmanager
def _started() -> Iterator[Start]:
    board, workers = Board(), []

    def start() -> Worker:
        workers.append(Worker(board))
        return workers[-1]

    try:
        yield start
    finally:
        for worker in workers:
            worker.kill()


@pytest.fixture
def start() -> Iterator[Start]:
    with _started() as starting:
        yield starting


def number(page: str, name: str) -> float:
    found = re.search(rf"^{name} ([0-9.]+)$", page, re.MULTILINE)
    assert found is not None, page
    return float(found[1])


def gauges(page: str) -> list[str]:
    return re.findall(r'^memory\{worker="(\d+)"\}', page, re.MULTILINE)


def test_each_process_tells_of_all(start: Start) -> None:
    one, two, three = start(), start(), start()
    for worker, count in ((one, 1), (two, 10), (three, 100)):
        worker.tell(count)
    for worker in (one, two, three):
        page = worker.tell("page")
        assert number(page, "requests_total") == 111
        assert number(page, "service_processes_started_total") == 3
        assert sorted(gauges(page)) == ["0", "1", "2"]


def test_a_sum_does_not_fall_when_a_process_ends_and_another_takes_its_slot(start: Start) -> None:
    stays, leaves = start(), start()
    leaves.tell(10)
    stays.tell(1)
    leaves.end()
    page = stays.tell("page")
    assert number(page, "requests_total") == 11
    assert gauges(page) == ["0"], "of the process that has ended only its counts are left"
    follows = start()
    follows.tell(100)
    page = stays.tell("page")
    assert number(page, "requests_total") == 111
    assert sorted(gauges(page)) == ["0", "1"]
    assert number(page, "service_processes_started_total") == 3
    follows.end()
    assert number(stays.tell("page"), "requests_total") == 111


def test_a_process_that_is_killed_takes_with_it_what_nobody_has_seen(start: Start) -> None:
    stays, dies = start(), start()
    dies.tell(10)
    assert number(stays.tell("page"), "requests_total") == 10
    dies.tell(5)
    dies.kill()
    assert number(stays.tell("page"), "requests_total") == 10


def test_a_process_that_hangs_is_waited_for_only_for_a_while(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "PATIENCE_S", 3.0)
    well, hangs = start(), start()
    hangs.tell(10)
    assert number(well.tell("page"), "requests_total") == 10
    hangs.tell("hang")
    page = well.tell("page")
    assert number(page, "requests_total") == 10, "as it was last told"
    assert gauges(page) == ["0"]


def test_answers_that_are_read_while_they_are_written_are_whole(start: Start) -> None:
    """Several ask all the time, and all answer all the time."""
    workers = [start() for _ in range(3)]
    for worker in workers:
        worker.tell(1)
    pages: list[str] = []

    def ask(worker: Worker) -> None:
        pages.extend(worker.tell("page") for _ in range(5))

    asking = [threading.Thread(target=ask, args=(worker,)) for worker in workers]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(60)
    assert len(pages) == 15
    assert {number(page, "requests_total") for page in pages} == {3.0}


def test_metrics_that_have_no_room_are_not_shared_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(boards, "_PLACE", 10)
    seat = Board().join(CollectorRegistry())
    assert seat is not None
    wait_until(lambda: "metrics not shared" in caplog.text, 10)
    assert b"service_processes_started_total 1.0" in seat.text()
    seat.leave()
