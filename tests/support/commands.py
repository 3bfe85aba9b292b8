"""Programs that are not the project's, such as curl and openssl: they run on this machine, wherever the services run."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, folder: Path | None = None, within: float = 60.0) -> str:
    """Run a command to its end and return what it printed. within: seconds. env: all of it, None = that of the tests.

    Raises AssertionError with all that it printed when it fails.
    """
    done = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=within
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
