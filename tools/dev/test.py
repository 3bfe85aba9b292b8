"""`./dev test`: everything that passes without Docker; with arguments, pytest with these; with --compose, against the containers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from tools.dev.check import UNIT_PROCESSES, pytest, static
from tools.dev.steps import ROOT, Step, become, run

# folder → processes: tests that start real servers or a browser, or that measure, share the machine's cores badly
FOLDERS = {"architecture": 1, "unit": UNIT_PROCESSES, "contract": 2, "system": 1, "conformance": 1, "console": 1}


def main(arguments: Sequence[str]) -> int:
    if "--compose" in arguments:
        return compose([one for one in arguments if one != "--compose"])
    if arguments:
        become([sys.executable, "-m", "pytest", *arguments])
    return run([*static(), *suites()])


def suites() -> list[Step]:
    """One step for each folder of tests that has any."""
    present = [name for name in FOLDERS if any((ROOT / "tests" / name).rglob("test_*.py"))]
    return [pytest(f"{name} tests", f"tests/{name}", workers=FOLDERS[name]) for name in present]


def compose(arguments: Sequence[str]) -> int:
    """The system journeys against the images; says what is missing instead of failing half-way."""
    lacking = []
    if not (ROOT / "docker-compose.yml").is_file():
        lacking.append("docker-compose.yml, which this tree does not have yet")
    if not any((ROOT / "tests" / "compose").rglob("test_*.py")):
        lacking.append("tests/compose, which has no tests yet")
    lacking += _docker_lacks()
    if lacking:
        sys.stderr.write("dev: ./dev test --compose cannot run here; it needs\n" + "".join(f"  - {one}\n" for one in lacking))
        sys.stderr.write("Everything else passes without Docker: ./dev test\n")
        return 69
    return run([pytest("compose tests", "tests/compose", *arguments, workers=1)])


def _docker_lacks() -> list[str]:
    try:
        version = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, timeout=20, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ["Docker: there is no docker command on the PATH, or it does not answer"]
    if version.returncode:
        reason = (version.stderr.strip().splitlines() or ["no answer"])[-1]
        return [f"a Docker engine that runs ({reason})"]
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return [] if plugin.returncode == 0 else ["docker compose, version 2"]
