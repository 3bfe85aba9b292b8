"""What one account may have under way at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.common.refusal import Refusal
from services.devices.data.ingest import ingest
from services.devices.shares import Shares
from tests.support.waiting import wait_until
from tests.unit.devices.conftest import ACC2, API, refused, result


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One store is enough: what is tested here asks none."""
    return sqlite_url


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def test_the_calls_of_an_account_wait_for_each_other_and_for_no_other(pool: ThreadPoolExecutor) -> None:
    shares, go, order = Shares(at_once=2, waiting=2, patience_s=30), threading.Event(), []

    def hold(name: str) -> None:
        with shares.one("one"):
            order.append(name)
            assert go.wait(30)

    first = [pool.submit(hold, "first") for _ in range(2)]
    wait_until(lambda: order == ["first"] * 2)
    then = [pool.submit(hold, "then") for _ in range(2)]
    wait_until(lambda: len(shares._lines["one"].waiting) == 2)
    with pytest.raises(Refusal) as refusal, shares.one("one"):
        pass
    assert (refusal.value.status, refusal.value.headers) == (429, {"Retry-After": "1"})
    with shares.one("two"):
        assert order == ["first"] * 2
    go.set()
    for one in (*first, *then):
        one.result(30)
    assert (order, shares._lines) == (["first", "first", "then", "then"], {})


def test_who_waits_too_long_is_refused() -> None:
    shares = Shares(at_once=1, patience_s=0.01)
    with shares.one("one"), pytest.raises(Refusal), shares.one("one"):
        pass
    assert shares._lines == {}
    with pytest.raises(ZeroDivisionError), shares.one("one"):
        _ = 1 / 0
    assert shares._lines == {}


def test_expensive_calls_take_a_share(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    made = api.device()
    shares = Shares(at_once=1, waiting=0)
    monkeypatch.setattr(api.parts, "shares", shares)
    with shares.one("one"):
        for answer in (
            api.get("/data", made.token),
            api.delete("/data?qty=1", made.token),
            api.get(f"/device/{made.id}/data"),
            api.get("/device"),
        ):
            refused(answer, 429, "Too many requests (Retry-After: 1)")
        assert result(api.get("/device", ACC2)) == []
        result(api.get("/info", made.token))
    assert result(api.get("/data", made.token)) == []


def test_large_bodies_of_an_account_are_read_in_turn(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    made, large = api.device(), [{"variable": "a", "unit": "x" * 20}] * 500
    shares = Shares(at_once=1, waiting=0)
    monkeypatch.setattr(api.parts, "reading", shares)
    with shares.one("one"):
        refused(api.post("/data", large, made.token), 429, "Too many requests (Retry-After: 1)")
        result(api.post("/data", large[:10], made.token))
    assert result(api.post("/data", large, made.token)) == "500 Data Added"


def test_records_are_not_read_when_none_are_taken(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    made = api.device()
    monkeypatch.setattr(ingest, "MOST_OF_ACCOUNT", 0)
    refused(api.send("POST", "/data", made.token, data=b"{"), 503, "The database is not available now; try again")
