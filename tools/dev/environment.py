"""Make `.venv` with the pinned requirements, then run the command in it. Standard library only: it runs before anything is installed.

There are three sets: what runs (for `up` and the command lines), what compiles besides (for `build`), and what the developers' commands
need, which holds both. A stamp of each says that it is installed: the hash of its files and the interpreter. While one fits, a start costs
a few milliseconds. Going from one set to another adds and never removes.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    import os
    import signal

    # `dev` starts this with a silent standard error, so that Ctrl-C in the interpreter's first moments leaves no stack trace; the real
    # one waits as descriptor 3.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.dup2(3, 2)
    os.close(3)

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"
EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_FIRST_ENTRIES_OF_A_VENV = {"bin", "include", "lib", "lib64", "pyvenv.cfg"}
_NO_NETWORK = re.compile(
    r"name resolution|NewConnectionError|ConnectTimeout|Network is unreachable|Connection refused|Max retries|ProxyError|No address", re.I
)
_PACKAGE = re.compile(r"(?:Collecting|Processing|Requirement already satisfied:) (?:/\S*/)?([\w.-]+)")


@dataclass(frozen=True)
class Packages:
    """A set of packages: what it is called, its files in requirements/, and the stamp that says that it is installed."""

    what: str
    files: tuple[str, ...]
    stamp: str

    def content(self) -> bytes:
        return b"".join((REQUIREMENTS / file).read_bytes() for file in self.files)


RUN = Packages("that the gateway and its services need", ("base.txt", "valkey.txt"), ".requirements-run")
DEVELOP = Packages("for tests and checks", ("dev.txt",), ".requirements")
BUILD = Packages("that compile the gateway", ("base.txt", "valkey.txt", "build.txt"), ".requirements-build")
NEEDED = {
    **dict.fromkeys(("up", "auth", "gateway", "mobility", "backup", "restore", "reseal"), RUN),
    "build": BUILD,
    **dict.fromkeys(("test", "check", "bench"), DEVELOP),
}


def heeded() -> list[signal.Signals]:
    """Of STOPPING, those that end a command. `nohup` has the end of the terminal ignored, and so it stays."""
    return [one for one in STOPPING if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]


def stop(*lines: str) -> NoReturn:
    """Say why the environment cannot be made, and end."""
    sys.stderr.write("dev: " + "\n     ".join(lines) + "\n")
    raise SystemExit(EXIT_UNAVAILABLE)


def wanted_stamp(packages: Packages) -> str:
    """Return what the stamp says when the environment is as the requirements want it."""
    return f"{hashlib.sha256(packages.content()).hexdigest()} {PYTHON.resolve()}\n"


def _fits(packages: Packages) -> bool:
    with contextlib.suppress(OSError):
        return (VENV / packages.stamp).read_text() == wanted_stamp(packages)
    return False


def ready(packages: Packages) -> bool:
    """Say whether the set is installed, by itself or as a part of the larger one."""
    return PYTHON.exists() and any(_fits(one) for one in (packages, DEVELOP))


@contextlib.contextmanager
def _alone() -> Iterator[int]:
    """Two runs that start at once wait for each other: a lock on the folder that holds `.venv`, gone with the process.

    Gives its descriptor: what installs inherits it, so that an installer whose parent was killed is waited for as well.
    """
    folder = os.open(VENV.resolve().parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another ./dev makes .venv; waiting for it")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(folder)


def _say(text: str) -> None:
    """The standard output belongs to the command that follows."""
    sys.stderr.write(f"dev: {text}\n")


class Installer:
    """A program that changes `.venv`. An exception while it is read or waited for ends it, with all that it started."""

    def __init__(self, command: Sequence[str], lock: int) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0, pass_fds=(lock,)
        )

    def result(self, told: Callable[[str], None] = lambda line: None) -> int:
        """Wait for it; return its exit status. `lines` has the end of what it wrote, and `told` gets each line."""
        assert self._process.stdout is not None
        try:
            with self._process.stdout as output:
                for line in output:
                    self.lines = [*self.lines[-40:], line.rstrip()]
                    told(line.strip())
            return self._process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise


def _make(lock: int) -> None:
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        stop(
            f"{sys.executable} has no venv module, so .venv cannot be made.",
            f"On Debian and Ubuntu: apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv",
        )
    _say("making .venv")
    installer = Installer([sys.executable, "-m", "venv", "--clear", str(VENV)], lock)
    if installer.result():
        stop("could not make .venv:", *installer.lines[-3:])


def _refuse_foreign() -> None:
    """Making an environment empties its folder: nothing but an environment, whole or begun, may be there."""
    if VENV.is_symlink() and not VENV.exists():
        stop(f".venv is a link to {os.readlink(VENV)}, which is not there. Create that folder, or remove the link: rm {VENV}")
    if not VENV.exists() or (VENV / "pyvenv.cfg").exists():
        return
    if not VENV.is_dir() or {entry.name for entry in VENV.iterdir()} - _FIRST_ENTRIES_OF_A_VENV:
        stop(f"{VENV} holds something other than a virtual environment. Move it away; ./dev makes its own there.")


def _installed(name: str) -> list[Path]:
    return list(VENV.glob(f"lib/python*/site-packages/{name}.dist-info"))


def _forget_unfinished() -> None:
    """Take away what says that a package is installed where an installer was ended in the middle: it writes RECORD last."""
    for entry in _installed("*"):
        if not (entry / "RECORD").exists():
            shutil.rmtree(entry)


def _usable() -> bool:
    """Whether .venv runs at all, with a Python that is new enough and a whole pip."""
    if not PYTHON.exists() or not _installed("pip-*"):
        return False
    question = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([str(PYTHON), "-c", question], capture_output=True, check=False).returncode == 0


def _install(packages: Packages, lock: int) -> None:
    total = len(re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==", packages.content().decode(), re.M))
    files = [f"requirements/{file}" for file in packages.files]
    _say(f"installing {total} pinned packages {packages.what} ({', '.join(files)})")
    command = [str(PYTHON), "-m", "pip", "install", "--require-hashes", "--disable-pip-version-check", "--no-input"]
    for file in files:
        command += ["-r", str(ROOT / file)]
    seen = 0

    def told(line: str) -> None:
        nonlocal seen
        package = _PACKAGE.match(line)
        if package:
            seen += 1
            _progress(seen, total, package[1])
        elif line.startswith("Installing collected packages"):
            _progress(total, total, "unpacking")

    installer = Installer(command, lock)
    try:
        status = installer.result(told)
    finally:
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
    if status:
        last = installer.lines
        errors = [line for line in last if "ERROR" in line] or last[-5:]
        if any(_NO_NETWORK.search(line) for line in last):
            stop(
                "the package index could not be reached; is there a network? (pip's own settings apply: PIP_INDEX_URL, proxies)",
                *errors[-2:],
            )
        stop(f"pip could not install {', '.join(files)}:", *errors[-5:])


def _progress(seen: int, total: int, name: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K  [{min(seen, total):3d}/{total}] {name}")
        sys.stderr.flush()
    elif seen % 25 == 0 or name == "unpacking":
        sys.stderr.write(f"  [{min(seen, total):3d}/{total}] {name}\n")


def ensure(packages: Packages) -> None:
    """Leave `.venv` with that set; ends the process with a reason when that cannot be. An installation that was interrupted is finished."""
    _refuse_foreign()
    with _alone() as lock:
        if ready(packages):  # another run has just done it
            return
        _forget_unfinished()
        if not _usable():
            _make(lock)
        for one in (RUN, BUILD, DEVELOP):
            if not _fits(one):  # nor will it when the installation that begins here ends half-way
                (VENV / one.stamp).unlink(missing_ok=True)
        _install(packages, lock)
        (VENV / packages.stamp).write_text(wanted_stamp(packages))


def _interrupt(number: int, _: object) -> NoReturn:
    for one in STOPPING:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def _ensure_or_stop(packages: Packages) -> None:
    for number in heeded():
        signal.signal(number, _interrupt)
    try:
        ensure(packages)
    except KeyboardInterrupt as interrupt:
        _say("stopped while making .venv; the next start goes on with it")
        raise SystemExit(128 + interrupt.args[0]) from None
    except OSError as error:
        stop(f".venv cannot be made: {error}")


def _needed(arguments: Sequence[str]) -> Packages | None:
    """What a command needs; None when the standard library is enough, as for help and for a command that there is not."""
    if arguments[:1] == ["up"] and {"-h", "--help"} & set(arguments):
        return None
    return NEEDED.get(arguments[0]) if arguments else None


def main() -> NoReturn:
    os.chdir(ROOT)
    packages = _needed(sys.argv[1:])
    if packages is None:
        python = sys.executable
        os.environ["PYTHONPATH"] = str(ROOT)
    else:
        python = str(PYTHON)
        if not ready(packages):
            _ensure_or_stop(packages)
    # Until tools.dev is there to hear them, these signals wait.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    os.execv(python, [python, "-m", "tools.dev", *sys.argv[1:]])


if __name__ == "__main__":
    main()
