"""A service or the gateway is killed: the others do not notice, it comes back by itself, and nothing that was answered is lost."""

from __future__ import annotations

import pytest

from tests.compose.house import House
from tests.compose.limits import limited
from tests.compose.people import People, Web, ok
from tests.compose.traffic import Call, Traffic
from tests.support.waiting import wait_until

# service: one of its paths that needs its database
PATHS = {
    "tokens": "/tokens/tokens?offset=0",
    "devices": "/devices/health",
    "mobility": "/mobility/nodes?per_page=1",
    "auth": "/auth/health",
}


def asks(url: str) -> Call:
    web = Web()
    return lambda: web.get(url, timeout=20).status_code


@pytest.mark.parametrize("service", ["tokens", "devices"])
def test_a_killed_service_costs_its_own_paths_alone(house: House, people: People, service: str) -> None:
    device, generator = people.device(), people.role("generator")
    ok(device.send(people.web, 1))
    token = people.archive(generator, "before")
    gateway, killed = house.container("gateway"), house.container(service)
    restarts, started = killed.attrs["RestartCount"], gateway.attrs["State"]["StartedAt"]

    def is_used_again() -> bool:
        killed.reload()
        last = traffic.met(service)[-5:]
        return killed.attrs["RestartCount"] > restarts and traffic.statuses(service)[502] > 0 and {one.status for one in last} == {200}

    # Asked all the time, also while it is killed: on a quiet machine it is back in a second.
    with Traffic({name: asks(f"{house.url}{path}") for name, path in PATHS.items()}, pace=20) as traffic:
        traffic.goes_on(40)
        house.kill(killed)
        wait_until(is_used_again, 90, f"{service} to be used again", 0.1)
    assert {name: set(traffic.statuses(name)) for name in PATHS} == {name: {200, 502} if name == service else {200} for name in PATHS}
    assert killed.attrs["RestartCount"] == restarts + 1
    gateway.reload()
    assert gateway.attrs["State"]["StartedAt"] == started
    house.wait_healthy(service)
    assert device.values() == [1]
    assert ok(people.web.get(f"{house.url}/tokens/token", params={"id": token}))["keywords"][0] == "before"


def test_a_killed_gateway_comes_back_and_counts_on(house: House) -> None:
    with limited(house, "--quota", "100", "--quota-renewal", "1h", "--rate", "1000", "--per", "60") as api:
        assert [api.remaining() for _ in range(10)] == list(range(99, 89, -1))
        container = house.container("gateway")
        restarts = container.attrs["RestartCount"]
        house.kill(container)

        def is_back() -> bool:
            container.reload()
            return bool(container.attrs["RestartCount"] > restarts)

        wait_until(is_back, 60, "the restart")
        house.wait_healthy("gateway")
        assert [api.remaining() for _ in range(5)] == list(range(89, 84, -1))
