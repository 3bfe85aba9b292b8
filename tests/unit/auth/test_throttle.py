"""Failed log-ins slow further ones down."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from services.auth.app import build
from services.auth.audit.rules import COMMAND_LINE
from services.auth.credentials.service import throttle
from services.auth.credentials.service.throttle import delay_after
from services.auth.models import Familiar
from tests.unit.auth.browsing import Browser
from tests.unit.auth.conftest import ADMIN, PASSWORD, Auth, settings_for
from tests.unit.auth.guessing import attack, fail, try_it


def test_the_delay_grows_from_the_fifth_failure_and_has_a_bound() -> None:
    assert [delay_after(n) for n in range(1, 8)] == [0, 0, 0, 0, 2, 4, 8]
    assert delay_after(10**6) == 300


def test_an_account_is_slowed_down_from_the_address_that_failed(auth: Auth) -> None:
    assert [fail(auth) for n in range(5)] == [401] * 5
    answer = try_it(auth, email=ADMIN.upper())
    assert (answer.status_code, answer.headers["Retry-After"], answer.json["code"]) == (429, "2", "too-many-failures")
    auth.clock.move(2)
    assert fail(auth) == 401
    assert try_it(auth).headers["Retry-After"] == "4"
    auth.clock.move(4)
    assert auth.log_in()


# whoever only knows an e-mail address keeps nobody out with it


def test_a_strangers_failures_are_the_strangers_own(auth: Auth) -> None:
    assert [fail(auth, address="203.0.113.9") for _ in range(6)] == [401] * 5 + [429]
    assert try_it(auth, "198.51.100.7").status_code == 200
    assert try_it(auth, "203.0.113.9").status_code == 429


def test_strangers_at_many_addresses_do_not_delay_where_the_owner_was_lately(auth: Auth) -> None:
    auth.log_in(address="198.51.100.7")
    auth.clock.move(29 * 86400)
    attack(auth, 50)
    assert try_it(auth, "198.51.100.7").status_code == 200


@pytest.mark.slow
def test_with_many_failures_everywhere_a_new_place_waits_once_whatever_others_do_meanwhile(auth: Auth) -> None:
    attack(auth, 50)
    answer = try_it(auth, "192.0.2.1")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    auth.clock.move(1.5)
    assert [fail(auth, address=address) for address in ("203.0.113.251", "203.0.0.1", "203.0.0.2")] == [429] * 3
    assert try_it(auth, "192.0.2.1").headers["Retry-After"] == "1"
    auth.clock.move(0.5)
    assert [fail(auth, address=address) for address in ("203.0.113.251", "203.0.0.1", "203.0.0.2")] == [429, 401, 401]
    assert try_it(auth, "192.0.2.1").status_code == 200
    auth.clock.move(1.5)
    assert [fail(auth, address="203.0.113.251") for _ in range(2)] == [401, 429]


def test_the_wait_of_a_new_place_has_a_bound() -> None:
    assert [throttle.account_delay_after(n) for n in (0, 49, 50, 99, 100, 150)] == [0, 0, 2, 2, 4, 8]
    assert throttle.account_delay_after(10**6) == 60


@pytest.mark.slow
def test_a_place_is_not_familiar_for_ever(auth: Auth) -> None:
    auth.log_in(address="198.51.100.7")
    auth.clock.move(30 * 86400)
    attack(auth, 50)
    assert try_it(auth, "198.51.100.7").status_code == 429
    auth.parts.forget_expired()
    with auth.parts.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Familiar)) == 0


def test_a_familiar_place_is_not_delayed_by_what_others_there_do_at_other_accounts(auth: Auth) -> None:
    """The owner and the attacker are behind one address."""
    auth.log_in(address="198.51.100.7")
    assert [fail(auth, f"user{n}@example.org", "198.51.100.7") for n in range(5)] == [401] * 5
    assert fail(auth, "another@example.org", "198.51.100.7") == 429
    assert try_it(auth, "198.51.100.7").status_code == 200


def test_a_familiar_place_may_guess_no_faster(auth: Auth) -> None:
    auth.log_in()
    assert [fail(auth) for _ in range(6)] == [401] * 5 + [429]


def test_a_new_password_makes_every_place_a_new_one(auth: Auth, admin: str) -> None:
    auth.log_in(address="198.51.100.7")
    body = {"current_password": PASSWORD, "new_password": "another horse battery"}
    assert auth.ask("POST", "/me/password", body, token=admin).status_code == 204
    with auth.parts.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Familiar)) == 0


def test_a_browser_that_signed_in_before_is_not_delayed_by_others_behind_its_address(auth: Auth, admin: str) -> None:
    auth.add_user("ada@example.org", admin)
    browser, other = Browser(auth), Browser(auth)
    for one, email in ((browser, ADMIN), (other, "ada@example.org")):
        one.client.environ_base["REMOTE_ADDR"] = "198.51.100.7"
        assert one.sign_in(email).status_code == 303
        one.client.delete_cookie("gatehouse_session")
    first = browser.client.get_cookie("gatehouse_device")
    assert [fail(auth, address="198.51.100.7") for _ in range(6)] == [401] * 5 + [429]
    assert try_it(auth, "198.51.100.7").status_code == 429
    assert other.sign_in(ADMIN).status_code == 429  # its cookie is that of another account
    assert browser.sign_in(ADMIN).status_code == 303
    assert browser.client.get_cookie("gatehouse_device").value != first.value
    browser.client.delete_cookie("gatehouse_session")
    # who has stolen the cookie guesses no faster, and an old one is worth nothing
    thief = Browser(auth)
    thief.client.environ_base["REMOTE_ADDR"] = "198.51.100.7"
    thief.client.set_cookie("gatehouse_device", first.value)
    assert thief.sign_in(ADMIN).status_code == 429
    assert [browser.sign_in(ADMIN, "a wrong password").status_code for _ in range(6)] == [401] * 5 + [429]


def test_a_login_key_leaves_no_device_and_no_familiar_place(auth: Auth, admin: str) -> None:
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    auth.parts.database.run(lambda session: session.execute(sa.delete(Familiar)))
    browser = Browser(auth)
    assert browser.sign_in(password=key).status_code == 303
    assert browser.client.get_cookie("gatehouse_device") is None
    auth.log_in(password=key)
    with auth.parts.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Familiar)) == 0


def test_a_right_login_key_is_never_throttled(auth: Auth, admin: str) -> None:
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    auth.parts.database.run(lambda session: session.execute(sa.delete(Familiar)))
    attack(auth, 50)
    assert [fail(auth) for _ in range(2)] == [429] * 2
    auth.clock.move(2)
    assert [fail(auth) for _ in range(2)] == [401, 429]
    for _ in range(3):
        assert auth.verify_basic(ADMIN, key, address="198.51.100.7").status_code == 200
        assert auth.log_in(password=key)
        assert auth.ask("GET", "/me", basic=(ADMIN, key)).status_code == 200
    assert try_it(auth).status_code == 429  # and it forgets nobody's failures


def test_a_login_key_that_has_ended_is_told_so_all_the_same(auth: Auth, admin: str) -> None:
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    auth.clock.move(8 * 86400)
    assert [fail(auth) for _ in range(6)] == [401] * 5 + [429]
    assert auth.verify_basic(ADMIN, key, address="198.51.100.7").json["code"] == "login-key-expired"


def test_strangers_do_not_delay_the_change_of_the_password(auth: Auth, admin: str) -> None:
    assert [fail(auth) for _ in range(6)] == [401] * 5 + [429]
    body = {"current_password": PASSWORD, "new_password": "another horse battery"}
    assert auth.ask("POST", "/me/password", body, token=admin).status_code == 204


def test_a_login_keys_many_sign_ins_guess_the_password_no_faster(auth: Auth, admin: str) -> None:
    key = auth.ask("POST", "/me/login-key", token=admin).json["key"]
    body = {"current_password": "a wrong password", "new_password": "another horse battery"}
    statuses = [auth.ask("POST", "/me/password", body, token=auth.log_in(password=key)).status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]
    assert auth.ask("POST", "/me/password", {**body, "current_password": PASSWORD}, token=admin).status_code == 204


def test_a_neighbour_that_passes_no_address_on_is_one_place(auth: Auth) -> None:
    assert [auth.verify_basic(ADMIN, "a wrong password").status_code for _ in range(6)] == [401] * 5 + [429]
    assert auth.verify_basic(ADMIN, PASSWORD, address="198.51.100.7").status_code == 200
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


def test_a_strangers_success_forgets_nothing_at_other_accounts(auth: Auth, admin: str) -> None:
    auth.add_user("mallory@example.org", admin)
    here = "203.0.113.9"
    for n in range(2):
        assert fail(auth, f"user{n}@example.org", here) == 401
        assert fail(auth, "mallory@example.org", here) == 401
        auth.log_in("mallory@example.org", address=here)  # takes back one failure, its own
    assert [fail(auth, f"more{n}@example.org", here) for n in range(4)] == [401] * 3 + [429]
    auth.log_in("mallory@example.org", address=here)
    assert fail(auth, "more@example.org", here) == 429


def test_success_takes_its_own_failures_back_from_the_account_and_the_address(auth: Auth) -> None:
    """People who mistype and then sign in do not add up to an attack, neither behind one address nor at one account."""
    for n in range(15):
        address = f"192.0.2.{n}"
        assert [fail(auth, address=address) for _ in range(4)] == [401] * 4
        assert try_it(auth, address).status_code == 200
    assert try_it(auth, "192.0.2.99").status_code == 200


def test_a_browser_that_changes_its_address_takes_nothing_back_there(auth: Auth, admin: str) -> None:
    """Failures at one address and the success at another would clear the second of what was tried at others' accounts."""
    auth.add_user("mallory@example.org", admin)
    browser = Browser(auth)
    browser.client.environ_base["REMOTE_ADDR"] = "203.0.113.9"
    assert browser.sign_in("mallory@example.org").status_code == 303
    guesses = []
    for n in range(3):
        browser.client.delete_cookie("gatehouse_session")
        browser.client.environ_base["REMOTE_ADDR"] = "198.51.100.99"
        assert [browser.sign_in("mallory@example.org", "a wrong password").status_code for _ in range(3)] == [401] * 3
        browser.client.environ_base["REMOTE_ADDR"] = "203.0.113.9"
        assert browser.sign_in("mallory@example.org").status_code == 303
        guesses += [fail(auth, f"user{n}-{m}@example.org", "203.0.113.9") for m in range(3)]
    assert guesses == [401] * 5 + [429] * 4
    assert fail(auth, "another@example.org", "198.51.100.99") == 401  # a browser's failures delay nobody else there


def test_failures_that_were_forgotten_are_not_taken_back(auth: Auth, admin: str) -> None:
    auth.add_user("mallory@example.org", admin)
    assert [fail(auth, "mallory@example.org", "203.0.113.9") for _ in range(4)] == [401] * 4
    auth.clock.move(15 * 60)
    assert [fail(auth, f"user{n}@example.org", "203.0.113.9") for n in range(4)] == [401] * 4
    assert try_it(auth, "203.0.113.9", "mallory@example.org").status_code == 200
    assert [fail(auth, f"more{n}@example.org", "203.0.113.9") for n in range(2)] == [401, 429]


def test_a_password_that_was_changed_meanwhile_makes_no_place_familiar(auth: Auth, admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = auth.parts.hasher._fits

    def late(kept: str, password: str) -> bool:
        monkeypatch.setattr(auth.parts.hasher, "_fits", fits)
        right = fits(kept, password)
        user = auth.ask("GET", "/me", token=admin).json
        auth.parts.people.set_password(None, user["id"], "another horse battery", COMMAND_LINE)
        return right

    monkeypatch.setattr(auth.parts.hasher, "_fits", late)
    auth.verify_basic(ADMIN, PASSWORD, address="203.0.113.9")
    with auth.parts.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Familiar)) == 0


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
    auth.parts.forget_expired()
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
    from services.auth.credentials.rules import opaque

    statuses = [auth.verify_basic(ADMIN, opaque.make(opaque.LOGIN_KEY)).status_code for _ in range(6)]
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
        second.parts.close()
