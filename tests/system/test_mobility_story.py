"""The write API's whole story in the house: an owner whom auth knows, behind the gateway, as deployed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.gateway import Gateway
from tests.support.processes import ROOT, running

PASSWORD = "correct horse battery"
OWNER = "rail@example.org"
STATION = "n46419880"  # every installation begins with it
_SECRET = "the-secret-of-the-mobility-service"
DATA = {"naam_lang": "Amsterdam Centraal", "code": "ASD"}
SAMPLE: dict[str, Any] = {  # of the original's documentation
    "create": {"params": {"create_type": "create", "srid": 4326}},
    "nodes": [
        {
            "id": "ASD",
            "name": "Amsterdam Centraal",
            "modalities": ["rail"],
            "geom": {"type": "Point", "coordinates": [4.9002776, 52.378887]},
            "data": DATA,
        },
        {"cdk_id": STATION, "modalities": ["rail"], "data": DATA},
    ],
}


@pytest.fixture(scope="module")
def mobility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the service's mount at a gateway; auth knows an owner of the domain `a`."""
    folder = tmp_path_factory.mktemp("mobility")
    auth_env = {
        "AUTH_DATABASE_URL": f"sqlite:///{folder}/auth.db", "AUTH_DATA": str(folder / "auth"), "AUTH_ADMIN_PASSWORD": PASSWORD,
        "AUTH_SERVICE_CLIENTS": f"mobility={_SECRET}", "AUTH_ARGON2_MEMORY_KIB": "8192", "AUTH_ARGON2_PASSES": "1",
    }  # fmt: skip
    with running("auth", auth_env, folder) as (auth, _):
        _add_owner(auth)
        env = {"MOBILITY_DATABASE_URL": f"sqlite:///{folder}/mobility.db", "MOBILITY_AUTH_SECRET": _SECRET, "AUTH_URL": auth}
        with running("mobility", env, folder) as (service, _):
            gateway = Gateway(folder, _definitions(), {"UPSTREAM_MOBILITY": service})
            try:
                yield f"{gateway.url}/mobility"
            finally:
                gateway.stop()


def _definitions() -> list[dict[str, Any]]:
    """The mount at a path, and the one that owns a host name."""
    return [json.loads((ROOT / f"deploy/apis/{name}.json").read_text()) for name in ("mobility", "mobility-host")]


def _add_owner(auth: str) -> None:
    login = requests.post(f"{auth}/login", json={"email": "admin@gatehouse.local", "password": PASSWORD}, timeout=20)
    admin = {"Authorization": f"Bearer {login.json()['access_token']}"}
    person = {"email": OWNER, "full_name": "Rail", "password": PASSWORD, "domain": "d", "level": "EDITOR", "layer_domains": ["a"]}
    for path, body in (("domains", {"name": "d"}), ("users", person)):
        answer = requests.post(f"{auth}/{path}", json=body, headers=admin, timeout=20)
        assert answer.ok, answer.text


class Client:
    """Calls with a session key, as the original's client makes them: 200 is success, anything else has a message."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()

    def log_in(self) -> None:
        self.http.headers["X-Auth"] = self.ask("GET", f"/get_session?e={OWNER}&p={PASSWORD}")["results"][0]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"{self.url}{path}", json=body, timeout=20)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["status"] == "success"
        return found

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        answer = self.http.request(method, f"{self.url}{path}", json=body, timeout=20)
        assert answer.json()["status"] == "fail"
        return answer.status_code, answer.json()["message"]


def test_an_owner_writes_reads_and_deletes(mobility: str) -> None:
    client = Client(mobility)
    assert client.refused("PUT", f"/{STATION}/osm", {"data": DATA}) == (401, "Not Authorized")
    client.log_in()
    layer = {"name": "a.rail", "description": "Stations", "organization": "Rail", "category": "mobility.rail"}
    client.ask("PUT", "/layers", {"data": layer})
    assert client.ask("GET", "/layer/a.rail")["results"][0]["owner"] == OWNER
    assert client.refused("PUT", f"/{STATION}/osm", {"data": DATA}) == (403, "Not authorized for layer 'osm'.")

    first = client.ask("PUT", "/nodes/a.rail", SAMPLE)["create"]["results"]
    assert first["created"] == [{"id": "ASD", "cdk_id": "a.rail.asd"}]
    assert (first["totals"]["created"], first["totals"]["updated"]) == (1, 1)
    again = client.ask("PUT", "/nodes/a.rail", SAMPLE)["create"]["results"]
    assert (again["totals"]["created"], again["totals"]["updated"]) == (0, 2)
    route = {
        "create": {"params": {"create_type": "routes"}},
        "nodes": [{"id": "R", "cdk_ids": ["a.rail.asd", STATION], "data": {"k": "v"}}],
    }
    assert client.ask("PUT", "/nodes/a.rail", route)["create"]["results"]["created"] == [{"id": "R", "cdk_id": "a.rail.r"}]

    client.ask("PUT", "/a.rail.asd/a.rail", {"data": {"code": "asd", "tracks": 15}, "modalities": ["tram"]})
    [shown] = client.ask("GET", "/a.rail.asd/a.rail")["results"]
    assert shown["a.rail"]["data"] == {"naam_lang": "Amsterdam Centraal", "code": "asd", "tracks": 15}
    assert sorted(shown["a.rail"]["modalities"]) == ["rail", "tram"]
    assert client.ask("GET", "/a.rail.asd/a.rail/tracks")["results"] == {"tracks": 15}

    nodes = client.ask("GET", "/nodes?layer=a.rail&lat=52.3788&lon=4.9&radius=100")
    assert {one["cdk_id"] for one in nodes["results"]} >= {"a.rail.asd", STATION}
    assert nodes["next_page"] == -1
    assert [one["cdk_id"] for one in client.ask("GET", "/a.rail.r/select/nodes")["results"]] == ["a.rail.asd", STATION]
    assert [one["cdk_id"] for one in client.ask("GET", f"/{STATION}/select/routes_end")["results"]] == ["a.rail.r"]

    thing = {"id": 1, "name": "Centraal, Amsterdam", "geom": {"type": "Point", "coordinates": [4.9, 52.3788]}, "data": {"seen": True}}
    params = {"geometry_type": "point", "layers": {"osm": {"railway": "station"}}}
    matched = client.ask("POST", "/util/match", {"match": {"params": params}, "nodes": [thing]})
    assert matched["match"]["results"]["found"] == [{"id": 1, "cdk_id": STATION}]
    fed = client.ask("PUT", "/nodes/a.rail", matched)["create"]["results"]  # as it is
    assert fed["totals"]["updated"] == 1
    assert client.ask("GET", f"/{STATION}/a.rail")["results"][0]["a.rail"]["data"] == {"seen": True}

    client.ask("DELETE", f"/{STATION}/a.rail?delete_node=true")
    assert client.ask("GET", f"/{STATION}")["results"][0]["layer"] == "osm"  # another layer's node stays
    client.ask("DELETE", "/layer/a.rail?delete_layer=true")
    assert client.refused("GET", "/a.rail.asd") == (404, "Node not found: 'a.rail.asd'")
    assert client.refused("PUT", f"/{STATION}/a.rail", {"data": {}}) == (404, "Invalid layer spec: a.rail")
    client.ask("GET", "/release_session")
    assert client.refused("GET", "/release_session") == (401, "Not Authorized")
    client.log_in()  # at once, as the session was released


def test_clients_that_know_no_path_before_theirs_have_a_host(mobility: str) -> None:
    """The original's client takes a host and a port."""
    root = mobility.removesuffix("/mobility")
    answer = requests.get(f"{root}/{STATION}", headers={"Host": "mobility.localhost"}, timeout=20)
    assert answer.json()["results"][0]["cdk_id"] == STATION
    assert answer.json()["url"] == f"http://mobility.localhost/{STATION}"
    assert requests.get(f"{root}/{STATION}", timeout=20).status_code == 404


def test_the_two_definitions_differ_in_their_place_alone() -> None:
    plain, host = _definitions()
    assert host.pop("domain") == "mobility.localhost"
    for one in (plain, host):
        for name in ("name", "api_id"):
            del one[name]
        del one["proxy"]["listen_path"]
    assert plain == host
