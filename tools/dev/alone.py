"""Run Python in a copy of the tree that has one service and the common base: a hidden thread to a neighbour breaks its unit tests there.

`python -m tools.dev.alone SERVICE -m pytest tests/unit/SERVICE`
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.dev.environment import heeded
from tools.dev.steps import ROOT

BESIDE = ("pyproject.toml", "services/common", "tests/conftest.py", "tests/support", "tools/dev/containers.py", "docs", "deploy")
_STOPS_WITHIN_S = 25.0  # before `steps` loses patience


def services() -> list[str]:
    """Return the names of all services: the folders beside `common` that have code."""
    return sorted(path.name for path in (ROOT / "services").iterdir() if path.name != "common" and any(path.glob("*.py")))


def copy(service: str, target: Path) -> None:
    """Copy into an empty folder what the unit tests of a service may need. Raises OSError."""
    for name in (*BESIDE, f"services/{service}", f"tests/unit/{service}"):
        source, to = ROOT / name, target / name
        to.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(source, to)


def main(arguments: Sequence[str]) -> int:
    """Return the exit status of the command. A signal ends it, and the copy is removed."""
    service, *command = arguments

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    for number in heeded():
        signal.signal(number, stop)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # it may lead to the neighbours
    with tempfile.TemporaryDirectory(prefix=f"gatehouse-{service}-", ignore_cleanup_errors=True) as folder:
        copy(service, Path(folder))
        with subprocess.Popen([sys.executable, *command], cwd=folder, env=env, stdin=subprocess.DEVNULL) as process:
            try:
                return process.wait()
            except KeyboardInterrupt:
                for number in heeded():
                    signal.signal(number, signal.SIG_IGN)
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STOPS_WITHIN_S)
                process.kill()
                return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
