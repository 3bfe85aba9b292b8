"""`./dev test` runs the unit tests of each service with only the common base beside it: no hidden thread to a neighbour."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from tools.dev import alone
from tools.dev.test import suites

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if path.name != "common" and any(path.glob("*.py")))


def _command(service: str, code: str) -> list[str]:
    return [sys.executable, "-m", "tools.dev.alone", service, "-c", code]


def test_all_unit_tests_are_run_and_those_of_services_alone() -> None:
    commands = [step.command for step in suites() if any(word.startswith("tests/unit") for word in step.command)]
    copied = {
        command[3]: [word for word in command if word.startswith("tests/")] for command in commands if command[2] == "tools.dev.alone"
    }
    assert copied == {name: [f"tests/unit/{name}"] for name in SERVICES}
    there = {str(path.relative_to(ROOT).parent) for path in (ROOT / "tests" / "unit").rglob("test_*.py")}
    run = {word for command in commands for word in command if word.startswith("tests/unit/")}
    assert {"/".join(path.split("/")[:3]) for path in there} == run


@pytest.mark.parametrize("service", SERVICES)
def test_its_copy_has_no_neighbour(service: str, tmp_path: Path) -> None:
    alone.copy(service, tmp_path)
    assert {path.name for path in (tmp_path / "services").iterdir()} == {"common", service}
    assert {path.name for path in (tmp_path / "tests" / "unit").iterdir()} == {service}


def test_a_neighbour_cannot_be_imported() -> None:
    code = "import services.tokens.settings, services.common.settings; import services.auth.settings"
    done = subprocess.run(_command("tokens", code), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No module named 'services.auth'" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_command_and_leaves_no_copy(number: signal.Signals, tmp_path: Path) -> None:
    told = tmp_path / "folder"
    code = f"import os, time; open({str(told)!r}, 'w').write(os.getcwd() + ';' + str(os.getpid())); time.sleep(60)"
    program = subprocess.Popen(_command("tokens", code), cwd=ROOT, stderr=subprocess.DEVNULL)
    wait_until(lambda: told.exists() and ";" in told.read_text(), 30, "the command's start")
    folder, pid = told.read_text().split(";")
    assert Path(folder).is_dir()
    program.send_signal(number)
    assert program.wait(30) != 0
    assert not Path(folder).exists()
    assert not Path(f"/proc/{pid}").exists()
