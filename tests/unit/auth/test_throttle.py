"""Failed log-ins slow further ones down."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pytest

from services.auth.app import build
from services.auth.service.throttle import delay_after
from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth, settings_for


def test_the_delay_grows_from_the_fifth_failure_and_has_a_bound() -> None:
    assert [delay_after(n) for n in range(1, 8)] == [0, 0, 0, 0, 2, 4, 8]
    assert delay_after(10**6) == 300


def fail(auth: Auth, email: str = ADMIN, address: str = "198.51.100.7") -> int:
    return auth.ask("POST", "/login", {"email": email, "password": "a wrong password"}, address=address).status_code


def test_an_account_is_slowed_down_from_every_address(auth: Auth) -> None:
    assert [fail(auth, address=f"203.0.113.{n}") for n in range(5)] == [401] * 5
    answer = auth.ask("POST", "/login", {"email": ADMIN.upper(), "password": PASSWORD}, address="203.0.113.99")
    assert (answer.status_code, answer.headers["Retry-After"], answer.json["code"]) == (429, "2", "too-many-failures")
    auth.clock.move(2)
    assert fail(auth, address="203.0.113.6") == 401
    answer = auth.ask("POST", "/login", {"email": ADMIN, "password": PASSWORD})
    assert answer.headers["Retry-After"] == "4"
    auth.clock.move(4)
    assert auth.log_in()


def test_an_address_is_slowed_down_for_every_account(auth: Auth) -> None:
    assert [fail(auth, f"user{n}@example.org") for n in range(5)] == [401] * 5
    assert fail(auth, "another@example.org") == 429
    assert fail(auth, "another@example.org", address="203.0.113.1") == 401


def test_of_ipv6_the_network_of_a_customer_is_slowed_down(auth: Auth) -> None:
    assert [fail(auth, f"user{n}@example.org", f"2001:db8:1:2::{n}") for n in range(5)] == [401] * 5
    assert fail(auth, "another@example.org", "2001:db8:1:2:ffff::1") == 429
    assert fail(auth, "another@example.org", "2001:db8:1:3::1") == 401


def test_an_ipv4_address_written_as_ipv6_is_the_same(auth: Auth) -> None:
    assert [fail(auth, f"user{n}@example.org", "::ffff:203.0.113.5") for n in range(5)] == [401] * 5
    assert fail(auth, "another@example.org", "203.0.113.5") == 429


def test_success_resets(auth: Auth) -> None:
    assert [fail(auth) for _ in range(4)] == [401] * 4
    auth.log_in()
    assert [fail(auth) for _ in range(5)] == [401] * 5
    assert fail(auth) == 429


def test_signing_in_between_makes_guessing_another_account_no_faster(auth: Auth, admin: str) -> None:
    auth.add_user("mallory@example.org", admin)
    for _ in range(4):
        assert fail(auth) == 401
        auth.log_in("mallory@example.org")
    assert fail(auth) == 401
    assert fail(auth) == 429


def test_success_resets_the_address_too(auth: Auth) -> None:
    for _ in range(3):
        assert [fail(auth, f"user{n}@example.org") for n in range(2)] == [401] * 2
        auth.log_in()


def test_nobody_is_locked_for_good(auth: Auth) -> None:
    for _ in range(40):
        fail(auth)
        auth.clock.move(300)
    assert auth.log_in()


def test_an_attempt_during_a_delay_does_not_lengthen_it(auth: Auth) -> None:
    assert [fail(auth) for _ in range(9)] == [401] * 5 + [429] * 4
    auth.clock.move(2)
    assert auth.log_in()


def test_a_clock_that_is_set_back_locks_nobody(auth: Auth) -> None:
    for _ in range(5):
        fail(auth)
    auth.clock.jump(-3600)
    assert auth.log_in()


def test_failures_are_forgotten_after_a_quiet_while(auth: Auth) -> None:
    assert [fail(auth) for _ in range(4)] == [401] * 4
    auth.clock.move(15 * 60)
    assert [fail(auth) for _ in range(5)] == [401] * 5
    auth.clock.move(15 * 60)
    auth.house.forget_expired()
    assert auth.log_in()


def test_neighbours_pass_the_clients_address_on(auth: Auth) -> None:
    for n in range(5):
        assert auth.verify_basic(f"user{n}@example.org", "a wrong password", address="203.0.113.5").status_code == 401
    answer = auth.verify_basic(ADMIN, PASSWORD, address="203.0.113.5")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert auth.verify_basic(ADMIN, PASSWORD, address="203.0.113.6").status_code == 200
    assert auth.verify_basic(ADMIN, PASSWORD).status_code == 200
    assert auth.verify_basic(ADMIN, PASSWORD, address="nonsense").status_code == 422


def test_an_address_with_a_zone_of_any_length(auth: Auth, admin: str) -> None:
    address = "fe80::1%" + "a" * 100
    assert auth.verify_basic(ADMIN, "a wrong password", address=address).status_code == 401
    assert auth.ask("GET", "/audit", token=admin, query_string={"per_page": 1}).json["items"][0]["address"] == address[:45]
    assert auth.verify_basic(ADMIN, PASSWORD, address="fe80::1%\x00").status_code == 422


def test_login_keys_are_throttled_as_passwords_are(auth: Auth) -> None:
    from services.auth.rules import credentials

    statuses = [auth.verify_basic(ADMIN, credentials.make(credentials.LOGIN_KEY)).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]


def test_workers_share_the_counters(auth: Auth, database_url: str, tmp_path: Path) -> None:
    second = Auth(build(settings_for(database_url, tmp_path), auth.clock, key="k" * 32), auth.clock)
    try:
        assert [fail((auth, second)[n % 2]) for n in range(5)] == [401] * 5
        assert (fail(auth), fail(second)) == (429, 429)
        auth.clock.move(2)
        second.log_in()
        assert [fail(auth) for _ in range(4)] == [401] * 4
    finally:
        second.house.close()


def test_fifty_log_ins_at_once_all_succeed(auth: Auth) -> None:
    with ThreadPoolExecutor(50) as pool:
        tokens = list(pool.map(lambda _: auth.log_in(), range(50)))
    assert len(set(tokens)) == 50


def test_guesses_at_once_are_counted_before_the_next_is_checked(auth: Auth) -> None:
    with ThreadPoolExecutor(30) as pool:
        statuses = list(pool.map(lambda _: fail(auth), range(30)))
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 5 + auth.house.settings.hashers


def test_too_many_waiting_are_told_to_come_back(database_url: str, tmp_path: Path, auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    app = build(settings_for(database_url, tmp_path, hashers=1, hash_queue=1), auth.clock, key="k" * 32)
    busy = Auth(app, auth.clock)
    fits, told = busy.house.hasher._fits, threading.Event()
    monkeypatch.setattr(busy.house.hasher, "_fits", lambda kept, password: told.wait(30) and fits(kept, password))
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(busy.ask, "POST", "/login", {"email": ADMIN, "password": PASSWORD}) for _ in range(3)]
        first = next(as_completed(asked)).result()
        told.set()
    busy.house.close()
    assert (first.status_code, first.headers["Retry-After"]) == (503, "1")
    assert sorted(one.result().status_code for one in asked) == [200, 200, 503]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a priority of its own")
def test_the_threads_that_hash_give_way_to_those_that_answer(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    fits = auth.house.hasher._fits

    def look(kept: str, password: str) -> bool:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return fits(kept, password)

    monkeypatch.setattr(auth.house.hasher, "_fits", look)
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    auth.log_in()
    assert len(seen) == 1
    assert seen[0] > before
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
