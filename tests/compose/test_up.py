"""The house as it starts: in order, closed to the outside, each service alone with its database, no secret where it can be seen."""

from __future__ import annotations

import json
import subprocess

import pytest
from docker.models.containers import Container

from tests.compose.house import SERVICES, STORES, House, composes

JOBS = ("databases", *(f"{service}-migration" for service in SERVICES))
ASKS_DATABASES = """
import psycopg, sys
for service in sys.argv[1:]:
    url = open(f"/run/secrets/{service}_database_url").read()
    for name in sys.argv[1:]:
        try:
            psycopg.connect(url, dbname=name, connect_timeout=5).close()
            print(service, name)
        except psycopg.OperationalError as error:
            assert "permission denied for database" in str(error), error
"""
CONNECTS = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
    print("open")
except OSError:
    print("closed")
"""


def ours(house: House) -> list[Container]:
    """All containers but the stores'."""
    return [one for one in house.everything() if one.labels["com.docker.compose.service"] not in STORES]


def test_all_are_healthy_after_what_they_need(house: House) -> None:
    first = house.first
    assert first.keys() == {*SERVICES, *STORES, *JOBS}
    assert [job for job in JOBS if (first[job]["Status"], first[job]["ExitCode"]) != ("exited", 0)] == []
    for service in SERVICES:
        migration = first[f"{service}-migration"]
        assert first["databases"]["FinishedAt"] <= migration["StartedAt"] < migration["FinishedAt"] <= first[service]["StartedAt"]
        assert first[service]["StartedAt"] <= first["gateway"]["StartedAt"]
    house.wait_healthy()


def test_only_the_gateways_public_port_is_published(house: House) -> None:
    published = {
        (one.labels["com.docker.compose.service"], port)
        for one in house.everything()
        for port, bindings in (one.attrs["HostConfig"]["PortBindings"] or {}).items()
        if bindings
    }
    assert published == {("gateway", "8080/tcp")}


def test_services_are_not_root_and_write_to_their_volume_alone(house: House) -> None:
    for container in ours(house):
        settings = container.attrs["HostConfig"]
        assert settings["ReadonlyRootfs"], container.name
        assert settings["CapDrop"] == ["ALL"], container.name
        assert "no-new-privileges" in settings["SecurityOpt"][0], container.name
    for service in SERVICES:
        assert house.exec(service, "sh", "-c", "id -u; id -g").split() == ["10001", "10001"]
        assert house.exec(service, "sh", "-c", "touch /app/a /opt/venv/a 2>/dev/null || echo refused").strip() == "refused"
        house.exec(service, "sh", "-c", "touch /app/var/a /tmp/a && rm /app/var/a /tmp/a")


def test_no_secret_is_in_an_environment_a_command_or_a_log(house: House) -> None:
    secrets = house.secrets()
    assert len(secrets) > 20
    shown = json.dumps([one.attrs for one in house.everything()]) + house.logs()
    assert [name for name, value in secrets.items() if value in shown] == []
    processes = house.docker.api
    for container in house.containers("valkey") + house.containers("postgres"):
        commands = str(processes.top(container.id, "-eo pid,args"))
        assert [name for name, value in secrets.items() if value in commands] == []


def test_a_database_opens_for_its_own_service_alone(house: House) -> None:
    found = house.compose("run", "--rm", "--no-deps", "-T", "databases", "python", "-c", ASKS_DATABASES, *SERVICES)
    assert [line.split() for line in found.splitlines()] == [[service, service] for service in SERVICES]


def test_a_service_reaches_neither_the_operators_port_nor_the_world(house: House) -> None:
    for service in ("auth", "tokens", "devices"):
        assert house.exec(service, "python", "-c", CONNECTS, "gateway", "8080").strip() == "open"
        assert house.exec(service, "python", "-c", CONNECTS, "gateway", "8081").strip() == "closed"


@pytest.mark.parametrize("compose", composes(), ids=" ".join)
def test_the_file_is_accepted_without_a_warning(house: House, compose: list[str]) -> None:
    done = subprocess.run([*compose, "config"], cwd=house.home, env=house.env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
