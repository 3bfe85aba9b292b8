"""How importers send: batches, repetition, sessions, what a killed run leaves, what the service refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.mobility.importing.client import PAUSES
from tests.support import certificates
from tests.unit.mobility.importing.conftest import Answer, Import, Service, done, stopped

NODES = "/nodes/my.places"
BUSY = Answer(409, {"status": "fail", "message": "session busy", "results": ["session busy"]}, {"Retry-After": "42"})
ENDED = Answer(401, {"status": "fail", "message": "Not Authorized"})
DOWN = Answer(503, {"status": "fail", "message": "starting"})


@pytest.fixture
def places(tmp_path: Path) -> Path:
    path = tmp_path / "places.geojson"
    features = [feature(f"p{number}") for number in range(10)]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def feature(id: object, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "id": id, "properties": properties, "geometry": {"type": "Point", "coordinates": [5.2, 52.5]}}


def test_nodes_go_in_batches(run: Import, service: Service, places: Path) -> None:
    found = done(run("geojson", places, "--layer", "my.places", "--batch", "4", "--json"))
    assert (found["created"], found["updated"], found["left_out"]) == (10, 0, {})
    assert [len(body["nodes"]) for body in service.bodies] == [4, 4, 2]
    assert service.bodies[0]["create"]["params"] == {"create_type": "create", "srid": 4326}
    assert service.statuses["my.places"].startswith("10 created, 0 updated from places.geojson")
    assert service.keys == set()  # released


def test_again_is_an_update(run: Import, places: Path) -> None:
    done(run("geojson", places, "--layer", "my.places", "--json"))
    found = done(run("geojson", places, "--layer", "my.places", "--json"))
    assert (found["created"], found["updated"]) == (0, 10)


def test_a_session_that_ended_is_renewed(run: Import, service: Service, places: Path) -> None:
    service.fail_with(NODES, None, ENDED)
    assert done(run("geojson", places, "--layer", "my.places", "--batch", "4", "--json"))["created"] == 10
    assert len(service.logins) == 2


def test_a_session_that_ends_again_at_once_stops_it(run: Import, service: Service, places: Path) -> None:
    service.fail_with(NODES, ENDED, ENDED)
    assert "Not Authorized" in stopped(run("geojson", places, "--layer", "my.places"))


def test_a_busy_session_is_waited_for(run: Import, service: Service, pauses: list[float], places: Path) -> None:
    service.fail_with("/get_session", BUSY, BUSY)
    result = run("geojson", places, "--layer", "my.places")
    assert result.exit_code == 0
    assert pauses == [42, 42]
    assert "another session; it ends in 42 s" in result.stderr


def test_a_wrong_password_is_told(run: Import, service: Service, places: Path) -> None:
    result = run("geojson", places, "--layer", "my.places", environ={"GATEHOUSE_MOBILITY_PASSWORD": "wrong"})
    assert "the e-mail or the password is wrong" in stopped(result)
    assert len(service.logins) == 1  # each failure counts against the account


@pytest.mark.parametrize(
    ("layer", "password", "said"), [("my.places", "wrong", "the password is wrong"), ("no.such", "right", "no layer no.such")]
)
def test_what_stops_it_is_told_before_a_large_file_is_read(
    run: Import, service: Service, tmp_path: Path, layer: str, password: str, said: str
) -> None:
    broken = tmp_path / "broken.geojson"
    broken.write_text('{"type": "FeatureCollection", "features": [')
    assert said in stopped(run("geojson", broken, "--layer", layer, environ={"GATEHOUSE_MOBILITY_PASSWORD": password}))


def test_calls_are_repeated_with_growing_pauses(run: Import, service: Service, pauses: list[float], places: Path) -> None:
    """The third answer is lost after the write: the repetition finds its nodes and updates them."""
    service.fail_with(NODES, DOWN, Answer(502), Answer(cut=True))
    found = done(run("geojson", places, "--layer", "my.places", "--json"))
    assert (found["created"], found["updated"], len(service.nodes)) == (0, 10, 10)
    assert pauses == list(PAUSES[:3])


def test_it_gives_up_and_resumes(run: Import, service: Service, pauses: list[float], places: Path, tmp_path: Path) -> None:
    service.fail_with(NODES, None, *[DOWN] * (len(PAUSES) + 1))
    told = stopped(run("geojson", places, "--layer", "my.places", "--batch", "4"), 3)
    assert "answered 503: starting" in told
    assert "4 nodes are written; the same command with --resume goes on after them" in told
    [state] = (tmp_path / "states").iterdir()
    assert json.loads(state.read_text()) == {"layer": "my.places", "url": service.url, "files": ["places.geojson"], "done": 4}
    found = done(run("geojson", places, "--layer", "my.places", "--batch", "4", "--resume", "--json"))
    assert (found["resumed"], found["created"]) == (4, 6)
    assert [node["id"] for body in service.bodies for node in body["nodes"]] == [f"p{number}" for number in range(10)]  # each once
    assert list((tmp_path / "states").iterdir()) == []


def test_another_content_is_another_import(run: Import, service: Service, places: Path) -> None:
    service.fail_with(
        NODES, Answer(200, {"status": "success", "create": {"results": {}}}), Answer(418, {"status": "fail", "message": "no"})
    )
    stopped(run("geojson", places, "--layer", "my.places", "--batch", "4"))
    places.write_text(places.read_text() + "\n")
    assert done(run("geojson", places, "--layer", "my.places", "--resume", "--json"))["resumed"] == 0


def test_too_large_bodies_become_smaller(run: Import, service: Service, places: Path) -> None:
    service.body_limit = 700
    assert done(run("geojson", places, "--layer", "my.places", "--json"))["created"] == 10
    assert max(len(body["nodes"]) for body in service.bodies) < 10


def test_what_is_too_large_alone_is_named(run: Import, service: Service, places: Path) -> None:
    service.body_limit = 100
    told = stopped(run("geojson", places, "--layer", "my.places"))
    assert "places.geojson, feature 1 (id p0): The body is too large. (413)" in told


@pytest.mark.parametrize("says_index", [True, False])
def test_a_refused_node_is_named_and_may_be_left_out(run: Import, service: Service, places: Path, says_index: bool) -> None:
    """Also when the service does not say which node of the request it is."""
    service.refused_ids, service.says_index = {"p3", "p7"}, says_index
    assert "places.geojson, feature 4 (id p3): 'p3' is refused (422)" in stopped(run("geojson", places, "--layer", "my.places"))
    found = done(run("geojson", places, "--layer", "my.places", "--on-error", "skip", "--json"))
    assert found["left_out"] == {"nodes that the service refuses": 2}
    assert set(service.nodes) == {f"my.places.p{number}" for number in range(10)} - {"my.places.p3", "my.places.p7"}


def test_a_missing_layer_is_created_when_asked(run: Import, service: Service, places: Path) -> None:
    assert "--create-layer creates it" in stopped(run("geojson", places, "--layer", "new.one"))
    assert "--create-layer needs --description, --organization, --category" in stopped(
        run("geojson", places, "--layer", "new.one", "--create-layer"), 2
    )
    fields = ("--create-layer", "--description", "d", "--organization", "o", "--category", "civic.x")
    assert done(run("geojson", places, "--layer", "new.one", *fields, "--json"))["created"] == 10
    assert service.layers["new.one"] == {"name": "new.one", "description": "d", "organization": "o", "category": "civic.x"}
    assert done(run("geojson", places, "--layer", "new.one", *fields, "--json"))["updated"] == 10


def test_a_dry_run_writes_nothing(run: Import, service: Service, places: Path, tmp_path: Path) -> None:
    found = done(run("geojson", places, "--layer", "my.places", "--dry-run", "--json"))
    assert (found["dry_run"], found["created"], service.dry_runs) == (True, 10, 1)
    assert (service.nodes, service.statuses) == ({}, {})
    assert not (tmp_path / "states").exists()


def test_passwords_do_not_travel_in_the_open(run: Import, places: Path) -> None:
    told = stopped(run("geojson", places, "--layer", "my.places", url="http://mobility.example"), 2)
    assert "a password must not travel in plain HTTP" in told


def test_the_administrators_password_stays_here(run: Import, places: Path, tmp_path: Path) -> None:
    """`var/auth/admin.password` is of the house on this machine, so no other address gets it."""
    secret = tmp_path / "admin.password"
    secret.write_text("right\n")
    environ = {"GATEHOUSE_MOBILITY_PASSWORD": "", "GATEHOUSE_ADMIN_PASSWORD_FILE": str(secret), "AUTH_ADMIN_EMAIL": "owner@example.org"}
    assert run("geojson", places, "--layer", "my.places", environ=environ).exit_code == 0
    told = stopped(run("geojson", places, "--layer", "my.places", environ=environ, url="https://mobility.example"), 2)
    assert "there is no password" in told


@pytest.mark.parametrize("url", ["mobility", "ftp://x", "http://"])
def test_an_address_is_one(run: Import, places: Path, url: str) -> None:
    assert "is not an address" in stopped(run("geojson", places, "--layer", "my.places", url=url), 2)


def test_another_servers_answer_is_told(run: Import, service: Service, places: Path) -> None:
    service.fail_with("/get_session", Answer(404, {"error": "no such page"}))
    assert "not as the mobility service; is --url right?" in stopped(run("geojson", places, "--layer", "my.places"), 3)


def test_a_certificate_must_be_vouched_for(run: Import, service: Service, pauses: list[float], places: Path, tmp_path: Path) -> None:
    made = certificates.make(tmp_path / "tls")
    url = service.secure(made.certificate, made.key)
    told = stopped(run("geojson", places, "--layer", "my.places", url=url), 3)
    assert "its certificate is not accepted" in told and "--ca-file" in told
    assert pauses == []  # it will not be another the next time
    assert run("geojson", places, "--layer", "my.places", "--ca-file", made.authority, url=url).exit_code == 0
    assert len(service.nodes) == 10
    assert "holds no certificates" in stopped(run("geojson", places, "--layer", "my.places", "--ca-file", places, url=url), 2)


def test_what_the_network_says_is_told(run: Import, service: Service, places: Path) -> None:
    url = service.url
    service.close()
    assert "cannot be reached (Connection refused)" in stopped(run("geojson", places, "--layer", "my.places", url=url), 3)
