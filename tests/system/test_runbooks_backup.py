"""Backup and restore on SQLite, by the commands of docs/runbooks.md: an installation that is written to, and all of it on a new machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.given_out import Auth, Devices, Gateway, Writes, ask, records
from tests.support.installation import installation
from tests.support.runbooks import run
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Receiver, receiving

SERVICES = ("auth", "devices")
ADDRESS = {"AUTH_ISSUER": "https://gatehouse.example/auth"}  # which both machines have, one after the other


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_everything_on_a_new_machine_and_then_one_service(tmp_path: Path, receiver: Receiver) -> None:
    where = {"BACKUP": str(tmp_path / "copies" / "today"), "SECRETS": str(tmp_path / "elsewhere")}
    with installation(tmp_path / "old" / "var", SERVICES, ADDRESS) as old:
        old.migrate("sessions", "tokens", "mobility")
        old.start()
        auth = Auth(old)
        gateway, devices = Gateway(old, receiver), Devices(old, auth, receiver)
        with Writes(old, devices.token) as writes:
            before = writes.answered
            told = run("SQLite", "sqlite", env=old.page(**where))
            after = writes.answered
        named = [line.partition(": ")[0] for line in told.splitlines() if " bytes at migration " in line]
        assert named == ["sessions", "tokens", "devices", "mobility", "gateway", "auth"]
        run("SQLite", "sqlite", 2, env=old.page(**where))
        signed_in = auth.sign_in()
    copies = [*(tmp_path / "copies" / "today").iterdir(), tmp_path / "elsewhere" / "secrets.tar"]
    assert {path.stat().st_mode & 0o777 for path in copies} == {0o600}

    with installation(tmp_path / "new" / "var", SERVICES, ADDRESS) as new:
        run("Everything, on a new machine", "sqlite", env=new.page(**where))
        assert run("Everything, on a new machine", "sqlite", 2, env=new.page(**where)).count(", at migration ") == 6
        new.start()
        run("Everything, on a new machine", "all", env=new.page(**where))
        auth._at = gateway._at = devices._at = new
        assert auth.knows(auth.sign_in()["access_token"])
        assert auth.knows(auth.access) and auth.knows(signed_in["access_token"]) is False  # issued before, and after the copy
        assert gateway.opens(gateway.key) and gateway.signs_with(gateway.secret)
        assert devices.resolves() and devices.signs_with(devices.secret)
        kept = records(new, devices.token)
        assert before <= kept <= after + 1

        # One service, while the others go on.
        page = new.page(SERVICE="devices", **where)
        assert "a process uses" in run("One service", "sqlite", env=page, status=1)
        with Writes(new, devices.token) as writes:
            wait_until(lambda: writes.answered > 3, 60, "further records")
        assert records(new, devices.token) > kept
        new.stop("devices")
        run("One service", "sqlite", env=page)
        assert gateway.opens(gateway.key) and auth.knows(auth.access)
        assert ask("GET", f"{new.url}/devices/device", token=devices.account).status_code in (502, 503)
        new.start("devices")
        assert devices.resolves()
        assert records(new, devices.token) == kept
