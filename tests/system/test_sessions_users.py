"""Users at the sessions service, with the real auth: login keys, passwords, and what guessing them costs."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import requests

from tests.support.sessions_house import PASSWORD, House, email
from tests.support.waiting import wait_until

pytestmark = pytest.mark.parametrize("sessions_at_home", ["sqlite"], indirect=True)  # users are in auth's database

NEW = "another horse battery"
FORGOTTEN_S = 10.0  # the service keeps an answer of auth for 5


def fire(house: House, name: str, who: tuple[str, str], *values: Any) -> requests.Response:
    """Fire an event of users through the gateway."""
    return requests.post(f"{house.url}/api/event/user/{name}/?f=JSON", json=list(values), auth=who, timeout=20)


def ask(house: House, who: tuple[str, str], address: str = "203.0.113.1") -> requests.Response:
    """Ask who one is, as a gateway does for a client at this address: failures are counted for it, not for the other tests."""
    headers = {"X-Forwarded-For": address}
    return requests.get(f"{house.straight}/api/myuser/?f=JSON", auth=who, headers=headers, timeout=20)


def done(answer: requests.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def _is_out(house: House, who: tuple[str, str]) -> bool:
    return ask(house, who).status_code == 401


@pytest.fixture
def person(sessions_at_home: House) -> Iterator[tuple[str, str]]:
    """Name and password of a new user of domain d."""
    name = f"{secrets.token_hex(6)}@example.org"
    admin = (email("admin"), PASSWORD)
    assert done(fire(sessions_at_home, "ADD_USER", admin, "d", name, PASSWORD, "HOST_SESSION", "Some Body")) is True
    yield name, PASSWORD
    assert done(fire(sessions_at_home, "REMOVE_USER", admin, name)) is True
    assert done(fire(sessions_at_home, "REMOVE_USER", admin, name)) is False


def test_a_login_key_stands_for_the_password(sessions_at_home: House, person: tuple[str, str]) -> None:
    name, _ = person
    key = done(fire(sessions_at_home, "GET_MY_LOGIN_KEY", person))
    found = done(fire(sessions_at_home, "GET_MY_USER", (name, key)))
    assert (found["userName"], found["lastName"], found["maxOption"]) == (name, "Body", "HOST_SESSION")
    assert done(fire(sessions_at_home, "GET_MY_LOGIN_KEY", (name, key))) == key
    by_get = f"{sessions_at_home.url}/api/event/user/get_my_login_key/?f=JSON"  # as Tygron's Python SDK does
    assert done(requests.get(by_get, auth=(name, key), timeout=20)) == key
    wrong = ask(sessions_at_home, (name, key[:-1] + ("0" if key[-1] != "0" else "1")))
    assert (wrong.status_code, wrong.text) == (401, "invalid credentials")
    assert wrong.headers["WWW-Authenticate"].startswith("Basic ")
    # what would outlive the key needs the password
    assert fire(sessions_at_home, "SET_USER_PASSWD", (name, key), name, NEW).status_code == 400


def test_a_new_password_ends_the_old_one_and_the_key(sessions_at_home: House, person: tuple[str, str]) -> None:
    name, _ = person
    key = done(fire(sessions_at_home, "GET_MY_LOGIN_KEY", person))
    other = done(fire(sessions_at_home, "SET_USER_PASSWD", person, name, NEW))
    assert done(fire(sessions_at_home, "GET_MY_USER", (name, NEW)))["userName"] == name
    assert done(fire(sessions_at_home, "GET_MY_USER", (name, other)))["userName"] == name
    for old in (PASSWORD, key):
        wait_until(partial(_is_out, sessions_at_home, (name, old)), FORGOTTEN_S)
    refused = fire(sessions_at_home, "SET_USER_PASSWD", (name, NEW), name, "short")
    assert (refused.status_code, refused.text) == (400, "INVALID_REQUEST: new_password: Shorter than 12 characters.")


def test_an_administrator_lets_users_in_and_out(sessions_at_home: House, person: tuple[str, str]) -> None:
    name, _ = person
    admin = (email("admin"), PASSWORD)
    assert done(fire(sessions_at_home, "SET_USER_ACTIVE", admin, name, False)) is True
    wait_until(partial(_is_out, sessions_at_home, person), FORGOTTEN_S)
    assert done(fire(sessions_at_home, "SET_USER_ACTIVE", admin, None, name, True)) is True
    given = done(fire(sessions_at_home, "RESET_PASSWD", admin, name))
    assert done(fire(sessions_at_home, "GET_MY_USER", (name, given)))["active"] is True
    assert name in [one["userName"] for one in done(fire(sessions_at_home, "GET_DOMAIN_USERS", admin))]
    assert email("out") not in [one["userName"] for one in done(fire(sessions_at_home, "GET_DOMAIN_USERS", admin))]
    assert fire(sessions_at_home, "REMOVE_USER", admin, email("out")).json() is False  # of another domain: not there
    taken = fire(sessions_at_home, "ADD_USER", admin, None, name, NEW)
    assert (taken.status_code, taken.text) == (409, "E-mail taken.")
    above = fire(sessions_at_home, "ADD_USER", admin, None, f"x{name}", NEW, "SUPER_USER")
    assert (above.status_code, above.text[:36]) == (400, "INSUFFICIENT_RIGHTS: not allowed: ne")


@pytest.mark.parametrize("guess", ["guess {turn} of ten", "always the same"])
def test_guessing_is_slowed_down(sessions_at_home: House, person: tuple[str, str], guess: str) -> None:
    name, _ = person
    place = f"2001:db8:{secrets.randbelow(0x10000):x}:{secrets.randbelow(0x10000):x}::1"  # failures are counted for the address, too
    key = done(fire(sessions_at_home, "GET_MY_LOGIN_KEY", person))
    found = [ask(sessions_at_home, (name, guess.format(turn=turn)), place) for turn in range(10)]
    assert [one.status_code for one in found[:5]] == [401] * 5
    assert found[-1].status_code == 429
    assert int(found[-1].headers["Retry-After"]) >= 1
    assert ask(sessions_at_home, (name, key), place).status_code == 200  # a right key is never delayed
    assert ask(sessions_at_home, (name, PASSWORD), "203.0.113.3").status_code == 200  # nor is another place
