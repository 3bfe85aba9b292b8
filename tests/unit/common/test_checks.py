"""What `/metrics` tells of the checks that `/ready` asks: it waits for none, and says nothing that it does not know."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from services.common import checks
from services.common.app import create_app
from services.common.checks import Checks
from services.common.readiness import NotReady
from tests.support.waiting import wait_until


def told(checks: Checks) -> dict[str, float]:
    return {
        f"{sample.name}/{sample.labels['check']}": sample.value
        for metric in checks.collect()
        for sample in metric.samples
        if sample.name == "service_ready"
    }


def away() -> None:
    raise NotReady("away")


@pytest.fixture
def found() -> Checks:
    made = Checks()
    made.add("database", lambda: None)
    made.add("valkey", away)
    return made


def test_nothing_is_known_before_somebody_asked(found: Checks) -> None:
    assert told(found) == {}
    found.run()
    assert told(found) == {"service_ready/database": 1, "service_ready/valkey": 0}
    assert {
        sample.labels["check"] for metric in found.collect() for sample in metric.samples if sample.name == "service_check_seconds"
    } == {
        "database",
        "valkey",
    }


def test_what_is_old_is_not_known_any_more(found: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    found.run()
    monkeypatch.setattr(checks, "TOLD_FOR_S", 0.0)
    assert told(found) == {}


def waiting(gate: threading.Event, asked: list[int]) -> Callable[[], None]:
    def check() -> None:
        asked.append(1)
        gate.wait(30)

    return check


def test_metrics_begins_the_checks_and_waits_for_none() -> None:
    app = create_app("example", version="1")
    gate, asked = threading.Event(), list[int]()
    app.extensions["checks"].add("slow", waiting(gate, asked))
    client = app.test_client()
    try:
        for _ in range(3):
            assert "service_ready{" not in client.get("/metrics").text
        wait_until(lambda: asked)
    finally:
        gate.set()
    wait_until(lambda: 'service_ready{check="slow"} 1.0' in client.get("/metrics").text)
    assert len(asked) == 1, "one run at a time, and not again at once"


def test_checks_are_renewed_after_a_while(found: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    found.add("counted", lambda: runs.append(1))
    found.refresh()
    wait_until(lambda: len(runs) == 1)
    found.refresh()
    monkeypatch.setattr(checks, "RENEWED_AFTER_S", 0.0)

    def renewed() -> bool:
        found.refresh()
        return len(runs) >= 2

    wait_until(renewed)


def test_a_machine_without_a_thread_to_spare_asks_again_later(found: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        found.refresh()
    found.refresh()
    wait_until(lambda: told(found))
