"""`./dev check`: lint, format, imports, types, architecture, unit tests on SQLite. `./dev test` runs the unit tests on PostgreSQL too."""

from __future__ import annotations

import sys

from tools.dev.steps import Step, run, tool

UNIT_PROCESSES = 3  # on two cores: what one test waits for, another computes in
SPARED = ("-p", "no:schemathesis")  # the contract tests' plugin: importing it takes a second of each other process


def static(*, machine_code: bool = True) -> list[Step]:
    """Return the steps that run no test. machine_code: whether to look if the data plane can be compiled."""
    steps = [
        Step("lint", [tool("ruff"), "check", "."]),
        Step("format", [tool("ruff"), "format", "--check", "."]),
        Step("imports", [tool("lint-imports"), "--no-logo"]),
        Step("types", [tool("mypy")], beside=True),
    ]
    if machine_code:
        steps.append(Step("machine code", [sys.executable, "-m", "tools.machine_code", "--check"], beside=True))
    return steps


def pytest(name: str, *arguments: str, workers: int = 2, by_file: bool = False, retry_alone: bool = False) -> Step:
    """Return a run of pytest in `workers` processes; tests of one xdist_group stay in one process.

    by_file: those of one file do, because they share a server. retry_alone: run what failed once more (tests/support/retrying.py).
    """
    parallel = ["-n", str(workers), "--dist", "loadfile" if by_file else "loadgroup"] if workers > 1 else []
    program = "tests.support.retrying" if retry_alone else "pytest"
    return Step(name, [sys.executable, "-m", program, "-q", *parallel, *arguments], quiet=False)


def main(arguments: list[str]) -> int:
    if arguments:
        sys.stderr.write("dev: check takes no arguments; ./dev test narrows\n")
        return 64
    chosen = [*SPARED, "-m", "not slow", "-k", "not postgresql", "tests/architecture", "tests/unit"]
    return run([*static(), pytest("architecture and unit tests", *chosen, workers=UNIT_PROCESSES)])
