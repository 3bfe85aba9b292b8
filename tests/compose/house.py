"""The house of docker-compose.yml, under a name, ports, a subnet and secrets of its own: started, changed, broken and removed."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import random
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

from tests.support.waiting import free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "auth", "sessions", "tokens", "devices", "mobility")
STORES = ("postgres", "valkey")
ADMIN = "admin@gatehouse.local"
_GATEWAYS = 3  # ports: two gateways, and the one that takes the place of another
_START_S = 300.0
_TROUBLE = re.compile(r'"status": ?5\d\d|"level": "(warning|error|critical)"|FATAL|ERROR|PANIC|Traceback')
_IMAGES = {
    "GATEHOUSE_TAG": "local",
    "POSTGRES_IMAGE": "gatehouse/postgres-for-tests:local",
    "VALKEY_IMAGE": "gatehouse/valkey-for-tests:local",
}
# Removes the house when the tests have ended or their process is gone: its standard input is a pipe that nobody else holds.
_GUARD = 'cat >/dev/null; docker compose down --volumes --remove-orphans --timeout 5; rm -rf "$PWD"'


def composes() -> list[list[str]]:
    """Return every compose command of this machine, the newer one first."""
    found = [["docker", "compose"], ["docker-compose"]]
    return [one for one in found if shutil.which(one[0]) and _succeeds([*one, "version"])]


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class House:
    """One house.

    home: the folder that an operator works in, with `secrets/`. port: the first of those that a gateway may have.
    first: `states()` after the first start.
    """

    def __init__(self, home: Path) -> None:
        self.docker = docker.from_env(timeout=120)
        self.project = f"gatehouse-test-{secrets.token_hex(3)}"
        self.home = home
        shutil.copy(ROOT / "docker-compose.yml", home)
        shutil.copytree(ROOT / "deploy", home / "deploy")
        self.port = _ports()
        self.first: dict[str, dict[str, Any]] = {}
        self.env = {
            **os.environ,
            "PATH": f"{home}/bin:{os.environ['PATH']}",
            **{name: os.environ.get(name, value) for name, value in _IMAGES.items()},
            "COMPOSE_PROJECT_NAME": self.project,
            "GATEHOUSE_PORTS": f"{self.port}-{self.port + _GATEWAYS - 1}",
            "GATEHOUSE_URL": f"http://127.0.0.1:{self.port}",
            "GATEHOUSE_SUBNET": _subnet(self.docker),
            # The tests are the proxy that ends TLS before the gateway: they come from the bridge of the network `public`.
            "GATEWAY_TRUSTED_PROXIES": "172.16.0.0/12,192.168.0.0/16",
        }
        _give_docker_compose(home / "bin")
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD],
            cwd=home,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def url(self) -> str:
        """The address of the first gateway."""
        return f"http://127.0.0.1:{self.published()[0]}"

    def remove(self) -> None:
        """Remove containers, networks and volumes, and the folder."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(180)
        self.docker.close()

    def secrets(self) -> dict[str, str]:
        """Return all secrets by name."""
        return {file.name: file.read_text().strip() for file in (self.home / "secrets").iterdir()}

    def run(self, command: Sequence[str], text: str | None = None, timeout: float = _START_S, **env: str) -> str:
        """Run a command as an operator does, and return what it says. Fails with all of it."""
        done = subprocess.run(
            command, cwd=self.home, env={**self.env, **env}, input=text, text=True, capture_output=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def compose(self, *arguments: str, text: str | None = None, **env: str) -> str:
        """Run docker compose, whichever there is."""
        return self.run(["docker", "compose", *arguments], text, **env)

    def up(self, *arguments: str, **env: str) -> None:
        """`up -d`, and wait until everything that serves is healthy."""
        self.compose("up", "-d", *arguments, **env)
        self.wait_healthy()

    def scale(self, **replicas: int) -> None:
        """Run so many containers of these services; wait until all are healthy."""
        numbers = [part for service, number in replicas.items() for part in ("--scale", f"{service}={number}")]
        self.compose("up", "-d", "--no-deps", "--no-recreate", *numbers, *replicas)
        self.wait_healthy(*replicas)

    def containers(self, service: str) -> list[Container]:
        """Return the running containers of a service, by their numbers."""
        labels = [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}"]
        return sorted(self.docker.containers.list(filters={"label": labels}), key=number_of)

    def container(self, service: str) -> Container:
        """Return the one container of a service."""
        [found] = self.containers(service)
        return found

    def everything(self) -> list[Container]:
        """Return all containers, also those that have ended."""
        label = f"com.docker.compose.project={self.project}"
        found: list[Container] = self.docker.containers.list(all=True, filters={"label": label})
        return found

    def states(self) -> dict[str, dict[str, Any]]:
        """Return what Docker knows of the process of each service and job."""
        return {one.labels["com.docker.compose.service"]: one.attrs["State"] for one in self.everything()}

    def wait_healthy(self, *services: str) -> None:
        """Wait until all containers of these services, or of all, are healthy."""
        for service in services or (*STORES, *SERVICES):
            wait_until(lambda service=service: self.is_healthy(service), 180, f"the health of {service}", 0.2)  # type: ignore[misc]

    def is_healthy(self, service: str) -> bool:
        with contextlib.suppress(docker.errors.NotFound):
            found = self.containers(service)
            return bool(found) and all(one.attrs["State"].get("Health", {}).get("Status") == "healthy" for one in found)
        return False

    def exec(self, service: str, *command: str, text: str | None = None, number: int = 0) -> str:
        """Run a command inside a container of a service: the first one, or that with this number."""
        container = next(one for one in self.containers(service) if number in (0, number_of(one)))
        return self.run(["docker", "exec", "-i", container.id, *command], text or "")

    def gateway(self, *arguments: str, text: str | None = None) -> str:
        """Run the operator's command line inside a gateway."""
        return self.exec("gateway", "python", "-m", "services.gateway.cli", *arguments, text=text)

    def sql(self, database: str, statements: str) -> str:
        """Run statements as the superuser; return the values, unaligned."""
        return self.exec("postgres", "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, text=statements).strip()

    def kill(self, container: Container) -> None:
        """Kill the process of a container from outside, as the kernel does when memory runs out: the restart policy applies."""
        container.reload()
        pid = container.attrs["State"]["Pid"]
        command = ["python3", "-c", f"import os; os.kill({pid}, 9)"]
        image = f"gatehouse/gateway:{self.env['GATEHOUSE_TAG']}"
        self.docker.containers.run(image, command, user="0", pid_mode="host", network_mode="none", remove=True)

    def address(self, container: Container, network: str) -> str:
        """Return a container's address in a network of the house."""
        container.reload()
        return str(container.attrs["NetworkSettings"]["Networks"][f"{self.project}_{network}"]["IPAddress"])

    def urls(self) -> list[str]:
        """Return the address of each gateway's published port, past Docker's own proxy.

        That proxy listens on loopback for as long as the container is there, and takes connections that the gateway refuses.
        """
        host = self.docker.networks.get(f"{self.project}_public").attrs["IPAM"]["Config"][0]["Gateway"]
        return [f"http://{host}:{port}" for port in self.published()]

    def published(self) -> list[int]:
        """Return the gateways' published ports."""
        found = (one.attrs["NetworkSettings"]["Ports"]["8080/tcp"] for one in self.containers("gateway"))
        return [int(next(binding["HostPort"] for binding in bindings if binding["HostIp"] == "0.0.0.0")) for bindings in found]

    def ports(self) -> range:
        """Return the ports that a gateway may be published on."""
        return range(self.port, self.port + _GATEWAYS)

    def troubles(self, since: float) -> str:
        """Return the lines that tell of warnings, errors and answers 5xx. since: seconds of the epoch."""
        lines = []
        for one in self.everything():
            text = one.logs(since=int(since)).decode(errors="replace")
            lines += [f"{one.name}: {line}" for line in text.splitlines() if _TROUBLE.search(line)]
        return "\n".join(lines[-100:])

    def logs(self) -> str:
        """Return all that the containers have written."""
        return "".join(one.logs().decode(errors="replace") for one in self.everything())


def number_of(container: Container) -> int:
    return int(container.labels["com.docker.compose.container-number"])


@contextlib.contextmanager
def house_of_its_own() -> Iterator[House]:
    """A house without secrets that is not started; it is removed with the block, and also when the process is killed."""
    home = Path(tempfile.mkdtemp(prefix="gatehouse-"))
    try:
        made = House(home)
    except BaseException:
        shutil.rmtree(home)
        raise
    try:
        yield made
    finally:
        made.remove()


def _give_docker_compose(folder: Path) -> None:
    """Let `docker compose` be what the pages say, also where there is only docker-compose."""
    if composes()[0] == ["docker", "compose"]:
        return
    folder.mkdir()
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\n[ "$1" != compose ] || {{ shift; exec docker-compose "$@"; }}\nexec {shutil.which("docker")} "$@"\n')
    program.chmod(0o755)


def _ports() -> int:
    """Find the first of `_GATEWAYS` free ports that follow each other."""

    def found() -> int | None:
        port = free_port()
        with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
            for other in range(port, port + _GATEWAYS):
                opened.enter_context(socket.create_server(("0.0.0.0", other)))
            return port
        return None

    port = wait_until(found, 10, "free ports")
    assert port is not None
    return port


def _subnet(client: Any) -> str:
    """Find a subnet that no network of this engine has."""
    configurations = [one for network in client.networks.list() for one in network.attrs["IPAM"]["Config"] or []]
    taken = [ipaddress.ip_network(one["Subnet"]) for one in configurations if "Subnet" in one]
    candidates = [ipaddress.ip_network(f"10.88.{number}.0/24") for number in range(256)]
    return str(random.choice([one for one in candidates if not any(one.overlaps(other) for other in taken)]))
