"""A store that takes what it gets and answers nothing: the gateway answers all the same, and ends when it is told to."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.freezing import hanging, locked
from tests.support.gateway import OPERATOR_KEY, Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.processes import get
from tests.support.stores import PostgreSQL
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alone

# The store stays silent for as long as a test likes; who waits for it, and not only for its limits, is found out by these.
AT_ONCE_S = 5.0
# 5 s are promised; the rest is for a machine that has much to do.
REFUSED_S = 10.0
GRACEFUL_S = 6


@dataclass
class House:
    """A gateway with a keyless and a keyed API, and a known key. frozen: while the block lasts, its store does not answer.

    asking: a call of the operator's that needs the store while it is frozen.
    """

    gateway: Gateway
    key: str
    frozen: Callable[[], AbstractContextManager[None]]
    asking: tuple[str, str, Any]

    def status(self, path: str, key: str = "", timeout: float = REFUSED_S) -> tuple[int, Any]:
        """Of a request to the public port, with the code of a refusal."""
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"authorization": key} if key else {})
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, json.loads(body).get("code") if answer.status >= 400 else None

    def ask(self) -> tuple[int, Any, float]:
        """The operator's call: status, code, seconds."""
        began = time.monotonic()
        status, body = self.gateway.operator(*self.asking)
        return status, body.get("Code") if isinstance(body, dict) else None, time.monotonic() - began


@pytest.fixture(params=["postgresql", "sqlite"])
def house(request: pytest.FixtureRequest, odd_upstream: OddUpstream, tmp_path: Path) -> Iterator[House]:
    apis = [
        definition("free", f"{odd_upstream.url}/"),
        definition("keyed", f"{odd_upstream.url}/", use_keyless=False),
    ]
    env = {"GATEWAY_GRACEFUL_TIMEOUT": str(GRACEFUL_S)}
    server: PostgreSQL | None = None
    if request.param == "postgresql":
        server = request.getfixturevalue("own_postgresql")
        env["GATEWAY_DATABASE_URL"] = server.new_database()
    with gateway(tmp_path, apis, env) as running:
        status, body = running.operator("POST", "/api/keys", {"rate": 0, "per": 0, "quota_max": 10_000, "quota_renewal_rate": 3600})
        assert status == 200, body
        file = running.folder / "gateway.db"
        made = House(
            running,
            body["key_id"],
            (lambda: hanging(server)) if server else (lambda: locked(file)),
            ("GET", "/api/apis", None) if server else ("POST", "/api/keys", {"rate": 1, "per": 1}),
        )
        assert made.status("/keyed/", made.key) == (200, None)
        yield made


def test_what_asks_whether_it_is_well_is_answered_at_once_whatever_the_threads_do(house: House) -> None:
    operator, public = house.gateway.operator_port, house.gateway.port
    with house.frozen(), ThreadPoolExecutor(100) as callers:
        waiting = [callers.submit(house.ask) for _ in range(100)]
        for _ in range(5):
            assert get(operator, "/health", AT_ONCE_S)[0] == 200
            assert get(operator, "/hello", AT_ONCE_S)[0] == 200
            assert b"http_requests_total" in get(operator, "/metrics", AT_ONCE_S)[1]
            assert get(public, "/hello", AT_ONCE_S)[0] == 200
        answers = [one.result() for one in waiting]
    assert {answer[:2] for answer in answers} == {(503, "database-unavailable")}
    assert max(seconds for *_, seconds in answers) < REFUSED_S
    wait_until(lambda: get(operator, "/ready", AT_ONCE_S)[0] == 200, 30, "readiness again")
    wait_until(lambda: house.ask()[0] == 200, 30, "the operator's call again")


def test_requests_go_on_and_readiness_says_why_not(house: House) -> None:
    with house.frozen():
        assert house.status("/free/") == (200, None)
        assert house.status("/keyed/", house.key) == (200, None)
        if house.asking[0] == "GET":  # nothing can be read
            with ThreadPoolExecutor(60) as clients:
                asked = list(clients.map(lambda number: house.status("/keyed/", f"unknown-{number}"), range(60)))
            assert set(asked) == {(503, "keys-unavailable")}
            status, body = get(house.gateway.operator_port, "/ready", REFUSED_S)
            assert status == 503
            assert json.loads(body)["checks"]["database"] != "ok"
        else:
            assert house.status("/keyed/", "unknown") == (403, "key-unknown")
        wait_until(lambda: json.loads(get(house.gateway.operator_port, "/hello")[1])["status"] == "warn", 30, "a warning")
        assert house.status("/keyed/", house.key) == (200, None)
    wait_until(lambda: json.loads(get(house.gateway.operator_port, "/hello")[1])["status"] == "pass", 30, "no warning")
    assert house.status("/keyed/", "unknown") == (403, "key-unknown")


@pytest.mark.parametrize("house", ["postgresql"], indirect=True)
def test_a_reload_is_refused_in_time(house: House) -> None:
    workers = house.gateway.workers()
    with house.frozen():
        house.gateway.signal(signal.SIGHUP)
        wait_until(lambda: "reload refused" in house.gateway.process.text(), REFUSED_S, "the refusal of the reload")
    assert house.gateway.workers() == workers


def test_it_ends_in_its_time_and_writes_what_it_can(house: House) -> None:
    """With calls of operators and unknown keys that wait, a quota that is owed and keys whose use is not noted."""
    with house.frozen(), ThreadPoolExecutor(20) as callers:
        assert house.status("/keyed/last", house.key) == (200, None)
        for number in range(10):
            callers.submit(house.ask)
            callers.submit(house.status, "/keyed/", f"unknown-{number}")
        wait_until(lambda: get(house.gateway.operator_port, "/health", AT_ONCE_S)[0] == 200, 10, "an answer beside them")
        began = time.monotonic()
        house.gateway.process.child.terminate()
        status = house.gateway.process.child.wait(60)
        spent = time.monotonic() - began
    assert status == 0
    assert spent < GRACEFUL_S + 2
    assert house.gateway.logged(path="/keyed/last")["status"] == 200
    text = house.gateway.process.text()
    assert "quota charges lost" in text or "last write failed" in text
    assert "Traceback" not in text
    assert "SIGKILL" not in text
    assert OPERATOR_KEY not in text
