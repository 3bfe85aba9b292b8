"""`./dev up` as a user meets it: killed, started twice, interrupted while it starts; quotas outlive all of that."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest
import requests

from tests.support import certificates
from tests.support.gateway import definition
from tests.support.house import PORTS, House, free, house, port_base
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alone

SECONDS_TO_DIE = 15.0  # on a busy machine; on an idle one about one


def _limited_key(running: House) -> str:
    """A key of an API on /limited/ that may do five requests."""
    assert running.where is not None
    operator, key = running.where["operator"], Path(running.where["operator_key_file"]).read_text().strip()
    api = definition("limited", f"http://127.0.0.1:{running.base + 21}/", use_keyless=False)
    added = requests.post(f"{operator}/tyk/apis/", json=api, headers={"x-tyk-authorization": key}, timeout=10)
    assert added.status_code == 200, added.text
    rights = {"limited": {"api_id": "limited", "api_name": "limited", "versions": ["Default"]}}
    session = {"quota_max": 5, "quota_renewal_rate": 3600, "access_rights": rights}
    made = requests.post(f"{operator}/api/keys", json=session, headers={"authorization": key}, timeout=10)
    assert made.status_code == 200, made.text
    return str(made.json()["key_id"])


def _remaining(running: House, key: str) -> str:
    answer = requests.get(f"http://127.0.0.1:{running.base}/limited/health", headers={"authorization": key}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.headers["X-RateLimit-Remaining"]


def test_a_second_start_is_refused_a_killed_one_leaves_nothing_and_its_quotas_hold(tmp_path: Path) -> None:
    base = port_base()
    ports = [base + one for one in PORTS]
    with house(tmp_path, base, "--workers", "2") as first:
        key = _limited_key(first.healthy())
        assert _remaining(first, key) == "4"

        with house(tmp_path, port_base()) as second:
            status, told = second.ended()
        pid = first.process.pid
        assert status == 1
        assert f"another ./dev up runs on this data folder (pid {pid}, since " in told
        assert f"http://127.0.0.1:{base}" in told
        assert f"kill {pid}" in told

        names = " ".join(" ".join(one.cmdline()) for one in first.family())
        assert all(word in names for word in ("valkey-server", "gateway.wsgi", "tokens.wsgi", "auth.wsgi"))
        first.process.send_signal(signal.SIGKILL)
        wait_until(lambda: not first.left(), SECONDS_TO_DIE, "the end of everything")
        assert free(ports)
    with house(tmp_path, base, "--workers", "2") as again:
        assert _remaining(again.healthy(), key) == "3"
        status, told = again.interrupt()
    assert status == 0
    assert told.endswith("all stopped\n")
    assert again.left() == []
    assert "Traceback" not in told


def test_what_outlives_a_killed_start_is_named_with_the_way_to_end_it(tmp_path: Path) -> None:
    base = port_base()
    with house(tmp_path, base) as first:
        first.healthy()
        [guard] = [one for one in first.family() if one.cmdline()[-1].endswith("guard.py")]
        guard.kill()
        first.process.kill()
        with house(tmp_path, base) as second:
            status, told = second.ended()
        assert status == 1
        lines = told.strip().splitlines()
        assert lines[0] == "an earlier start was killed; waiting for the end of what it ran"
        groups = json.loads((tmp_path / "dev.lock").read_text())["groups"]
        assert f"gateway (pid {groups['gateway']})" in lines[-2]
        assert lines[-1].startswith("End it: kill -- -")
        subprocess.run(["/bin/sh", "-c", lines[-1].removeprefix("End it: ")], check=True)
        wait_until(lambda: not first.left(), SECONDS_TO_DIE, "the end of everything")
        with house(tmp_path, base) as third:
            third.healthy()


def test_it_outlives_its_terminal_when_told_so_and_ends_well_without_its_guard(tmp_path: Path) -> None:
    with house(tmp_path, port_base(), starter=["nohup"]) as start:
        start.healthy()
        ignored = re.search(r"^SigIgn:\s*(\w+)$", Path(f"/proc/{start.process.pid}/status").read_text(), re.MULTILINE)
        assert ignored is not None
        assert int(ignored[1], 16) & 1 << signal.SIGHUP - 1
        [guard] = [one for one in start.family() if one.cmdline()[-1].endswith("guard.py")]
        guard.kill()
        wait_until(lambda: guard not in start.left(), SECONDS_TO_DIE, "the end of the guard")
        status, told = start.interrupt()
    assert status == 0
    assert told.endswith("all stopped\n")
    assert start.left() == []
    assert (tmp_path / "dev.lock").read_bytes() == b""


def test_ctrl_c_at_any_moment_of_the_start_is_a_line_and_leaves_nothing(tmp_path: Path) -> None:
    """One start after another, each interrupted a little later: from the interpreter's first moments to the last wait."""
    base = port_base()
    stages: dict[str, Callable[[House], bool]] = {
        "at once": lambda one: True,
        "python": lambda one: "environment.py" in _command(one),
        "tools.dev": lambda one: "tools.dev" in _command(one),
        "the lock": lambda one: (one.data / "dev.lock").exists(),
        "migrating": lambda one: "migrating" in one.told(),
        "a migration": lambda one: any("services.common.migrate" in " ".join(_line(child)) for child in one.family()),
        "starting": lambda one: "starting" in one.told(),
        "gunicorn": lambda one: any("gunicorn" in " ".join(_line(child)) for child in one.family()),
        "a log": lambda one: (one.data / "log" / "gateway.log").exists(),
    }
    for name, reached in stages.items():
        with house(tmp_path / name, base) as start:
            wait_until(partial(_reached_or_over, start, reached), 30, name, pause=0.002)
            start.family()
            status, told = start.interrupt()
            # before anything has begun it ends by the signal or, when the interpreter is not up yet, with 1; both silently
            assert status in ((130, -signal.SIGINT, 1) if told == "" else (130,)), (name, status, told)
            assert "Traceback" not in told, (name, told)
            assert told == "" or told.endswith(("all stopped\n", "stopped before anything was started\n")), (name, told)
            assert start.left() == [], name
    assert free([base + one for one in PORTS])


def _reached_or_over(start: House, reached: Callable[[House], bool]) -> bool:
    return reached(start) or start.process.poll() is not None


def _line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _command(start: House) -> str:
    try:
        return " ".join(psutil.Process(start.process.pid).cmdline())
    except psutil.Error:
        return ""


def test_a_database_of_a_newer_version_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    with sqlite3.connect(tmp_path / "tokens" / "tokens.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('9999')")
    database.close()
    with house(tmp_path, port_base()) as start:
        status, told = start.ended()
    assert status == 1
    [line] = told.partition("dev: nothing was started\n")[2].splitlines()
    assert line.startswith("tokens: a newer version of Gatehouse has used this database: it is at migration 9999, this code at ")
    assert start.left() == []


def test_addresses_are_https_when_the_public_port_speaks_tls(tmp_path: Path) -> None:
    made = certificates.make(tmp_path / "certificates")
    settings = {"GATEWAY_TLS_CERTIFICATE": str(made.certificate), "GATEWAY_TLS_KEY": str(made.key)}
    base = port_base()
    with house(tmp_path / "data", base, env=settings) as start:
        where = start.healthy().where
        assert where is not None
        assert (where["proxy"], where["operator"]) == (f"https://127.0.0.1:{base}", f"http://127.0.0.1:{base + 1}")
        answer = requests.get(f"{where['proxy']}/example/reply/status", verify=str(made.authority), timeout=10)
        assert answer.json() == {"status": "open"}
        metadata = requests.get(f"{where['proxy']}/auth/.well-known/openid-configuration", verify=str(made.authority), timeout=10)
        assert metadata.json()["issuer"] == f"https://127.0.0.1:{base}/auth"
