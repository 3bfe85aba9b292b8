"""`./dev test --retry-alone`: run a test that failed once more, alone; one that passes then is flaky and does not fail the run.

Each is reported by a line that begins with FLAKY, so that it gets fixed.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from tests.support.processes import ROOT

MOST = 10
_STOPS_WITHIN_S = 30.0


class Failures:
    """A plugin of pytest that notes what fails.

    last_lines: by test, the last line of its first failure. unfinished: not every test was collected and run.
    """

    def __init__(self) -> None:
        self.last_lines: dict[str, str] = {}
        self.unfinished = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            lines = report.longreprtext.strip().splitlines()
            self.last_lines.setdefault(_node(report), lines[-1].strip() if lines else "")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.unfinished |= report.failed

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.unfinished |= bool(session.shouldfail or session.shouldstop)


def _node(report: pytest.TestReport) -> str:
    """Return the test as a command line names it: xdist puts `@` and its group behind it."""
    node, at, _ = report.nodeid.rpartition("@")
    name = report.location[2]
    return node if at and node.endswith((name, name.replace(".", "::"))) else report.nodeid


def run(arguments: Sequence[str], *, alone: Callable[[str], bool] | None = None) -> int:
    """Run pytest, then each test that failed; return the exit status. alone: for tests; runs one and says whether it passed."""
    failures = Failures()
    status = int(pytest.main([*arguments], plugins=[failures]))
    failed = failures.last_lines
    if status != pytest.ExitCode.TESTS_FAILED or failures.unfinished or not failed:
        return status
    if len(failed) > MOST:
        print(f"{len(failed)} tests failed: none is run again, which is done for {MOST} at most", flush=True)
        return status
    flaky = [node for node in failed if (alone or _passes_alone)(node)]
    for node in flaky:
        file, _, name = node.partition("::")
        print(f"FLAKY {name} ({file}): {failed[node]}", flush=True)
    return status if len(flaky) < len(failed) else 0


def _passes_alone(node: str) -> bool:
    print(f"\n── again, alone: {node}", flush=True)
    with subprocess.Popen([sys.executable, "-m", "pytest", "-q", node], cwd=ROOT, stdin=subprocess.DEVNULL) as process:
        try:
            return process.wait() == 0
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOPS_WITHIN_S)
            process.kill()
            raise


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
