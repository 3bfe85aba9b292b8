"""Session keys: one an owner, for a minute, renewed by writes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.common.clock import isoformat
from services.mobility.access import Proven
from tests.support.fake_auth import FakeAuth
from tests.unit.mobility.conftest import API, PASSWORD, ROOT, STATION, A, B, MakeAPI, good, refused

WRITE = {"data": {"k": "v"}}


def write(api: API, key: str) -> int:
    return api.put(f"/{STATION}/a.rail", WRITE, None, headers={"X-Auth": key}).status_code


def test_a_key_opens_writes_and_is_renewed_by_them(api: API) -> None:
    key = good(api.login(A))["results"][0]
    assert len(key) >= 32
    api.clock.move(59)
    assert write(api, key) == 200
    api.clock.move(59.9)
    assert write(api, key) == 200
    api.clock.move(60)
    refused(api.put(f"/{STATION}/a.rail", WRITE, None, headers={"X-Auth": key}), 401, "Not Authorized")


def test_a_refused_write_of_the_owner_renews_the_key(api: API) -> None:
    key = good(api.login(A))["results"][0]
    for path in (f"/{STATION}/a.rail", "/nope/a.rail"):
        api.clock.move(59)
        assert api.put(path, {}, None, headers={"X-Auth": key}).status_code in (404, 422)
    api.clock.move(59)
    assert api.put(f"/{STATION}/b.poi", WRITE, None, headers={"X-Auth": key}).status_code == 403
    api.clock.move(1)
    assert write(api, key) == 401


def test_a_live_session_makes_the_next_login_wait(api: API) -> None:
    key = good(api.login(A))["results"][0]
    busy = api.login(A)
    assert refused(busy, 409, "session busy")["results"] == ["session busy"]
    assert busy.headers["Retry-After"] == "60"
    api.clock.move(20.5)
    assert api.login(A).headers["Retry-After"] == "40"
    refused(api.login(A, "wrong"), 401, "Not Authorized")
    assert api.login(B).status_code == 200
    good(api.send("GET", "/release_session", headers={"X-Auth": key}))
    refused(api.send("GET", "/release_session", headers={"X-Auth": key}), 401, "Not Authorized")
    assert write(api, key) == 401
    assert good(api.login(A))["results"][0] != key


def test_a_session_that_ended_makes_nobody_wait(api: API) -> None:
    key = good(api.login(A))["results"][0]
    api.clock.move(60)
    refused(api.send("GET", "/release_session", headers={"X-Auth": key}), 401, "Not Authorized")
    other = good(api.login(A))["results"][0]
    assert (write(api, key), write(api, other)) == (401, 200)


def test_two_logins_at_once_get_one_key(make_api: MakeAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    two = (make_api(), make_api())
    checked = threading.Barrier(2, timeout=30)
    for api in two:
        ask = api.parts.owners.by_password

        def both(email: str, password: str, address: str | None, ask: object = ask) -> Proven:
            proven: Proven = ask(email, password, address)  # type: ignore[operator]
            checked.wait()
            return proven

        monkeypatch.setattr(api.parts.owners, "by_password", both)
    with ThreadPoolExecutor(2) as at_once:
        answers = sorted(at_once.map(lambda api: api.login(A), two), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [200, 409]
    assert write(two[1], good(answers[0])["results"][0]) == 200


def test_a_key_counts_in_every_process_until_it_is_released(make_api: MakeAPI) -> None:
    one, two = make_api(), make_api()
    key = good(one.login(A))["results"][0]
    assert write(two, key) == 200
    refused(two.login(A), 409, "session busy")
    good(two.send("GET", "/release_session", headers={"X-Auth": key}))
    assert write(one, key) == 401


def test_without_a_key_nothing_is_written(api: API) -> None:
    for key in ("", " ", "x", "gh_mob_", "gh_mob_" + "0" * 64, "gh_mob_" + "0" * 5000, "é"):
        for method, path in (("PUT", f"/{STATION}/a.rail"), ("PUT", f"/{STATION}/osm"), ("PUT", "/layers"), ("GET", "/release_session")):
            refused(api.send(method, path, headers={"X-Auth": key}, json=WRITE), 401, "Not Authorized")
    refused(api.send("PUT", f"/{STATION}/osm", json=WRITE), 401, "Not Authorized")
    assert "k" not in good(api.get(f"/{STATION}", layer="*"))["results"][0]["layers"]["osm"]["data"]


def test_a_super_user_s_session_ends_like_others(api: API) -> None:
    key = good(api.login(ROOT))["results"][0]
    assert write(api, key) == 200
    api.clock.move(60)
    assert write(api, key) == 401


# what auth says meanwhile


def owner(
    house: FakeAuth, *, name: str = "late", password: str = PASSWORD, level: str = "EDITOR", domains: tuple[str, ...] = ("late",)
) -> str:
    house.add_person(name, password, level=level, domain="d", layer_domains=domains)
    return name


def create(api: API, key: str, name: str) -> int:
    data = {"name": name, "description": "d", "organization": "o", "category": "civic.x"}
    return api.put("/layers", {"data": data}, None, headers={"X-Auth": key}).status_code


def test_who_is_disabled_loses_the_key_within_five_seconds(api: API, house: FakeAuth) -> None:
    key = good(api.login(owner(house)))["results"][0]
    assert create(api, key, "late.x") == 200
    house.remove_person("late")
    api.clock.move(5)
    assert create(api, key, "late.y") == 401
    owner(house)
    api.clock.move(5)
    assert create(api, key, "late.y") == 401  # it ended then
    assert api.login("late").status_code == 200


def test_rights_are_those_of_now(api: API, house: FakeAuth) -> None:
    key = good(api.login(owner(house, level="SUPER_USER", domains=())))["results"][0]
    assert (create(api, key, "any.x"), write(api, key)) == (200, 200)
    owner(house, domains=("more",))
    api.clock.move(5)
    assert (create(api, key, "any.y"), create(api, key, "more.x"), write(api, key)) == (403, 200, 403)


def test_a_new_password_ends_the_key(api: API, house: FakeAuth) -> None:
    key = good(api.login(owner(house)))["results"][0]
    assert create(api, key, "late.x") == 200
    owner(house, password="another " + PASSWORD)
    api.clock.move(5)
    assert create(api, key, "late.y") == 401
    new = good(api.login("late", "another " + PASSWORD))["results"][0]
    assert create(api, new, "late.y") == 200


def test_who_signs_in_anew_is_not_judged_by_the_old_password(api: API, house: FakeAuth) -> None:
    """What auth said is kept for 5 seconds, but for the password of that time."""
    key = good(api.login(owner(house)))["results"][0]
    assert create(api, key, "late.x") == 200
    owner(house, password="another " + PASSWORD)
    good(api.send("GET", "/release_session", headers={"X-Auth": key}))
    assert create(api, good(api.login("late", "another " + PASSWORD))["results"][0], "late.y") == 200


def test_a_session_ends_with_the_login_key_that_opened_it(api: API, house: FakeAuth) -> None:
    ends = isoformat(api.clock.now())
    api.clock.move(-90)
    house.add_person("late", "gh_key_x", level="EDITOR", domain="d", layer_domains=("late",), ends=ends)
    key = good(api.login("late", "gh_key_x"))["results"][0]
    api.clock.move(50)
    assert create(api, key, "late.x") == 200
    assert api.login("late", "gh_key_x").headers["Retry-After"] == "40"
    api.clock.move(39)
    assert create(api, key, "late.y") == 200
    api.clock.move(1)
    assert create(api, key, "late.z") == 401


def test_while_auth_is_away_nobody_writes(make_api: MakeAPI) -> None:
    key = good(make_api().login(A))["results"][0]
    alone = make_api(auth_url="http://127.0.0.1:9")
    answer = alone.put(f"/{STATION}/a.rail", WRITE, None, headers={"X-Auth": key})
    refused(answer, 503, "Accounts cannot be checked now; try again.")
    assert answer.headers["Retry-After"] == "1"
    assert alone.login(A).status_code == 503
    assert alone.get(f"/{STATION}").status_code == 200
    assert write(make_api(), key) == 200  # the key did not end
