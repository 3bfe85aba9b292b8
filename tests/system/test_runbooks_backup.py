"""Backup and restore on SQLite, by the commands of docs/runbooks.md: an installation that is written to, and all of it on a new machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.given_out import Auth, Devices, Gateway, Writes, ask, records
from tests.support.installation import Installation, installation
from tests.support.runbooks import run
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Receiver, receiving

SERVICES = ("auth", "devices")
ADDRESS = {"AUTH_ISSUER": "https://gatehouse.example/auth"}  # which both machines have, one after the other


@dataclass
class Copied:
    """What there is of a machine that is gone. least, most: records of the device when the copy began and when it had ended."""

    where: dict[str, str]
    auth: Auth
    gateway: Gateway
    devices: Devices
    signed_in_later: str
    least: int
    most: int


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def copied(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Copied:
    folder = tmp_path_factory.mktemp("backup")
    where = {"BACKUP": str(folder / "copies" / "today"), "SECRETS": str(folder / "elsewhere")}
    with installation(folder / "old" / "var", SERVICES, ADDRESS) as old:
        old.migrate("sessions", "tokens", "mobility")
        old.start()
        auth = Auth(old)
        gateway, devices = Gateway(old, receiver), Devices(old, auth, receiver)
        with Writes(old, devices.token) as writes:
            least = writes.answered
            told = run("SQLite", "sqlite", env=old.page(**where))
            most = writes.answered + 1
        named = [line.partition(": ")[0] for line in told.splitlines() if " bytes at migration " in line]
        assert named == ["sessions", "tokens", "devices", "mobility", "gateway", "auth"]
        run("SQLite", "sqlite", 2, env=old.page(**where))
        return Copied(where, auth, gateway, devices, auth.sign_in()["access_token"], least, most)


@pytest.fixture(scope="module")
def new(copied: Copied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A new machine, on which everything was restored."""
    with installation(tmp_path_factory.mktemp("restore") / "var", SERVICES, ADDRESS) as made:
        run("Everything, on a new machine", "sqlite", env=made.page(**copied.where))
        assert run("Everything, on a new machine", "sqlite", 2, env=made.page(**copied.where)).count(", at migration ") == 6
        made.start()
        copied.auth._at = copied.gateway._at = copied.devices._at = made
        yield made


def test_copies_are_for_their_owner_alone(copied: Copied) -> None:
    files = [*Path(copied.where["BACKUP"]).iterdir(), *Path(copied.where["SECRETS"]).iterdir()]
    assert len(files) == 7
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_everything_on_a_new_machine(copied: Copied, new: Installation) -> None:
    run("Everything, on a new machine", "all", env=new.page())
    assert copied.auth.knows(copied.auth.access) and copied.auth.knows(copied.auth.sign_in()["access_token"])
    assert not copied.auth.knows(copied.signed_in_later)
    assert copied.gateway.opens(copied.gateway.key) and copied.gateway.signs_with(copied.gateway.secret)
    assert copied.devices.resolves() and copied.devices.signs_with(copied.devices.secret)
    assert copied.least <= records(new, copied.devices.token) <= copied.most


def test_one_service_while_the_others_go_on(copied: Copied, new: Installation) -> None:
    page = new.page(SERVICE="devices", **copied.where)
    assert "a process uses" in run("One service", "sqlite", env=page, status=1)
    with Writes(new, copied.devices.token) as writes:
        wait_until(lambda: writes.answered > copied.most, 60, "further records")
    new.stop("devices")
    run("One service", "sqlite", env=page)
    assert copied.gateway.opens(copied.gateway.key) and copied.auth.knows(copied.auth.access)
    assert ask("GET", f"{new.url}/devices/device", token=copied.devices.account).status_code in (502, 503)
    new.start("devices")
    assert copied.devices.resolves()
    assert copied.least <= records(new, copied.devices.token) <= copied.most
