"""`./dev bench attacks` on a small scale: it attacks, measures and tells; whatever stops it, nothing of it is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.processes import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alone

SMALL = ["--scale", "0.01", "--seconds", "0.6"]


def test_attacks_are_measured(tmp_path: Path) -> None:
    chosen = "slow-small,operator"
    document = tmp_path / "security.md"
    document.write_text("<!-- bench attacks: begin --><!-- bench attacks: end -->\n")
    command = [sys.executable, "-m", "bench.attacks", *SMALL, "--only", chosen, "--control", "--json", "-", "--write", str(document)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode in (0, 1), done.stderr  # on such a scale nothing can be said of the goals
    rows = json.loads(done.stdout)["attacks"]
    assert [row["attack"] for row in rows] == ["slow-small", "operator-stranger"]
    for row in rows:
        assert row["attackers"]["opened"] == row["attackers"]["wanted"] > 0
        assert row["attackers"]["sent"] > 0
        assert 10 < row["memory_mb"]["before"] <= row["memory_mb"]["peak"]
        for name, parts in row["clients"].items():
            assert list(parts) == ["before", "control", "during", "after"]
            asked = sum(parts[part]["asked"] for part in parts)
            assert asked > 3, name
            assert not parts["before"]["errors"], name
    assert list(rows[0]["clients"]) == ["auth", "tokens", "log-in"]
    assert "slow log-ins, 200 bytes announced" in document.read_text()


def command_of(process: psutil.Process) -> list[str]:
    """Nothing for one that has ended."""
    with contextlib.suppress(psutil.Error):
        found: list[str] = process.cmdline()
        return found
    return []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_it(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.dev", "bench", "attacks", "--scale", "0.01", "--seconds", "6", "--only", "pipelined-404"]
    bench = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        started: list[psutil.Process] = []

        def attacking() -> bool:
            started[:] = psutil.Process(bench.pid).children(recursive=True)
            return any("bench.attackers.flood" in command_of(one) for one in started)

        wait_until(attacking, 60, "the attackers")
        bench.send_signal(number)
        assert bench.wait(60) == 130
        wait_until(lambda: not psutil.wait_procs(started, 0)[1], 20, "the end of everything that was started")
        assert list(tmp_path.glob("gatehouse-bench-*")) == []
    finally:
        if bench.poll() is None:
            bench.terminate()
            bench.wait(60)


def test_an_attack_that_does_not_exist_is_named() -> None:
    done = subprocess.run([sys.executable, "-m", "bench.attacks", "--only", "xyz"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no attack begins with 'xyz'" in done.stderr
    assert "pipelined-hello" in done.stderr
