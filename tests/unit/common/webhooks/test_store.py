"""The outbox: exact de-duplication, leases, ends, replay, sweeping; on both databases."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.common.webhooks import store
from services.common.webhooks.outbox import Call, Delivery
from services.common.webhooks.store import DEAD_KEPT_FOR, DELIVERED_KEPT_FOR, StoredOutbox

MakeCall = Callable[..., Call]
WRITER = Path(__file__).parent / "writer.py"
NOW = 1_800_000_000.0


def take(
    outbox: StoredOutbox, now: float = NOW, most: int = 10, under_way: dict[str, int] | None = None, most_of_lane: int = 10
) -> list[Delivery]:
    return outbox.lease(now, 60.0, most, under_way or {}, most_of_lane)


def test_the_same_event_is_told_once_until_its_time_is_over(outbox: StoredOutbox, make_call: MakeCall) -> None:
    assert outbox.put([make_call(1, told_for=10), make_call(2, told_for=10)], NOW) == 1
    assert outbox.put([make_call(3, told_for=10)], NOW + 9.9) == 0
    assert outbox.put([make_call(4, told_for=10)], NOW + 10) == 1
    assert outbox.put([make_call(5, told_for=10)], NOW + 19.9) == 0


def test_whatever_differs_is_another_event(outbox: StoredOutbox, make_call: MakeCall) -> None:
    marks = [("a", "bc"), ("ab", "c"), ("a", "b"), ("a", "bc", "")]
    assert outbox.put([make_call(number, told_for=10, mark=mark) for number, mark in enumerate(marks)], NOW) == 4


def test_without_a_timeout_every_event_is_told(outbox: StoredOutbox, make_call: MakeCall) -> None:
    assert outbox.put([make_call(number) for number in range(3)], NOW) == 3


def test_sixty_concurrent_events_of_two_processes_are_told_once(database_url: str, outbox: StoredOutbox) -> None:
    """30 threads in each process begin together, every one with the same event and one of its own."""
    writers = [
        subprocess.Popen([sys.executable, str(WRITER), database_url, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    told = [json.loads(writer.communicate(timeout=60)[0]) for writer in writers]
    assert sum(one["shared"] for one in told) == 1
    assert sum(one["own"] for one in told) == 60
    assert outbox.page(None, 0, 1000)[1] == 61


def test_a_leased_call_is_given_to_nobody_else_until_the_lease_ends(outbox: StoredOutbox, make_call: MakeCall) -> None:
    outbox.put([make_call()], NOW)
    assert [one.id for one in take(outbox)] == ["msg_1"]
    assert take(outbox, NOW + 59.9) == []
    again = take(outbox, NOW + 60)
    assert [one.id for one in again] == ["msg_1"]


def test_two_workers_share_the_calls(outbox: StoredOutbox, make_call: MakeCall) -> None:
    import threading

    outbox.put([make_call(number) for number in range(40)], NOW)
    taken: list[str] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        while leased := take(outbox, most=3):
            taken.extend(one.id for one in leased)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(f"msg_{number}" for number in range(40))


def test_one_lane_gets_only_its_share(outbox: StoredOutbox, make_call: MakeCall) -> None:
    outbox.put([make_call(number, "http://dead.example/x") for number in range(20)], NOW)
    outbox.put([make_call(99, "http://well.example/x")], NOW + 1)
    first = take(outbox, NOW + 1, most=10, most_of_lane=3)
    assert [one.lane for one in first] == ["http://dead.example"] * 3
    assert [one.id for one in take(outbox, NOW + 1, under_way={"http://dead.example": 3}, most_of_lane=3)] == ["msg_99"]


def test_who_lost_the_lease_changes_nothing(outbox: StoredOutbox, make_call: MakeCall) -> None:
    outbox.put([make_call()], NOW)
    [slow] = take(outbox)
    [other] = take(outbox, NOW + 61)
    outbox.failed(slow, 500, "late", NOW + 500)
    outbox.given_up(slow, 410, "late", NOW + 62)
    found = outbox.get("msg_1")
    assert found is not None and (found.state, found.attempts, found.last_error) == ("pending", 0, "")
    outbox.failed(other, 500, "the target answered 500", NOW + 100)
    assert take(outbox, NOW + 99) == []
    assert [one.attempts for one in take(outbox, NOW + 100)] == [1]


def test_a_success_counts_even_late(outbox: StoredOutbox, make_call: MakeCall) -> None:
    outbox.put([make_call()], NOW)
    [slow] = take(outbox)
    take(outbox, NOW + 61)
    outbox.delivered(slow, 204, NOW + 62)
    found = outbox.get("msg_1")
    assert found is not None and (found.state, found.last_status, found.ended_at) == ("delivered", 204, NOW + 62)


def test_dead_calls_are_replayed_with_a_day_of_their_own(outbox: StoredOutbox, make_call: MakeCall) -> None:
    outbox.put([make_call(1), make_call(2), make_call(3, hook_id="other")], NOW)
    for delivery in take(outbox):
        outbox.given_up(delivery, 500, "no", NOW + 5)
    assert take(outbox, NOW + 10**6) == []
    assert outbox.replay_dead("hook", NOW + 10**6) == 2
    again = take(outbox, NOW + 10**6)
    assert sorted(one.id for one in again) == ["msg_1", "msg_2"]
    assert {(one.attempts, one.created_at, one.give_up_at) for one in again} == {(0, NOW, NOW + 10**6 + 86_400)}
    assert outbox.replay_dead(None, NOW) == 1


def test_replaying_leaves_a_call_that_is_being_made(outbox: StoredOutbox, make_call: MakeCall) -> None:
    outbox.put([make_call()], NOW)
    take(outbox)
    assert outbox.replay("msg_1", NOW + 1)
    assert take(outbox, NOW + 2) == []
    assert not outbox.replay("msg_none", NOW)


def test_sweeping_keeps_what_is_still_wanted(outbox: StoredOutbox, make_call: MakeCall) -> None:
    outbox.put([make_call(number, told_for=5, mark=(str(number),)) for number in (1, 2, 3)], NOW)
    done, dead, _ = take(outbox)
    outbox.delivered(done, 200, NOW)
    outbox.given_up(dead, 500, "no", NOW)
    outbox.sweep(NOW + DELIVERED_KEPT_FOR + 1)
    assert outbox.get(done.id) is None
    assert outbox.page(None, 0, 10)[1] == 2
    outbox.sweep(NOW + DEAD_KEPT_FOR + 1)
    assert [one.state for one in outbox.page(None, 0, 10)[0]] == ["pending"]
    assert outbox.put([make_call(9, told_for=5, mark=("3",))], NOW + 6) == 1


def test_sweeping_keeps_only_the_newest_of_a_hook(outbox: StoredOutbox, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook that fires without end, or whose calls are refused at once, does not fill the disk."""
    monkeypatch.setattr(store, "MOST_KEPT", 3)
    monkeypatch.setattr(store, "_SLICE", 2)
    outbox.put([make_call(number, hook_id="many" if number < 9 else "few") for number in range(12)], NOW)
    for number, call in enumerate(sorted(take(outbox, most=20, most_of_lane=20), key=lambda call: int(call.id[4:]))):
        if number % 2:
            outbox.delivered(call, 200, NOW + number)
        elif number:
            outbox.given_up(call, 500, "no", NOW + number)
    outbox.sweep(NOW + 20)
    kept = {one.id for one in outbox.page(None, 0, 20)[0]}
    assert kept == {f"msg_{number}" for number in (0, 6, 7, 8, 9, 10, 11)}


def test_pages_are_the_newest_first(outbox: StoredOutbox, make_call: MakeCall) -> None:
    for number in range(5):
        outbox.put([make_call(number)], NOW + number)
    found, total = outbox.page("pending", 1, 2)
    assert ([one.id for one in found], total) == (["msg_2", "msg_1"], 5)
    assert outbox.page("dead", 0, 2) == ([], 0)


def test_what_goes_in_comes_out(outbox: StoredOutbox, make_call: MakeCall) -> None:
    given: Any = make_call(1, headers=(("X-Ünicode", "é"), ("X-Two", "2")), body='{"a": "ü\\u0000"}', hook_id="h" * 300)
    outbox.put([given], NOW)
    [found] = take(outbox)
    assert (found.headers, found.body, found.hook_id) == (list(given.headers), given.body, "h" * 300)


YEARS = 10 * 365 * 86_400.0


def test_a_clock_that_was_ahead_holds_up_no_call(outbox: StoredOutbox, make_call: MakeCall) -> None:
    """A machine starts with the wrong year, and is set right afterwards."""
    outbox.put([make_call(1), make_call(2)], NOW + YEARS)
    assert [one.id for one in outbox.lease(NOW + YEARS, 120, 1, {}, 1)] == ["msg_1"], "its worker died"
    assert [one.id for one in outbox.lease(NOW, 120, 9, {}, 9)] == ["msg_1", "msg_2"]
    assert outbox.lease(NOW, 120, 9, {}, 9) == []


def test_a_clock_that_was_ahead_silences_no_event(outbox: StoredOutbox, make_call: MakeCall) -> None:
    assert outbox.put([make_call(1, told_for=60)], NOW + YEARS) == 1
    assert outbox.put([make_call(2, told_for=60)], NOW) == 1
    assert outbox.put([make_call(3, told_for=60)], NOW + 1) == 0


def test_what_waits_is_counted(outbox: StoredOutbox, make_call: MakeCall) -> None:
    assert outbox.backlog(NOW) == (0, 0.0, 0)
    outbox.put([make_call(number) for number in range(4)], NOW)
    delivered, dead, *_ = take(outbox)
    outbox.delivered(delivered, 200, NOW)
    outbox.given_up(dead, 410, "gone", NOW)
    assert outbox.backlog(NOW + 30) == (2, 30.0, 1)
    assert outbox.backlog(NOW - 30) == (2, 0.0, 1), "they are due later"
