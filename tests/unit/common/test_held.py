"""Waiting: places, wake-ups that come at a bad moment, clients that went away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from services.common import held
from services.common.clock import SystemClock
from services.common.held import ClientConnection, Places, Waiter
from services.common.refusal import Refusal
from services.common.wakeups import InProcess, ThroughValkey
from tests.support.stores import Valkey
from tests.support.waiting import wait_until

NOBODY = ClientConnection(None)


def too_many_polls() -> Refusal:
    return Refusal(503, "too many polls")


@pytest.fixture(params=["in process", "valkey"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[InProcess | ThroughValkey, InProcess | ThroughValkey]]:
    """Two ends of the wake-ups: of one process, and of two that share a Valkey."""
    if request.param == "in process":
        one = InProcess()
        yield one, one
        one.close()
        return
    valkey: Valkey = request.getfixturevalue("valkey")
    ends = ThroughValkey(valkey.url, "test"), ThroughValkey(valkey.url, "test")
    for end in ends:
        assert end.wait_until_subscribed(30)
    yield ends
    for end in ends:
        end.close()


Pair = tuple[InProcess | ThroughValkey, InProcess | ThroughValkey]


def test_another_process_wakes(pair: Pair) -> None:
    here, there = pair
    places = Places(10, too_many_polls)
    found: list[str] = []
    answers: list[str | None] = []
    waiter = Waiter(here, SystemClock(), places)
    thread = threading.Thread(target=lambda: answers.append(waiter.poll("t", lambda: found[0] if found else None, 30, NOBODY)))
    thread.start()
    wait_until(lambda: places.taken == 1)
    found.append("here it is")
    there.publish(["other", "t"])
    thread.join(30)
    assert answers == ["here it is"] and places.taken == 0


def test_a_change_between_look_and_wait_is_not_lost() -> None:
    wakes = InProcess()
    looks = 0

    def look() -> str | None:
        nonlocal looks
        looks += 1
        if looks == 1:
            wakes.publish(["t"])  # just after the store was read
            return None
        return "found"

    assert Waiter(wakes, SystemClock(), Places(1, too_many_polls)).poll("t", look, 30, NOBODY) == "found"


def test_a_wake_up_at_the_end_of_a_pulse_is_not_lost() -> None:
    wakes = InProcess()
    ticket = wakes.ticket("t")
    wait = ticket._event.wait

    def late(timeout: float | None = None) -> bool:
        woken = wait(0)
        wakes.publish(["t"])  # after the time was over, before the waiter runs again
        return woken

    ticket._event.wait = late  # type: ignore[method-assign]
    assert ticket.wait(0.01) is False
    ticket._event.wait = wait  # type: ignore[method-assign]
    assert ticket.wait(30) is True


def test_places_are_given_back_whatever_happens() -> None:
    places = Places(1, too_many_polls)
    waiter = Waiter(InProcess(), SystemClock(), places)

    def broken() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        waiter.poll("t", broken, 1, NOBODY)
    assert places.taken == 0
    with places.one(), pytest.raises(Refusal) as refusal:
        waiter.poll("t", lambda: None, 1, NOBODY)
    assert refusal.value.status == 503


def test_who_went_away_leaves_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "PULSE_S", 0.05)
    server, client = socket.socketpair()
    connection = ClientConnection(server)
    assert not connection.gone()
    client.sendall(b"x")
    assert not connection.gone()
    client.close()
    assert connection.gone()
    waiter = Waiter(InProcess(), SystemClock(), Places(1, too_many_polls))
    answers: list[None] = []
    thread = threading.Thread(target=lambda: answers.append(waiter.poll("t", lambda: None, 3600, connection)), daemon=True)
    thread.start()
    thread.join(30)
    assert answers == [None]
    server.close()
    assert connection.gone()


def test_metrics_tell_how_many_places_are_taken() -> None:
    places = Places(10, too_many_polls)
    with places.one(), places.one():
        found = {sample.name: sample.value for metric in places.collect() for sample in metric.samples}
    assert found == {"service_held_requests": 2, "service_held_requests_limit": 10}
