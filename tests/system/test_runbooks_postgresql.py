"""Backup, restore and rotation on PostgreSQL, by the commands of docs/runbooks.md, on a server that asks for passwords."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.support.given_out import Auth, Devices, Gateway, Writes, ask, records
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


@pytest.fixture
def house(own_postgresql: PostgreSQL, tmp_path: Path) -> Iterator[House]:
    own_postgresql.demand_passwords()
    with receiving() as receiver, installation(tmp_path / "var", ("auth", "devices")) as at:
        made = House(at, own_postgresql, receiver, tmp_path)
        at.environ |= {f"{service.upper()}_DATABASE_URL": made.url(service, f"the-first-of-{service}") for service in ALL}
        create = [sys.executable, "-m", "services.common.create_databases", *ALL]
        subprocess.run(create, cwd=ROOT, env=made.page(), check=True, capture_output=True)
        yield made


def test_backup_restore_and_rotation(house: House) -> None:
    at = house.at
    at.start()
    auth = Auth(at)
    gateway, devices = Gateway(at, house.receiver), Devices(at, auth, house.receiver)

    def all_is_good() -> None:
        assert auth.knows(auth.access) and auth.knows(auth.sign_in()["access_token"])
        assert gateway.opens(gateway.key) and gateway.signs_with(gateway.secret)
        assert devices.resolves()

    with Writes(at, devices.token) as writes:
        before = writes.answered
        run("PostgreSQL", "postgresql", env=house.page())
        after = writes.answered
    run("PostgreSQL", "postgresql", 2, env=house.page())
    assert {path.stat().st_mode & 0o777 for path in (house.folder / "copies").iterdir()} == {0o600}
    later = auth.sign_in()["access_token"]

    at.stop()
    house.drop()
    run("Everything, on a new machine", "postgresql", env=house.page())
    at.start()
    all_is_good()
    assert not auth.knows(later)
    kept = records(at, devices.token)
    assert before <= kept <= after + 1

    with Writes(at, devices.token) as writes:
        wait_until(lambda: writes.answered > 3, 60, "further records")
    assert records(at, devices.token) > kept
    at.stop("devices")
    run("One service", "postgresql", env=house.page(SERVICE="devices"))
    assert gateway.opens(gateway.key) and auth.knows(auth.access)
    at.start("devices")
    assert devices.resolves()
    assert records(at, devices.token) == kept

    key = at.data / "devices" / "master.key"
    page = house.page(SERVICE="devices", KEY_FILE=str(key), DEVICES_DATA=str(at.data / "devices"))
    run("Master keys", "all", env=page)
    assert "devices: sealed 2 secrets again" in run("Master keys", "postgresql", env=page)
    run("Master keys", "all", 2, env=page)

    former = at.environ["DEVICES_DATABASE_URL"]
    at.environ["DEVICES_DATABASE_URL"] = house.url("devices", "the-second-of-devices")
    run("Database passwords", "postgresql", env=house.page(SERVICE="devices"))
    assert ask("GET", f"{at.url}/devices/device", token=devices.account).status_code == 200  # connections that are open stay
    at.restart("devices")
    all_is_good()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(former)
