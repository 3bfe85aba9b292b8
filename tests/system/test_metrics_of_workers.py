"""`/metrics` tells of all processes, whichever answers; and its sums do not fall when processes come and go."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.processes import get
from tests.support.raw_client import RawClient
from tests.support.stores import Valkey
from tests.support.waiting import wait_until


@pytest.fixture
def running(odd_upstream: OddUpstream, valkey: Valkey, tmp_path: Path) -> Iterator[Gateway]:
    env = {"GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url}
    with gateway(tmp_path, [definition("one", f"{odd_upstream.url}/")], env) as started:
        # It answers as soon as its first worker does.
        wait_until(lambda: workers_of(page(started)) == ["0", "1"], 60, "both workers")
        yield started


def page(running: Gateway) -> str:
    return get(running.operator_port, "/metrics")[1].decode()


def workers_of(text: str) -> list[str]:
    return sorted(re.findall(r'^gateway_apis\{worker="(.*)"\} 1\.0$', text, re.MULTILINE))


def answered(text: str) -> float:
    return sum(float(value) for value in re.findall(r'^gateway_requests_total\{api="one",.*\} (.*)$', text, re.MULTILINE))


def ask(running: Gateway, count: int) -> None:
    """Each on a connection of its own, so that both workers get some."""
    for _ in range(count):
        with RawClient(running.port) as client:
            assert client.get("/one/a").status == 200


def test_whichever_answers_tells_of_all(running: Gateway) -> None:
    ask(running, 20)
    pages = [page(running) for _ in range(8)]
    assert {answered(text) for text in pages} == {20.0}
    for text in pages:
        assert workers_of(text) == ["0", "1"]


def test_sums_do_not_fall_when_the_workers_are_replaced(running: Gateway) -> None:
    ask(running, 20)
    before = set(running.workers())
    seen = [answered(page(running))]
    running.signal(signal.SIGHUP)

    def replaced() -> bool:
        seen.append(answered(page(running)))
        now = set(running.workers())
        return len(now) == 2 and not now & before

    wait_until(replaced, 60, "two new workers")
    ask(running, 5)
    seen.append(answered(page(running)))
    assert seen == sorted(seen)
    assert seen[0] == 20
    assert seen[-1] == 25
    assert "service_processes_started_total 4.0" in page(running)
