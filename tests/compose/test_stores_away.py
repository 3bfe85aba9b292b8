"""PostgreSQL stands still or has no connection left, Valkey restarts: what goes on, what is refused, what is there afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.compose.house import SERVICES, House
from tests.compose.limits import limited
from tests.compose.people import Device, People, Web, ok
from tests.compose.traffic import Call, Sent, Traffic
from tests.support.waiting import wait_until

HANGS_S = 9.0  # 5 s are promised; the rest is for a machine with much else to do
STANDS_STILL_S = 10.0


def asks(house: House, path: str, **headers: str) -> Call:
    """A call that never waits for longer than an answer may take."""
    web, url = Web(**headers), house.url
    return lambda: web.get(f"{url}{path}", timeout=HANGS_S).status_code


def sends(device: Device) -> Sent:
    web = Web(**device.headers)
    return Sent(lambda number: web.post(f"{device.url}/data", json={"variable": "level", "value": number}, timeout=HANGS_S).status_code)


@contextlib.contextmanager
def paused(house: House, service: str) -> Iterator[None]:
    container = house.container(service)
    container.pause()
    try:
        yield
    finally:
        container.unpause()


def test_postgresql_stands_still_for_ten_seconds(house: House, people: People) -> None:
    with limited(house, "--rate", "1000", "--per", "1") as api:
        assert api.status() == 200  # so every worker may have the key in memory; asked again below until both do
        devices = [people.device() for _ in range(3)]
        writes = {f"write {number}": sends(device) for number, device in enumerate(devices)}
        calls = {
            "reply": asks(house, "/example/reply/status"),
            "keyed": asks(house, api.path, authorization=api.key),
            "tokens": asks(house, "/tokens/tokens?offset=0"),
            "mobility": asks(house, "/mobility/nodes?per_page=1"),
            "devices": asks(house, "/devices/info", **devices[0].headers),
            **writes,
        }
        with Traffic(calls, pace=5) as traffic:
            traffic.goes_on(80)
            assert traffic.failed() == []
            asked = len(traffic.met())
            with paused(house, "postgres"):
                until = traffic.met()[-1]
                wait_until(lambda: traffic.statuses("write")[503] >= 6, 60, "refusals")
                _stand_still(traffic, STANDS_STILL_S)
            wait_until(lambda: _are_well(traffic, len(calls)), 60, "answers of all")
        assert until is not None
        assert len(traffic.met()) > asked
        assert traffic.statuses("reply").keys() | traffic.statuses("keyed").keys() == {200}
        for name in ("tokens", "mobility", "devices", "write"):
            assert traffic.statuses(name).keys() == {200, 503}, name
        for device, sent in zip(devices, writes.values(), strict=True):
            sent.check(device.values())


def _stand_still(traffic: Traffic, seconds: float) -> None:
    """Wait until requests have been sent for so long: at five a second of the one that is always answered."""
    goal = len(traffic.met("reply")) + int(seconds * 5)
    wait_until(lambda: len(traffic.met("reply")) >= goal, 60, "the time")


def _are_well(traffic: Traffic, clients: int) -> bool:
    return all(200 <= one.status < 300 for one in traffic.met()[-3 * clients :])


def test_a_restart_of_valkey_forgets_nothing(house: House, people: People) -> None:
    with limited(house, "--quota", "1000", "--quota-renewal", "1h", "--rate", "1000", "--per", "1") as api:
        assert [api.remaining() for _ in range(20)][-1] == 980
        with Traffic({"keyed": asks(house, api.path, authorization=api.key)}, pace=20) as traffic:
            traffic.goes_on(10)
            house.compose("restart", "valkey")
            house.wait_healthy("valkey")
            traffic.goes_on(40)
        assert traffic.failed() == []  # what cannot be counted passes
        wait_until(lambda: api.remaining() < 980, 30, "counting")
        left = api.remaining()
        assert left >= 980 - len(traffic.met()) - 40  # no request counts twice
        assert [api.remaining() for _ in range(5)] == list(range(left - 1, left - 6, -1))
    assert_wakes(house, people)


def assert_wakes(house: House, people: People) -> None:
    """A poll is answered by what somebody else does, long before its own end."""
    visitor, generator, web = people.role("exhibition"), people.role("generator"), Web()
    url = f"{house.url}/tokens"
    interaction = ok(web.get(f"{url}/request_interaction", headers=visitor))["id"]
    ok(web.get(f"{url}/deposit_interaction", params={"id": interaction, "keywords": "a,b,c"}, headers=visitor))
    with ThreadPoolExecutor(1) as pool:
        ask = {"id": interaction, "since": "now", "timeout": "60000"}
        poll = pool.submit(web.get, f"{url}/interaction_updates", params=ask, headers=visitor)
        token = people.archive(generator, "a")
        ok(Web().get(f"{url}/update_interaction", params={"id": interaction, "token_id": token}, headers=generator))
        assert ok(poll.result(40))["token_id"] == token


def test_without_a_free_connection_calls_are_refused_in_time(house: House, people: People) -> None:
    device = people.device()
    ok(device.send(people.web, 1))
    web = Web()
    paths = ["/tokens/tokens?offset=0", "/mobility/nodes?per_page=1", "/auth/.well-known/jwks.json", "/devices/info"]

    def ask(path: str) -> requests.Response:
        return web.get(f"{house.url}{path}", headers=device.headers, timeout=HANGS_S)

    with no_connections(house):
        for path in ("/tokens/tokens?offset=0", "/mobility/nodes?per_page=1", "/devices/info"):
            wait_until(lambda path=path: ask(path).status_code == 503, 20, f"a refusal of {path}")  # type: ignore[misc]
        for _ in range(5):
            assert ask("/tokens/tokens?offset=0").status_code == 503
            refused = device.send(web, 2)
            assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (503, True)
            assert ask("/example/reply/status").status_code == 200
    for path in paths:
        wait_until(lambda path=path: ask(path).status_code == 200, 30, f"an answer of {path}")  # type: ignore[misc]
    ok(device.send(web, 3))
    assert device.values() == [1, 3]


@contextlib.contextmanager
def no_connections(house: House) -> Iterator[None]:
    """PostgreSQL refuses every connection of the services, as it does when all are taken."""
    names = ", ".join(f"'{service}'" for service in SERVICES)
    limit = "; ".join(f"ALTER ROLE {service} CONNECTION LIMIT {{0}}" for service in SERVICES)
    house.sql("postgres", limit.format(0))
    try:
        house.sql("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ({names})")
        yield
    finally:
        house.sql("postgres", limit.format(-1))
