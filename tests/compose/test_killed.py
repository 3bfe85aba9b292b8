"""A service or the gateway is killed: the others do not notice, it comes back by itself, and nothing that was answered is lost."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.compose.house import House
from tests.compose.limits import limited
from tests.compose.people import People, Web, ok
from tests.support.waiting import wait_until

# service: one of its paths that needs its database
PATHS = {
    "tokens": "/tokens/tokens?offset=0",
    "devices": "/devices/health",
    "mobility": "/mobility/nodes?per_page=1",
    "auth": "/auth/health",
}


@pytest.mark.parametrize("service", ["tokens", "devices"])
def test_a_killed_service_costs_its_own_paths_alone(house: House, people: People, service: str) -> None:
    device, generator = people.device(), people.role("generator")
    ok(device.send(people.web, 1))
    token = people.archive(generator, "before")
    gateway, before = house.container("gateway"), house.container(service)
    restarts, started = before.attrs["RestartCount"], gateway.attrs["State"]["StartedAt"]
    web, met = Web(), Counter[int]()

    house.kill(before)

    def is_back() -> bool:
        answer = web.get(f"{house.url}{PATHS[service]}", timeout=20)
        met[answer.status_code] += 1
        for other, path in PATHS.items():
            if other != service:
                assert web.get(f"{house.url}{path}", timeout=20).status_code == 200, other
        return answer.status_code == 200 and met[502] > 0

    wait_until(is_back, 90, f"{service} to be used again")
    assert set(met) == {200, 502}
    before.reload()
    assert before.attrs["RestartCount"] == restarts + 1
    gateway.reload()
    assert gateway.attrs["State"]["StartedAt"] == started
    house.wait_healthy(service)
    assert device.values() == [1]
    assert ok(web.get(f"{house.url}/tokens/token", params={"id": token}))["keywords"][0] == "before"


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
