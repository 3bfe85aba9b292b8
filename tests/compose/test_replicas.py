"""Two gateways, two of each service with polls: limits are exact, everybody is woken, one change wins and counts at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.compose.house import House
from tests.compose.limits import limited
from tests.compose.people import Device, People, Web, ok
from tests.support import sessions_client_today as sessions
from tests.support.gateway import definition

DOUBLED = ("gateway", "tokens", "devices", "sessions")
PORTS = {"tokens": 8103, "devices": 8104, "sessions": 8102}
# Saves a definition at the gateway's operator port if it is still at the revision that was seen; prints the status.
SAVES = """
import json, sys, urllib.error, urllib.request
key = open("/run/secrets/operator_key").read().strip()
name, revision, body = sys.argv[1], sys.argv[2], sys.stdin.read().encode()
headers = {"authorization": key, "content-type": "application/json", "if-match": '"' + revision + '"'}
request = urllib.request.Request("http://127.0.0.1:8081/api/apis/" + name, body, headers, method="PUT")
try:
    print(urllib.request.urlopen(request, timeout=30).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture(scope="module")
def doubled(house: House) -> Iterator[House]:
    house.scale(**dict.fromkeys(DOUBLED, 2))
    yield house
    house.scale(**dict.fromkeys(DOUBLED, 1))


def straight(house: House, service: str) -> list[str]:
    """The addresses of both replicas of a service, past the gateway, which would choose one of them."""
    return [f"http://{house.address(one, 'services')}:{PORTS[service]}" for one in house.containers(service)]


@pytest.mark.parametrize(
    "limits", [("--rate", "60", "--per", "600"), ("--quota", "60", "--quota-renewal", "1h", "--rate", "10000", "--per", "1")]
)
def test_a_limit_is_exact_across_gateways(doubled: House, limits: tuple[str, ...]) -> None:
    with limited(doubled, *limits) as api:
        urls = [f"http://127.0.0.1:{port}{api.path}" for port in doubled.published()]
        assert len(urls) == 2

        def ask(number: int) -> tuple[int, int]:
            return number % 2, api.web().get(urls[number % 2]).status_code

        with ThreadPoolExecutor(16) as pool:
            met = Counter(pool.map(ask, range(150)))
        assert met[0, 200] + met[1, 200] == 60
        assert met[0, 200] and met[1, 200]  # both have let some pass
        assert set(met) <= {(gateway, status) for gateway in (0, 1) for status in (200, 403, 429)}


def test_a_poll_at_one_replica_is_woken_by_a_write_at_the_other(doubled: House, people: People) -> None:
    first, second = straight(doubled, "tokens")
    visitor, generator = people.role("exhibition"), people.role("generator")
    interaction = ok(Web().get(f"{second}/request_interaction", headers=visitor))["id"]
    ok(Web().get(f"{second}/deposit_interaction", params={"id": interaction, "keywords": "a,b,c"}, headers=visitor))
    with ThreadPoolExecutor(1) as pool:
        ask = {"id": interaction, "since": "now", "timeout": "60000"}
        poll = pool.submit(Web().get, f"{first}/interaction_updates", params=ask, headers=visitor)
        token = people.archive(generator, "a")
        ok(Web().get(f"{second}/update_interaction", params={"id": interaction, "token_id": token}, headers=generator))
        assert ok(poll.result(40))["token_id"] == token


def test_a_player_at_one_replica_sees_what_is_built_at_the_other(doubled: House, people: People) -> None:
    first, second = straight(doubled, "sessions")
    user = people.user("EDITOR")
    host, player = sessions.Connection(first, *user), sessions.Connection(second, *user)
    project = f"pier_{user[1][:8]}"
    host.io("add_project", project, "EN")
    session = host.start(project)
    theirs, mine = host.join(session), player.join(session)
    mine.select(0)
    known = {"BUILDINGS": theirs.number("BUILDINGS", "version")}
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(theirs.update, known)
        mine.event("building_place", 0, "Pier", 3, [[10, 10], [60, 10], [60, 40], [10, 40]])
        seen = poll.result(40)
    assert seen is not None
    assert [one["name"] for one in seen.items["BUILDINGS"]] == ["Pier"]
    assert host.io("kill", session) is True


def test_a_stream_of_one_replica_tells_what_the_other_stored(doubled: House, people: People) -> None:
    first, second = straight(doubled, "devices")
    token = people.device().token
    with Web().get(f"{first}/data/live", headers={"Device-Token": token}, stream=True) as stream:
        events = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith(b"data: "))
        assert next(events)["amount"] == 0
        for number in range(1, 4):
            ok(Device(second, token).send(Web(), number))
            assert next(events)["amount"] == number


def test_of_two_saves_at_two_gateways_one_wins(doubled: House) -> None:
    with limited(doubled, "--quota", "-1") as api:
        for _ in range(3):
            history = json.loads(doubled.gateway("definitions", "history", api.api, "--json"))
            revision = str(max(one["number"] for one in history))

            def save(container: int, api: str = api.api, revision: str = revision) -> int:
                changed = definition(api, "env://UPSTREAM_TOKENS/", use_keyless=False, tags=[f"by {container} at {revision}"])
                body = json.dumps({"api_definition": changed, "hook_references": []})
                return int(doubled.exec("gateway", "python", "-c", SAVES, api, revision, text=body, number=container))

            numbers = [int(one.labels["com.docker.compose.container-number"]) for one in doubled.containers("gateway")]
            with ThreadPoolExecutor(2) as pool:
                assert sorted(pool.map(save, numbers)) == [200, 412]


def test_a_change_counts_at_both_gateways_when_it_is_answered(doubled: House) -> None:
    with limited(doubled, "--quota", "-1") as api:
        urls = [f"http://127.0.0.1:{port}{api.path}" for port in doubled.published()]
        for active in (False, True, False, True):
            changed = definition(api.api, "env://UPSTREAM_TOKENS/", use_keyless=False, active=active)
            doubled.gateway("definitions", "apply", "-", text=json.dumps(changed))
            assert [api.web().get(url).status_code for url in urls * 2] == [200 if active else 404] * 4
