"""What is remembered, and how it is forgotten everywhere."""

from __future__ import annotations

import threading
from collections.abc import Collection

import pytest

from services.common.clock import SettableClock
from services.common.wakeups import InProcess
from services.devices.known import Changes, Known
from tests.support.stores import Valkey
from tests.support.waiting import wait_until
from tests.unit.devices.conftest import MakeAPI, refused, result


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One store is enough: what is tested here asks none, or only for what other tests ask both."""
    return sqlite_url


def test_an_answer_is_kept_for_a_second() -> None:
    clock = SettableClock()
    known: Known[int] = Known(clock)
    answers = iter(range(10))
    assert [known.get("a", lambda: next(answers)) for _ in range(3)] == [0, 0, 0]
    clock.move(1)
    assert known.get("a", lambda: next(answers)) == 1
    assert known.get("b", lambda: None) is None
    assert known.get("b", lambda: next(answers)) == 2  # what was not there is looked up again


def test_what_is_recalled_shortly_before_its_end_is_looked_up_together_in_the_background() -> None:
    clock = SettableClock()
    known: Known[int] = Known(clock)
    asked: list[set[str]] = []
    goes_on = threading.Event()

    def find(keys: Collection[str]) -> dict[str, int]:
        asked.append(set(keys))
        assert goes_on.wait(30)
        return {key: 2 for key in keys if key != "gone"}

    for key in ("a", "b", "gone", "unused"):
        known.get(key, lambda: 1)
    assert [known.recall(key, find) for key in ("a", "b", "gone", "c")] == [1, 1, 1, None]
    clock.move(0.6)
    assert [known.recall(key, find) for key in ("a", "b", "gone", "a")] == [1, 1, 1, 1]
    wait_until(lambda: asked, 10, "the look-up")
    assert (asked, known.recall("b", find)) == ([{"a", "b", "gone"}], 1)  # nobody waits for it
    goes_on.set()
    wait_until(lambda: known.recall("a", find) == 2, 10, "what was looked up")
    assert known.recall("gone", find) is None
    clock.move(0.6)
    assert (known.recall("unused", find), known.get("a", lambda: 3)) == (None, 2)


def test_a_look_up_in_the_background_changes_nothing_when_it_fails_or_is_out_of_date() -> None:
    clock = SettableClock()
    changes = Changes(InProcess(), clock)
    known: Known[int] = changes.known()

    def fail(keys: Collection[str]) -> dict[str, int]:
        raise OSError("no store")

    def late(keys: Collection[str]) -> dict[str, int]:
        changes.announce()
        return dict.fromkeys(keys, 2)

    for find in (fail, late):
        known.get("a", lambda: 1)
        clock.move(0.6)
        assert known.recall("a", find) == 1
        wait_until(lambda: not known._renewing, 10, "the end of the look-up")
        assert known.recall("a", find) == (1 if find is fail else None)
        wait_until(lambda: not known._renewing, 10, "the end of the look-up")
        clock.move(0.6)
        assert known.recall("a", find) is None


@pytest.mark.parametrize("newer", ["new", None])
def test_a_look_up_in_the_background_that_is_late_leaves_what_was_learned_meanwhile(newer: str | None) -> None:
    clock = SettableClock()
    known: Known[str] = Known(clock)
    looks, goes_on = threading.Event(), threading.Event()

    def slow(keys: Collection[str]) -> dict[str, str]:
        found = dict.fromkeys(keys, "old")
        looks.set()
        assert goes_on.wait(30)
        return found

    known.get("a", lambda: "old")
    clock.move(0.6)
    assert known.recall("a", slow) == "old"
    assert looks.wait(30)
    clock.move(0.5)
    assert known.get("a", lambda: newer) == newer
    goes_on.set()
    wait_until(lambda: not known._renewing, 10, "the end of the look-up")
    assert known.recall("a", slow) == newer


def test_without_a_thread_to_spare_the_next_one_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SettableClock()
    known: Known[int] = Known(clock)

    def none_to_spare(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    known.get("a", lambda: 1)
    clock.move(0.6)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_to_spare)
        assert known.recall("a", lambda keys: dict.fromkeys(keys, 2)) == 1
    assert known.recall("a", lambda keys: dict.fromkeys(keys, 2)) == 1
    wait_until(lambda: known.recall("a", lambda keys: dict.fromkeys(keys, 2)) == 2, 10, "what was looked up")


def test_an_answer_that_was_on_its_way_when_something_changed_is_not_kept() -> None:
    changes = Changes(InProcess(), SettableClock())
    known: Known[str] = changes.known()

    def look() -> str:
        changes.announce()
        return "old"

    assert known.get("a", look) == "old"
    assert known.get("a", lambda: "new") == "new"


def test_only_so_many_are_kept() -> None:
    known: Known[int] = Known(SettableClock())
    for number in range(45_000):
        known.get(str(number), lambda: 1)
    assert len(known._kept) <= 20_000


def test_many_threads_look_up_at_once() -> None:
    changes = Changes(InProcess(), SettableClock())
    known: Known[int] = changes.known()
    current = 0
    stale = []

    def read() -> None:
        for _ in range(300):
            before = current
            found = known.get("a", lambda: current)
            if found is not None and found < before:
                stale.append((found, before))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        current += 1
        changes.announce()
        # only what is announced counts: readers may see the number before it
    for thread in threads:
        thread.join()
    assert all(before - found <= 1 for found, before in stale)
    assert known.get("a", lambda: -1) in (current, -1)


def test_another_process_hears_of_a_change_through_valkey(make_api: MakeAPI, valkey: Valkey) -> None:
    """The clock stands still, so nothing is forgotten by its age."""
    here, there = make_api(valkey_url=valkey.url), make_api(valkey_url=valkey.url)
    assert there.parts.wakeups.wait_until_subscribed(10)
    made = here.device()
    result(there.get("/info", made.token))
    assert result(there.get(f"/device/{made.id}"))["name"] == "a device"
    result(here.delete(f"/device/{made.id}"))
    wait_until(lambda: there.get("/info", made.token).status_code == 401, 10, "the end of a removed token")
    refused(there.get(f"/device/{made.id}"), 404, "Invalid Device ID")


def test_a_new_token_is_good_on_every_process_at_once(make_api: MakeAPI) -> None:
    here, there = make_api(), make_api()
    made = here.device()
    refused(there.get("/info", "00000000-0000-4000-8000-000000000000"), 401, "Authorization denied")
    result(there.get("/info", made.token))
    assert result(there.get(f"/device/{made.id}"))["id"] == made.id
