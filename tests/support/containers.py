"""The programs of a test in containers of the images: `GATEHOUSE_IMAGES_TAG=local pytest tests/system`.

With that variable, `tests.support.processes` starts each program of a service in a container of `gatehouse/SERVICE:TAG`, closed as in
docker-compose.yml, and the tests stay as they are: the network is that of this machine, and the folders that the settings name are at the
same paths. The account is that of the tests, not the image's own: it writes files that the tests read, and reads those that they write.
Signals go to the container's first process as this machine sees it, so the tests run as root or as that account, beside the engine.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait_until
from tools.dev.containers import LABEL, remove

TAG = os.environ.get("GATEHOUSE_IMAGES_TAG", "")
# Whose containers they are: those of the run that started this process, or of this process.
RUN = os.environ.get("GATEHOUSE_TESTS_RUN") or str(os.getpid())
STARTED: Counter[str] = Counter()

_RUNBOOKS = "its commands are those for an installation without containers; tests/compose runs the others"
# file of tests/system → why what it starts is not in a container
LEFT_OUT = {
    "test_bench_attacks.py": "the load suite starts its programs itself, on this machine",
    "test_bench_workers.py": "the load suite starts its programs itself, on this machine",
    "test_dev_up.py": "`./dev up` is how the programs start without containers",
    "test_observability.py": "Prometheus reaches what it watches on this machine",
    "test_runbooks_backup.py": _RUNBOOKS,
    "test_runbooks_postgresql.py": _RUNBOOKS,
    "test_runbooks_rotation.py": _RUNBOOKS,
    "test_runbooks_upgrade.py": _RUNBOOKS,
}

_ROOT = Path(__file__).resolve().parents[2]
_CLOSED = ("--read-only", "--tmpfs=/tmp", "--tmpfs=/app/var:mode=1777", "--cap-drop=ALL", "--security-opt=no-new-privileges")
_MEMORY = Path("/dev/shm")
_SERVICE = re.compile(r"services\.(?!common\b)(\w+)")
_PATH = re.compile(r"/[^\s?,;:'\"]+")
_OF_THE_HOST = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")
_START_S = 60.0
_numbers = itertools.count(1)


class Container:
    """A container that `command`, a child of the tests, starts, waits for and removes. The exit status is that of the program."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path | None = None) -> None:
        """command: of a Python program, as this machine would run it. log: a file for what it writes, which then is there at once."""
        service = _service(command, env)
        STARTED[service] += 1
        self._name = f"gatehouse-tests-{os.getpid()}-{next(_numbers)}-{service}"
        self._pid = 0
        given = {name: value for name, value in env.items() if name not in _OF_THE_HOST and os.environ.get(name) != value}
        to_log = ("sh", "-c", 'exec "$@" >>"$0" 2>&1', str(log)) if log else ()
        self.command = [
            *("docker", "run", "--rm", f"--name={self._name}", f"--label={LABEL}={RUN}", "--log-driver=none", "--no-healthcheck"),
            *(*_CLOSED, "--pids-limit=2048", "--network=host", f"--user={os.getuid()}:{os.getgid()}"),
            *(f"--volume={folder}:{folder}" for folder in sorted(_folders([str(log), *given.values()]))),
            *([f"--volume={_ROOT}/tests:/app/tests:ro"] if any(one.startswith("tests.") for one in command) else []),
            *(f"--env={name}={value}" for name, value in given.items()),
            *(f"gatehouse/{service}:{TAG}", *to_log, "python", *command[1:]),
        ]

    def pid(self, ended: Callable[[], bool]) -> int:
        """Return the id of its first process on this machine, after its start; 0 when it has ended. ended: whether `command` has."""

        def started() -> bool:
            command = ["docker", "container", "inspect", "--format", "{{.State.Pid}}", self._name]
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
            self._pid = int(said or "0")  # nothing is said of one that is not there yet
            return bool(self._pid) or ended()

        if not self._pid:
            wait_until(started, _START_S, f"the start of {self._name}", pause=0.05)
        return 0 if ended() else self._pid


def _service(command: Sequence[str], env: Mapping[str, str]) -> str:
    """Return whose image has the program."""
    named = [found[1] for one in command if (found := _SERVICE.match(one))]
    if "services.common.migrate" in command:
        named.append(command[-1])
    return named[0] if named else env["SERVICE"]


def _folders(texts: Iterable[str]) -> set[Path]:
    """Return the folders that hold what the texts name: those right below that of temporary files, and the one in memory."""
    temporary = Path(tempfile.gettempdir())
    found = {_MEMORY} if _MEMORY.is_dir() else set()
    for path in (Path(one) for text in texts for one in _PATH.findall(text)):
        if path.is_relative_to(temporary) and path != temporary:
            found.add(temporary / path.relative_to(temporary).parts[0])
    return found


class Plugin:
    """Leaves out what does not run in containers, counts those that were started, and fails a run that started none."""

    def __init__(self) -> None:
        self._left_out: Counter[str] = Counter()
        self._ran = 0

    def pytest_report_header(self) -> str:
        return f"programs of the services: in containers of gatehouse/SERVICE:{TAG}"

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        leaving = [item for item in items if item.path.name in LEFT_OUT]
        self._left_out.update(item.path.name for item in leaving)
        items[:] = [item for item in items if item.path.name not in LEFT_OUT]
        config.hook.pytest_deselected(items=leaving)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._ran += report.when == "call"

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a process of pytest-xdist has counted."""
        output = getattr(node, "workeroutput", {})
        STARTED.update(output.get("containers", {}))
        self._left_out = Counter(output.get("left_out", self._left_out))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output.update(containers=dict(STARTED), left_out=dict(self._left_out))
        elif self._ran and not STARTED:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if str(os.getpid()) == RUN:
            remove(RUN)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        counted = ", ".join(f"{service} {number}" for service, number in sorted(STARTED.items()))
        terminalreporter.section("containers")
        terminalreporter.line(f"{sum(STARTED.values())} started of gatehouse/SERVICE:{TAG}" + (f": {counted}" if counted else ""))
        for file, number in sorted(self._left_out.items()):
            terminalreporter.line(f"not run: {number} tests of {file}: {LEFT_OUT[file]}")
        if self._ran and not STARTED:
            terminalreporter.line("FAILED: no test started a container", red=True)
