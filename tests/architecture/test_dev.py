"""The task runner: what is loud, what it starts where, what its steps tell, and that nothing which it started outlives it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from services.common import logging
from tests.support.waiting import free_port, wait_until
from tools.dev import command_line, plan, shown, up
from tools.dev.children import Child, is_loud, readable, stop
from tools.dev.plan import Ports
from tools.dev.steps import Step, run
from tools.dev.valkey import Valkey

ROOT = Path(__file__).resolve().parents[2]
STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.run([sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"])
"""


@pytest.mark.parametrize(
    ("line", "loud"),
    [
        ('{"level": "info", "event": "x"}', False),
        ('{"level": "warning", "event": "x"}', True),
        ('{"level": "error", "event": "x"}', True),
        ("[2026-01-01 00:00:00 +0000] [7] [INFO] Listening", False),
        ("[2026-01-01 00:00:00 +0000] [7] [ERROR] Worker failed", True),
        ("Traceback (most recent call last):", True),
    ],
)
def test_only_warnings_and_what_is_unexpected_are_loud(line: str, loud: bool) -> None:
    assert is_loud(line) is loud


def test_a_json_line_is_shown_as_text() -> None:
    line = json.dumps({"level": "error", "event": "lost", "service": "s", "time": "t", "port": 5, "exception": "Trace\n  x"})
    assert readable(line) == "error: lost port=5\nTrace\n  x"
    assert readable("plain") == "plain"
    assert readable('{"time": "t", "method": "GET", "status": 200}') == "method=GET status=200"


def test_ports_are_those_of_the_contract() -> None:
    assert list(Ports.defaults().services.values()) == [8101, 8102, 8103, 8104, 8105]
    moved = Ports.counted_from(9000)
    assert (moved.proxy, moved.operator, list(moved.services.values())) == (9000, 9001, [9021, 9022, 9023, 9024, 9025])


def test_programs_live_in_the_data_folder_and_find_each_other(tmp_path: Path) -> None:
    planned = {one.name: one for one in plan.programs(Ports.counted_from(9000), tmp_path, 3, {})}
    tokens, gateway = planned["tokens"], planned["gateway"]
    assert tokens.env["TOKENS_DATABASE_URL"] == f"sqlite:///{tmp_path}/tokens/tokens.db"
    assert tokens.env["TOKENS_BIND"] == "127.0.0.1:9023"
    assert tokens.env["AUTH_URL"] == "http://127.0.0.1:9021"
    assert gateway.env["UPSTREAM_TOKENS"] == "http://127.0.0.1:9023"
    assert (gateway.env["GATEWAY_PROXY_BIND"], gateway.env["GATEWAY_WORKERS"]) == ("0.0.0.0:9000", "3")
    assert gateway.env["GATEWAY_OPERATOR_KEY_PATH"] == f"{tmp_path}/gateway/operator.key"


def test_the_command_lines_speak_of_the_house_that_was_started_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTH_DATABASE_URL", "AUTH_ISSUER", "GATEHOUSE_URL", "GATEHOUSE_KEY_FILE", "GATEHOUSE_MOBILITY_URL", "GATEHOUSE_IMPORTS"):
        monkeypatch.delenv(name, raising=False)
    gateway = command_line.of_house("gateway", tmp_path, Ports.counted_from(9000))
    assert gateway["GATEHOUSE_URL"] == "http://127.0.0.1:9001"
    assert gateway["GATEHOUSE_KEY_FILE"] == f"{tmp_path}/gateway/operator.key"
    auth = command_line.of_house("auth", tmp_path, Ports.counted_from(9000))
    assert auth["AUTH_DATABASE_URL"] == f"sqlite:///{tmp_path}/auth/auth.db"
    assert auth["AUTH_ISSUER"] == "http://127.0.0.1:9000/auth"
    mobility = command_line.of_house("mobility", tmp_path, Ports.counted_from(9000))
    assert mobility["GATEHOUSE_MOBILITY_URL"] == "http://127.0.0.1:9000/mobility"
    assert mobility["GATEHOUSE_ADMIN_PASSWORD_FILE"] == f"{tmp_path}/auth/admin.password"
    assert mobility["GATEHOUSE_IMPORTS"] == f"{tmp_path}/mobility/imports"


@pytest.mark.parametrize("base", ["0", "65511", "x", "-1"])
def test_a_port_base_that_is_none_is_refused(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line.main("auth", [f"--port-base={base}", "role-token"])
    assert "argument --port-base: must be between 1 and 65510" in capsys.readouterr().err


def test_a_database_that_the_environment_names_is_used(tmp_path: Path) -> None:
    environ = {"TOKENS_DATABASE_URL": "postgresql://db/tokens"}
    (tokens,) = [one for one in plan.programs(Ports.defaults(), tmp_path, 1, environ) if one.name == "tokens"]
    assert tokens.env["TOKENS_DATABASE_URL"] == "postgresql://db/tokens"


def test_generated_secrets_are_private_and_kept(tmp_path: Path) -> None:
    data = tmp_path / "house"
    planned = [{one.name: one.env for one in plan.programs(Ports.defaults(), data, 1, {})} for _ in range(2)]
    assert planned[0] == planned[1]
    files = [Path(planned[0]["tokens"]["TOKENS_AUTH_SECRET_FILE"]), Path(planned[0]["auth"]["AUTH_SERVICE_CLIENTS_FILE"])]
    secret = files[0].read_text().strip()
    assert len(secret) >= 24
    assert f"tokens={secret}" in files[1].read_text()
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (data, *(file.parent for file in files))} == {0o700}


@pytest.fixture
def stubborn(tmp_path: Path) -> Iterator[Child]:
    child = Child("stubborn", [sys.executable, "-c", STUBBORN], os.environ, tmp_path / "log", tmp_path, verbose=False)
    yield child
    stop([child], 0)


def test_what_ignores_term_is_killed_with_its_children(stubborn: Child) -> None:
    wait_until(lambda: "ready" in stubborn.log.read_text(), 10, "the child's child")
    assert stop([stubborn], 0.3) == ["stubborn"]
    wait_until(lambda: not stubborn.group_alive(), 5, "the end of the whole group")


def test_the_tail_holds_this_run_only(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("an earlier run\n")
    child = Child("one", [sys.executable, "-c", "print('this run')"], os.environ, log, tmp_path, verbose=False)
    wait_until(lambda: child.status is not None, 10)
    assert child.tail().split("\n") == ["    this run"]
    assert stat.S_IMODE(log.stat().st_mode) & 0o137 == 0  # it was there, and open to everybody


@pytest.fixture
def undisturbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`up` in this process: its log and its handlers of signals leave no trace."""
    monkeypatch.setattr(logging, "configure", lambda _: None)
    taken = {number: signal.getsignal(number) for number in up.STOPPING}
    yield
    for number, handler in taken.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("undisturbed")
@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("file", "Not a directory"),
        ("file/below", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("a?b", "a ? in its path would end the path in the URLs of the databases"),
        ("held", "{}/held/dev.lock: Is a directory"),
    ],
)
def test_a_data_folder_that_cannot_be_is_told_in_a_line(where: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "held" / "dev.lock").mkdir(parents=True)
    assert up.main(["--data", str(tmp_path / where)]) == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert told[0] == f"dev: the data folder {tmp_path / where} cannot be used: {why.format(tmp_path)}"
    assert told[1:] in ([], ["Name another one: ./dev up --data DIR"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'flask'\n",
            "the package flask is missing in .venv",
        ),
        ("/x/python: No module named gunicorn", "the package gunicorn is missing in .venv"),
        (
            "Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'services.x'\n[ERROR] more",
            "No module named 'services.x'",
        ),
        ("auth: cannot start, 1 setting is wrong:\n  - AUTH_X is bad\n", "auth: cannot start, 1 setting is wrong:\n  - AUTH_X is bad"),
    ],
)
def test_the_reason_of_an_end_is_a_line_without_a_trace(text: str, told: str) -> None:
    assert told in up.reason(text)
    assert "File x" not in up.reason(text)


def test_with_tls_the_public_addresses_are_https(tmp_path: Path) -> None:
    environ = {"GATEWAY_TLS_CERTIFICATE": "c.pem", "GATEWAY_TLS_KEY": "k.pem"}
    ports = Ports.counted_from(9000)
    planned = plan.programs(ports, tmp_path, 1, environ)
    table, where = shown.table(planned, ports, tmp_path, environ), shown.as_json(planned, ports, tmp_path, environ)
    assert "gateway, public    https://127.0.0.1:9000" in table
    assert "gateway, operator  http://127.0.0.1:9001" in table
    assert "curl -ik https://127.0.0.1:9000/example/reply/status" in table
    assert (where["proxy"], where["operator"]) == ("https://127.0.0.1:9000", "http://127.0.0.1:9001")
    assert {one.env["AUTH_ISSUER"] for one in planned} == {"https://127.0.0.1:9000/auth"}
    assert "https:" not in shown.table(plan.programs(ports, tmp_path, 1, {}), ports, tmp_path, {})


def test_the_valkey_of_its_own_keeps_what_it_counted_after_a_kill_and_a_torn_file(tmp_path: Path) -> None:
    def start() -> tuple[Child, redis.Redis]:
        valkey = Valkey(tmp_path / "valkey")
        child = valkey.start(tmp_path / "valkey.log", verbose=False)
        wait_until(valkey.answers, 10, "Valkey's answer")
        return child, redis.Redis.from_url(valkey.url)

    child, client = start()
    with client:
        client.incrby("counted", 7)
        client.set("last", "word")
    child.signal(signal.SIGKILL)
    wait_until(lambda: not child.group_alive(), 10, "its end")
    [kept] = [file for file in (tmp_path / "valkey").rglob("*.incr.aof") if b"word" in file.read_bytes()]
    assert {stat.S_IMODE(entry.stat().st_mode) & 0o077 for entry in (tmp_path / "valkey").rglob("*")} == {0}
    with kept.open("rb+") as file:
        file.truncate(kept.stat().st_size - 5)
    child, client = start()
    try:
        with client:
            assert (client.get("counted"), client.get("last")) == (b"7", None)
    finally:
        stop([child], 5)


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    import socket

    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        program = plan.Program("tokens", [], port, "/health", {}, [("127.0.0.1", port)])
        with pytest.raises(up.Failed, match=f"127.0.0.1:{port} for tokens"):
            up._refuse_taken_ports([program])


def test_a_dead_child_is_reported_with_its_log(tmp_path: Path) -> None:
    child = Child("one", [sys.executable, "-c", "print('why'); raise SystemExit(3)"], os.environ, tmp_path / "log", tmp_path, verbose=False)
    wait_until(lambda: child.status is not None, 10)
    with pytest.raises(up.Failed, match=r"(?s)one ended with status 3.*why"):
        up._refuse_dead([child])


def test_an_old_python_is_told_kindly(tmp_path: Path) -> None:
    for name in ("dirname", "pwd"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2"\nexit 1\n')
    old.chmod(0o755)
    done = subprocess.run(["/bin/sh", str(ROOT / "dev"), "up"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 69
    assert "needs CPython 3.11 or later and found Python 3.9.2" in done.stderr


def test_an_unknown_command_shows_the_known_ones() -> None:
    done = subprocess.run([sys.executable, "-m", "tools.dev", "frob"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 64
    assert "there is no command 'frob'" in done.stderr
    assert "./dev up" in done.stderr


def test_steps_go_on_after_a_failure_and_show_its_output(capfd: pytest.CaptureFixture[str]) -> None:
    def says(text: str, status: int) -> list[str]:
        return [sys.executable, "-c", f"print({text!r}); raise SystemExit({status})"]

    steps = [Step("bad", says("why", 3)), Step("slow", says("hidden", 0), beside=True), Step("loud", says("shown", 0), quiet=False)]
    assert run(steps) == 1
    told = capfd.readouterr().out
    assert [word in told for word in ("why", "shown", "hidden")] == [True, True, False]
    assert told.index("FAILED bad") < told.index("shown") < told.index("ok     slow")
    assert run(steps[1:]) == 0


def test_an_interrupted_step_tidies_up_before_everything_ends(tmp_path: Path) -> None:
    """TERM as Ctrl-C: the child gets the signal once and has its time, and the status is that of an interrupted program."""
    child = """
import sys, time
path = sys.argv[1]
try:
    with open(path, "w") as file:  # closed by the destructor, the file would swallow the interruption
        file.write("started")
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.1)  # a stop that does not wait would win
    open(path, "w").write("tidied")
"""
    log = tmp_path / "log"
    parent = f"from tools.dev.steps import Step, run; import sys; run([Step('one', {[sys.executable, '-c', child, str(log)]!r})])"
    for number in (signal.SIGTERM, signal.SIGINT):
        log.unlink(missing_ok=True)
        program = subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: log.exists() and log.read_text() == "started", 10, "the step's start")
        program.send_signal(number)
        assert "dev: stopping" in program.communicate(timeout=20)[1]
        assert log.read_text() == "tidied"
        assert program.returncode != 0
