"""Backup, restore and rotation on PostgreSQL, by the commands of docs/runbooks.md, on a server that asks for passwords."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.support.given_out import Auth, Devices, Gateway, Writes, records
from tests.support.installation import Installation, installation
from tests.support.processes import ROOT
from tests.support.runbooks import run
from tests.support.stores import PostgreSQL
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Receiver, receiving

ALL = ("gateway", "auth", "sessions", "tokens", "devices", "mobility")


@dataclass
class House:
    """server: has a role and a database for each service."""

    at: Installation
    server: PostgreSQL
    receiver: Receiver
    folder: Path

    def page(self, **more: str) -> dict[str, str]:
        client = {"PATH": f"{self.server.programs}:{self.at.environ['PATH']}", "PGHOST": self.server.host, "PGUSER": "postgres"}
        admin = f"postgresql://postgres:@/postgres?host={self.server.host}"
        return self.at.page(**client, POSTGRES_ADMIN_URL=admin, BACKUP=str(self.folder / "copies"), **more)

    def url(self, service: str, password: str) -> str:
        return f"postgresql://{service}:{password}@/{service}?host={self.server.host}"

    def drop(self) -> None:
        """Leave the server as a new one is."""
        with psycopg.connect(f"postgresql://postgres:@/postgres?host={self.server.host}", autocommit=True) as admin:
            for service in ALL:
                admin.execute(f'DROP DATABASE "{service}" WITH (FORCE)')
                admin.execute(f'DROP ROLE "{service}"')


@pytest.fixture(scope="module")
def house(own_postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("postgresql")
    own_postgresql.demand_passwords()
    with receiving() as receiver, installation(folder / "var", ("auth", "devices")) as at:
        made = House(at, own_postgresql, receiver, folder)
        at.environ |= {f"{service.upper()}_DATABASE_URL": made.url(service, f"the-first-of-{service}") for service in ALL}
        create = [sys.executable, "-m", "services.common.create_databases", *ALL]
        subprocess.run(create, cwd=ROOT, env=made.page(), check=True, capture_output=True)
        at.start()
        yield made


@dataclass
class Copied:
    """What was given out before the copy. later: a sign-in after it. least, most: records when it began and when it had ended."""

    auth: Auth
    gateway: Gateway
    devices: Devices
    later: str
    least: int
    most: int

    def check(self) -> None:
        """Ask with all of it."""
        assert self.auth.knows(self.auth.access) and self.auth.knows(self.auth.sign_in()["access_token"])
        assert self.gateway.opens(self.gateway.key) and self.gateway.signs_with(self.gateway.secret)
        assert self.devices.resolves()


@pytest.fixture(scope="module")
def copied(house: House) -> Copied:
    """A copy that was made under writes."""
    auth = Auth(house.at)
    gateway, devices = Gateway(house.at, house.receiver), Devices(house.at, auth, house.receiver)
    with Writes(house.at, devices.token) as writes:
        least = writes.answered
        run("PostgreSQL", "postgresql", env=house.page())
        most = writes.answered + 1
    return Copied(auth, gateway, devices, auth.sign_in()["access_token"], least, most)


def test_copies_can_be_read_by_their_owner_alone(house: House, copied: Copied) -> None:
    run("PostgreSQL", "postgresql", 2, env=house.page())
    assert {path.stat().st_mode & 0o777 for path in (house.folder / "copies").iterdir()} == {0o600}


def test_everything_on_a_new_server(house: House, copied: Copied) -> None:
    house.at.stop()
    house.drop()
    run("Everything, on a new machine", "postgresql", env=house.page())
    house.at.start()
    copied.check()
    assert not copied.auth.knows(copied.later)
    assert copied.least <= records(house.at, copied.devices.token) <= copied.most


def test_one_service_while_the_others_go_on(house: House, copied: Copied) -> None:
    with Writes(house.at, copied.devices.token) as writes:
        wait_until(lambda: writes.answered > copied.most, 60, "further records")
    house.at.stop("devices")
    run("One service", "postgresql", env=house.page(SERVICE="devices"))
    assert copied.gateway.opens(copied.gateway.key) and copied.auth.knows(copied.auth.access)
    house.at.start("devices")
    assert copied.devices.resolves()
    assert copied.least <= records(house.at, copied.devices.token) <= copied.most


def test_a_master_key_and_a_password(house: House, copied: Copied) -> None:
    """Both with the settings of the service, and one restart."""
    data = house.at.data / "devices"
    page = house.page(SERVICE="devices", KEY_FILE=str(data / "master.key"), DEVICES_DATA=str(data))
    run("Master keys", "all", env=page)
    assert "devices: sealed 2 secrets again" in run("Master keys", "postgresql", env=page)
    run("Master keys", "all", 2, env=page)

    former = house.at.environ["DEVICES_DATABASE_URL"]
    house.at.environ["DEVICES_DATABASE_URL"] = house.url("devices", "the-second-of-devices")
    run("Database passwords", "postgresql", env=house.page(SERVICE="devices"))
    assert copied.devices.lists(copied.devices.account) == 200  # connections that are open stay
    house.at.restart("devices")
    copied.check()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(former)
