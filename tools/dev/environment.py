"""Make `.venv` with the pinned requirements, then run the command in it. Standard library only: it runs before anything is installed.

The environment holds a stamp: the hash of requirements/dev.txt and the interpreter. While it fits, a start costs a few milliseconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".requirements"
REQUIREMENTS = ROOT / "requirements" / "dev.txt"
EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h

_NO_NETWORK = re.compile(
    r"name resolution|NewConnectionError|ConnectTimeout|Network is unreachable|Connection refused|Max retries|ProxyError|No address", re.I
)
_PACKAGE = re.compile(r"(?:Collecting|Processing|Requirement already satisfied:) (?:/\S*/)?([\w.-]+)")


def stop(*lines: str) -> NoReturn:
    """Say why the environment cannot be made, and end."""
    sys.stderr.write("dev: " + "\n     ".join(lines) + "\n")
    raise SystemExit(EXIT_UNAVAILABLE)


def wanted_stamp() -> str:
    """What the stamp says when the environment is as the requirements want it."""
    return f"{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()} {PYTHON.resolve()}\n"


def ready() -> bool:
    with contextlib.suppress(OSError):
        return PYTHON.exists() and STAMP.read_text() == wanted_stamp()
    return False


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Two runs that start at once wait for each other: a lock on the project's folder, gone with the process."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _make() -> None:
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        stop(
            f"{sys.executable} has no venv module, so .venv cannot be made.",
            f"On Debian and Ubuntu: apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv",
        )
    print("dev: making .venv", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False)
    if made.returncode:
        stop("could not make .venv:", *(made.stderr or made.stdout).strip().splitlines()[-3:])


def _usable() -> bool:
    """Whether .venv runs at all, with a Python that is new enough."""
    if not PYTHON.exists():
        return False
    question = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([str(PYTHON), "-c", question], capture_output=True, check=False).returncode == 0


def _install() -> None:
    total = len(re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==", REQUIREMENTS.read_text(), re.M))
    print(f"dev: installing {total} pinned packages from requirements/dev.txt", flush=True)
    command = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--require-hashes",
        "--disable-pip-version-check",
        "--no-input",
        "-r",
        str(REQUIREMENTS),
    ]
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert pip.stdout is not None
    last: list[str] = []
    seen = 0
    try:
        for line in pip.stdout:
            last = [*last[-40:], line.rstrip()]
            package = _PACKAGE.match(line.strip())
            if package:
                seen += 1
                _progress(seen, total, package[1])
            elif line.startswith("Installing collected packages"):
                _progress(total, total, "unpacking")
        status = pip.wait()
    except KeyboardInterrupt:
        pip.wait()
        raise
    if sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)
    if status:
        errors = [line for line in last if "ERROR" in line] or last[-5:]
        if any(_NO_NETWORK.search(line) for line in last):
            stop(
                "the package index could not be reached; is there a network? (pip's own settings apply: PIP_INDEX_URL, proxies)",
                *errors[-2:],
            )
        stop("pip could not install requirements/dev.txt:", *errors[-5:])


def _progress(seen: int, total: int, name: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K  [{min(seen, total):3d}/{total}] {name}", end="", flush=True)
    elif seen % 25 == 0 or name == "unpacking":
        print(f"  [{min(seen, total):3d}/{total}] {name}", flush=True)


def ensure() -> None:
    """Leave `.venv` as the requirements want it; ends the process with a reason when that cannot be."""
    if ready():
        return
    with _alone():
        if ready():  # another run has just done it
            return
        if not _usable():
            _make()
        _install()
        STAMP.write_text(wanted_stamp())


def main() -> NoReturn:
    os.chdir(ROOT)
    if sys.argv[1:] not in ([], ["help"], ["--help"], ["-h"]):
        ensure()
        os.execv(PYTHON, [str(PYTHON), "-m", "tools.dev", *sys.argv[1:]])
    os.environ["PYTHONPATH"] = str(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "tools.dev", "help"])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
