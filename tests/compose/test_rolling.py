"""Every service is replaced by `deploy/roll` while it is used: not one request fails, and nothing is lost or doubled."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.compose.house import House
from tests.compose.people import Device, People, Web, ok, picture
from tests.compose.traffic import Balancer, Call, Sent, Traffic

CLIENTS = 4  # of each kind
STATION = "n46419880"


class Archive:
    """Pictures that a generator archives. ids: of those that were answered."""

    def __init__(self, url: str, generator: dict[str, str]) -> None:
        self._url = url
        self._web = Web(**generator)
        self._numbers = itertools.count()
        self.ids: list[str] = []

    def __call__(self) -> int:
        answer = self._web.put(f"{self._url}/tokens/token", json=picture(f"number {next(self._numbers)}"))
        if answer.ok:
            self.ids.append(answer.json()["id"])
        return answer.status_code


def reads(url: str, **headers: str) -> Call:
    web = Web(**headers)
    return lambda: web.get(url).status_code


def lists_sessions(url: str, bearer: dict[str, str]) -> Call:
    web = Web(**bearer)
    return lambda: web.post(f"{url}/sessions/api/event/io/get_my_joinable_sessions/?f=JSON", json=[]).status_code


def sends(device: Device) -> Sent:
    web = Web()
    return Sent(lambda number: device.send(web, number).status_code)


def clients(name: str, make: Callable[[], Call]) -> dict[str, Call]:
    return {f"{name} {number}": make() for number in range(CLIENTS)}


def test_services_are_replaced_under_traffic(house: House, people: People) -> None:
    """The gateway stays, and finds the new ones by itself; its clients keep their connections."""
    url, generator, bearer = house.url, people.role("generator"), people.signed_in()
    devices = [people.device() for _ in range(CLIENTS)]
    sent = [sends(device) for device in devices]
    before = ok(people.web.get(f"{url}/tokens/tokens", params={"offset": 0}))["total_rows"]
    archives = [Archive(url, generator) for _ in range(CLIENTS)]
    calls: dict[str, Call] = {
        **{f"device {number}": one for number, one in enumerate(sent)},
        **{f"archive {number}": one for number, one in enumerate(archives)},
        **clients("tokens", lambda: reads(f"{url}/tokens/tokens?offset=0")),
        **clients("mobility", lambda: reads(f"{url}/mobility/{STATION}")),
        **clients("auth", lambda: reads(f"{url}/auth/me", **bearer)),
        **clients("sessions", lambda: lists_sessions(url, bearer)),
    }
    old = {service: house.container(service).id for service in ("devices", "tokens", "mobility", "auth", "sessions")}
    with Traffic(calls, pace=3) as traffic:
        traffic.goes_on(100)
        house.run(["deploy/roll", *old])
        traffic.goes_on(100)
    assert not traffic.failed(), traffic.failed()
    for service, container in old.items():
        assert house.container(service).id != container, service
    for device, one in zip(devices, sent, strict=True):
        one.check(device.values())
    archived = [token for one in archives for token in one.ids]
    assert ok(people.web.get(f"{url}/tokens/tokens", params={"offset": 0}))["total_rows"] == before + len(archived)
    assert len(set(archived)) == len(archived)


def test_gateways_are_replaced_under_traffic(house: House, people: People) -> None:
    """A balancer before two of them goes to the other one when a connection is refused."""
    house.scale(gateway=2)
    device = people.device()
    host = house.urls()[0].rpartition(":")[0]
    balancer = Balancer([f"{host}:{port}" for port in house.ports()])

    def ask(method: str, path: str, body: Any = None) -> int:
        return balancer.ask(method, path, body, device.headers)[0]

    def send(number: int) -> int:
        return ask("POST", "/devices/data", {"variable": "level", "value": number})

    sent = [Sent(send, first) for first in (1, 1_000_000)]
    calls: dict[str, Call] = {
        **clients("reply", lambda: lambda: ask("GET", "/example/reply/status")),
        **clients("info", lambda: lambda: ask("GET", "/devices/info")),
        **{f"device {number}": one for number, one in enumerate(sent)},
    }
    old = {one.id for one in house.containers("gateway")}
    try:
        with Traffic(calls, pace=5) as traffic:
            traffic.goes_on(100)
            house.run(["deploy/roll", "gateway"])
            traffic.goes_on(100)
        assert not traffic.failed(), traffic.failed()
        assert old.isdisjoint({one.id for one in house.containers("gateway")})
        assert len(house.containers("gateway")) == 2
        stored = Device(f"{house.url}/devices", device.token).values()
        for one, ours in zip(sent, (lambda number: number < 1_000_000, lambda number: number >= 1_000_000), strict=True):
            one.check([number for number in stored if ours(number)])
    finally:
        house.scale(gateway=1)


def test_a_new_one_that_does_not_start_costs_nothing(house: House) -> None:
    old = house.container("mobility").id
    with pytest.raises(AssertionError, match=r"not healthy[^$]*GATEWAY_TRUSTED_PROXIES"):
        house.run(["deploy/roll", "mobility"], GATEWAY_TRUSTED_PROXIES="nonsense")
    assert house.container("mobility").id == old
    assert Web().get(f"{house.url}/mobility/{STATION}").status_code == 200
