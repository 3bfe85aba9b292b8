"""Each service's unit tests pass with only the common base beside it: no hidden thread to a neighbour.

On SQLite and without the slow ones: what a service needs beside it does not depend on the store, and the unit step runs them all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if path.name != "common" and any(path.glob("*.py")))
LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules")


def _copy(name: str, target: Path) -> None:
    source = ROOT / name
    target = target / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=LEFT_OUT)
    else:
        shutil.copy(source, target)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("service", SERVICES)
def test_unit_tests_pass_alone(service: str, tmp_path: Path) -> None:
    if not any((ROOT / "tests" / "unit" / service).rglob("test_*.py")):
        pytest.fail(f"services/{service} has no unit tests")
    shared = ["pyproject.toml", "services/common", "tests/conftest.py", "tests/support", "tools/dev/containers.py", "docs", "deploy"]
    for name in [*shared, f"services/{service}", f"tests/unit/{service}"]:
        _copy(name, tmp_path)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:schemathesis",
        "-n",
        "2",
        "-m",
        "not slow",
        "-k",
        "not postgresql and not valkey",
        f"tests/unit/{service}",
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHONPATH"))}
    done = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
