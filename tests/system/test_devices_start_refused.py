"""Rate limits that could not be kept keep the devices service from starting."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.contract import service as contract
from tests.support.processes import migrate, run_program
from tests.support.waiting import free_port


def start(folder: Path, **settings: str) -> tuple[int, str]:
    env = {
        "PATH": os.environ["PATH"],
        **contract.find("devices").environment(folder),
        "DEVICES_DATABASE_URL": f"sqlite:///{folder}/devices.db",
        "DEVICES_BIND": f"127.0.0.1:{free_port()}",
    }
    migrate("devices", env)
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.service.py", "services.devices.wsgi:app"]
    done = run_program(command, {**env, **settings})
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_limits_of_several_processes_need_a_valkey(tmp_path: Path) -> None:
    status, said = start(tmp_path, DEVICES_WORKERS="2", DEVICES_RATE_LIMITS="POST /device=5")
    assert status == 78
    assert "DEVICES_WORKERS above 1 with DEVICES_RATE_LIMITS needs VALKEY_URL: limits could not be exact otherwise" in said


def test_a_route_that_is_not_there(tmp_path: Path) -> None:
    status, said = start(tmp_path, DEVICES_RATE_LIMITS="POST /nope=5")
    assert status == 3
    assert "devices: cannot start: DEVICES_RATE_LIMITS names POST /nope, which is not a route of this service\n" in said
