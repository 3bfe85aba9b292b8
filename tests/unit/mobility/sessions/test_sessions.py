"""Session keys: one an owner, for a minute, renewed by writes."""

from __future__ import annotations

from tests.unit.mobility.conftest import API, STATION, A, good, refused

WRITE = {"data": {"k": "v"}}


def test_a_key_opens_writes_and_is_renewed_by_them(api: API) -> None:
    key = good(api.login(A))["results"][0]
    assert len(key) >= 32
    api.clock.move(59)
    good(api.put(f"/{STATION}/a.rail", WRITE, None, headers={"X-Auth": key}))
    api.clock.move(59.9)
    good(api.put(f"/{STATION}/a.rail", WRITE, None, headers={"X-Auth": key}))
    api.clock.move(60)
    refused(api.put(f"/{STATION}/a.rail", WRITE, None, headers={"X-Auth": key}), 401, "Not Authorized")


def test_a_live_session_makes_the_next_login_wait(api: API) -> None:
    key = good(api.login(A))["results"][0]
    busy = api.login(A)
    assert refused(busy, 409, "session busy")["results"] == ["session busy"]
    assert busy.headers["Retry-After"] == "60"
    refused(api.login(A, "wrong"), 401, "Not Authorized")
    good(api.send("GET", "/release_session", headers={"X-Auth": key}))
    refused(api.send("GET", "/release_session", headers={"X-Auth": key}), 401, "Not Authorized")
    assert good(api.login(A))["results"][0] != key


def test_without_a_key_nothing_is_asked(api: API) -> None:
    for headers in ({}, {"X-Auth": ""}):
        refused(api.put(f"/{STATION}/a.rail", WRITE, None, headers=headers), 401, "Not Authorized")
