"""What people and programs do in the house, through the gateway: one story for each service, and the operator's."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor

from tests.compose.house import ADMIN, House, number_of
from tests.compose.people import People, Web, ok
from tests.support import sessions_client_today as sessions
from tests.support.gateway import definition
from tests.support.waiting import wait_until

STATION = "n46419880"  # every installation begins with it
SQUARE = [[10, 10], [60, 10], [60, 40], [10, 40]]


def test_a_person_signs_in(house: House, people: People) -> None:
    headers = people.signed_in()
    me = ok(people.web.get(f"{house.url}/auth/me", headers=headers))
    assert (me["email"], me["level"]) == (ADMIN, "SUPER_USER")
    issuer = ok(people.web.get(f"{house.url}/auth/.well-known/openid-configuration"))["issuer"]
    assert issuer == f"{house.env['GATEHOUSE_URL']}/auth"
    wrong = people.web.post(f"{house.url}/auth/login", json={"email": ADMIN, "password": "wrong"})
    assert wrong.status_code == 401


def test_a_visitor_waits_for_a_token(house: House, people: People) -> None:
    visitor, generator, url = people.role("exhibition"), people.role("generator"), f"{house.url}/tokens"
    web = Web()
    interaction = ok(web.get(f"{url}/request_interaction", headers=visitor))["id"]
    ok(web.get(f"{url}/deposit_interaction", params={"id": interaction, "keywords": "care,future,water"}, headers=visitor))
    with ThreadPoolExecutor(1) as pool:
        ask = {"id": interaction, "since": "now", "timeout": "60000"}
        poll = pool.submit(web.get, f"{url}/interaction_updates", params=ask, headers=visitor)
        token = people.archive(generator, "care")
        ok(Web().get(f"{url}/update_interaction", params={"id": interaction, "token_id": token}, headers=generator))
        assert ok(poll.result())["token_id"] == token
    assert ok(web.get(f"{url}/tokens", params={"offset": 0}))["rows"][0]["id"] == token

    def is_drawn() -> bool:
        return web.get(f"{url}/png", params={"id": token, "width": 256}).content.startswith(b"\x89PNG")

    wait_until(is_drawn, 60, "the picture")  # a machine with much else to do is refused after 10 s


def test_players_see_what_others_build(house: House, people: People) -> None:
    host = sessions.Connection(f"{house.url}/sessions", *people.user("EDITOR"))
    project = f"harbour_{secrets.token_hex(3)}"
    host.io("add_project", project, "EN")
    player = sessions.Connection(host.url, *people.user("JOIN_ONLY"))
    session = host.start(project)
    mine, theirs = player.join(session), host.join(session)
    assert mine.select(0) == 0
    known = {"BUILDINGS": mine.number("BUILDINGS", "version")}
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(theirs.update, known)
        mine.event("building_place", 0, "Library", 3, SQUARE)
        seen = poll.result(30)
    assert seen is not None
    assert [one["name"] for one in seen.items["BUILDINGS"]] == ["Library"]
    assert host.io("kill", session) is True


def test_a_device_sends_and_somebody_watches(house: House, people: People) -> None:
    device = people.device()
    with Web().get(f"{device.url}/data/live", headers=device.headers, stream=True) as stream:
        events = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith(b"data: "))
        assert next(events)["amount"] == 0
        ok(device.send(people.web, 71.5))
        assert next(events)["amount"] == 1
    ok(device.send(people.web, 72))
    assert device.values() == [71.5, 72]


def test_an_owner_writes_a_layer_that_everybody_reads(house: House, people: People) -> None:
    email, password = people.user("EDITOR", layer_domains=["town"])
    url, web = f"{house.url}/mobility", Web()
    layer = {"name": "town.rail", "description": "Stations", "organization": "Town", "category": "mobility.rail"}
    login = {"e": email, "p": password}
    assert web.post(f"{url}/get_session", data=login).status_code == 403  # a password in clear text
    secure = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}  # as the proxy that ends TLS says it
    [key] = ok(web.post(f"{url}/get_session", data=login, headers=secure))["results"]
    ok(web.put(f"{url}/layers", json={"data": layer}, headers={"X-Auth": key}))
    ok(web.put(f"{url}/{STATION}/town.rail", json={"data": {"platforms": 15}}, headers={"X-Auth": key}))
    shown = ok(web.get(f"{url}/{STATION}", params={"layer": "town.rail"}))["results"][0]
    assert shown["layers"]["town.rail"]["data"] == {"platforms": 15}
    assert web.get(f"{url}/{STATION}", headers={"Host": "mobility.localhost"}).status_code == 404
    assert web.get(f"{house.url}/{STATION}", headers={"Host": "mobility.localhost"}).status_code == 200
    ok(web.delete(f"{url}/layer/town.rail", params={"delete_layer": "true"}, headers={"X-Auth": key}))


def test_an_operator_limits_an_api_and_takes_it_back(house: House) -> None:
    api = definition("limited", "env://UPSTREAM_TOKENS/", use_keyless=False)
    index = f"--index={number_of(house.container('gateway'))}"
    apply = ["python", "-m", "services.gateway.cli", "definitions", "apply", "-"]
    house.compose("exec", "-T", index, "gateway", *apply, text=json.dumps(api))
    web = Web()
    assert web.get(f"{house.url}/limited/health").status_code == 401  # live when the command has ended
    limits = ("--rate", "3", "--per", "60", "--quota", "100", "--quota-renewal", "1h")
    key = json.loads(house.gateway("keys", "create", "--api", "limited", *limits, "--json"))
    web.headers["authorization"] = key["key_id"]
    answers = [web.get(f"{house.url}/limited/health") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert [one.headers["X-RateLimit-Remaining"] for one in answers[:3]] == ["99", "98", "97"]
    assert answers[3].json()["code"] == "rate-limit-exceeded"

    house.gateway("definitions", "apply", "-", text=json.dumps({**api, "active": False}))
    assert web.get(f"{house.url}/limited/health").status_code == 404
    house.gateway("definitions", "undo", "limited")
    assert web.get(f"{house.url}/limited/health").status_code == 429
    house.gateway("definitions", "delete", "limited")
    wait_until(lambda: web.get(f"{house.url}/limited/health").status_code == 404, 10, "the end of the API")
