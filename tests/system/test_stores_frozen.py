"""A store that does not answer: every call is told so in time, what needs no store goes on, and nothing is lost."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from tests.support.fake_auth import FakeAuth
from tests.support.freezing import hanging, locked
from tests.support.processes import get, running
from tests.support.stores import PostgreSQL
from tests.support.waiting import wait_until
from tests.system import test_auth_service as auth
from tests.system import test_tokens_service as tokens

pytestmark = pytest.mark.alone

CALLS = 40
LIMIT_S = 5.0


class Called(NamedTuple):
    status: int
    said: Any
    retry_after: str | None
    seconds: float


def called(method: str, url: str, body: Any = None, **options: Any) -> Called:
    began = time.monotonic()
    answer = requests.request(method, url, json=body, timeout=60, **options)
    with contextlib.suppress(ValueError):
        return Called(answer.status_code, answer.json(), answer.headers.get("Retry-After"), time.monotonic() - began)
    return Called(answer.status_code, answer.text, answer.headers.get("Retry-After"), time.monotonic() - began)


class House(NamedTuple):
    """A running service, and what is needed to see it suffer."""

    port: int
    read: Callable[[], Called]
    write: Callable[[], Called]
    written: Callable[[], int]
    said: Any
    """What a refused call says, besides the request's id."""

    def healthy(self) -> bool:
        return get(self.port, "/health")[0] == get(self.port, "/metrics")[0] == 200


@contextlib.contextmanager
def auth_house(url: str, folder: Path) -> Iterator[House]:
    with running("auth", auth.environment(url, folder, AUTH_THREADS="16"), folder) as (base, process):
        service = auth.Auth(base, process, {}, folder)
        head = service.bearer()

        def domains() -> int:
            return len(called("GET", f"{base}/domains", headers=head).said["items"])

        yield House(
            int(base.rpartition(":")[2]),
            lambda: called("GET", f"{base}/me", headers=head),
            lambda: called("POST", f"{base}/domains", {"name": f"d{time.monotonic_ns()}"}, headers=head),
            domains,
            {"error": "database unavailable", "code": "database-unavailable"},
        )


@contextlib.contextmanager
def tokens_house(url: str, folder: Path) -> Iterator[House]:
    with running("tokens", tokens.environment(url, folder, TOKENS_POLLS_LIMIT="1"), folder) as (base, _):
        head = tokens.Client(base, "generator")._headers
        token = {"svg": tokens.SVG, "generated": "2026-01-01T00:00:00.000Z", "keywords": ["a", "b", "c"]}

        def number() -> int:
            return int(called("GET", f"{base}/tokens?offset=0&count=1", headers=head).said["total_rows"])

        yield House(
            int(base.rpartition(":")[2]),
            lambda: called("GET", f"{base}/tokens?offset=0", headers=head),
            lambda: called("PUT", f"{base}/token", token, headers=head),
            number,
            {"error": "db down"},
        )


@contextlib.contextmanager
def devices_house(url: str, folder: Path) -> Iterator[House]:
    auth = FakeAuth()
    for name in ("one", "two"):  # of one account only so many calls wait
        auth.add(f"gh_acc_{name}", name)
    env = {"DEVICES_DATABASE_URL": url, "AUTH_URL": auth.url, "DEVICES_AUTH_SECRET": "a secret", "DEVICES_DATA": str(folder / "devices")}
    with contextlib.closing(auth), running("devices", env, folder) as (base, _):
        accounts = [{"Token": "gh_acc_one"}, {"Token": "gh_acc_two"}]
        device = {"name": "a device", "type": "mutable"}
        first, second = (called("POST", f"{base}/device", device, headers=account).said["result"] for account in accounts)
        readers = itertools.cycle([{"Token": first["token"]}, {"Token": second["token"]}])

        def amount() -> int:
            return int(called("GET", f"{base}/device/{first['device_id']}/data_amount", headers=accounts[0]).said["result"])

        yield House(
            int(base.rpartition(":")[2]),
            lambda: called("GET", f"{base}/data", headers=next(readers)),
            lambda: called("POST", f"{base}/data", {"variable": "a"}, headers={"Token": first["token"]}),
            amount,
            {"status": False, "message": "The database is not available now; try again"},
        )


HOUSES = pytest.mark.parametrize("house", [auth_house, tokens_house, devices_house], ids=["auth", "tokens", "devices"])


def refused(house: House, call: Called) -> bool:
    said = {name: value for name, value in call.said.items() if name != "request_id"}
    return (call.status, said, call.retry_after) == (503, house.said, "1")


def suffers(house: House, pool: ThreadPoolExecutor, call: Callable[[], Called]) -> None:
    """More calls than there are threads: all are refused in time; what needs no store is answered while they wait."""
    calls: list[Future[Called]] = [pool.submit(call) for _ in range(CALLS)]
    assert house.healthy()
    assert not all(one.done() for one in calls), "nobody waited any more"
    done, late = wait(calls, timeout=30)
    assert not late
    assert [one.result() for one in done if not refused(house, one.result())] == []
    assert max(one.result().seconds for one in done) < LIMIT_S


@HOUSES
def test_a_postgresql_that_stopped(own_postgresql: PostgreSQL, tmp_path: Path, house: Callable[..., Any]) -> None:
    url = own_postgresql.new_database()
    with house(url, tmp_path) as service, ThreadPoolExecutor(CALLS) as pool:
        written = [service.write() for _ in range(3)]
        assert {one.status for one in written} <= {200, 201}
        before = service.written()
        for _ in range(CALLS):  # the connections that calls leave behind
            assert service.read().status == 200
        with hanging(own_postgresql):
            suffers(service, pool, service.read)
            suffers(service, pool, service.write)
            assert get(service.port, "/ready")[0] == 503
        wait_until(lambda: service.read().status == 200, 10)
        wait_until(lambda: get(service.port, "/ready")[0] == 200, 10)
        assert service.written() == before
        assert service.write().status in (200, 201)
        assert service.written() == before + 1


@HOUSES
def test_a_file_that_somebody_locked(sqlite_url: str, tmp_path: Path, house: Callable[..., Any]) -> None:
    with house(sqlite_url, tmp_path) as service, ThreadPoolExecutor(CALLS) as pool:
        assert service.write().status in (200, 201)
        before = service.written()
        with locked(Path(sqlite_url.removeprefix("sqlite:///"))):
            suffers(service, pool, service.write)
            assert service.read().status == 200
            assert service.written() == before
        wait_until(lambda: service.write().status in (200, 201), 10)
        assert service.written() == before + 1
