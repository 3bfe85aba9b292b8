"""`./dev test`: everything that passes without Docker; with arguments, pytest with these; with --compose, against the containers.

With --retry-alone, a test that fails and passes when it is run again alone does not fail the run (tests/support/retrying.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

from tools import machine_code
from tools.dev import alone, containers, images
from tools.dev.check import SPARED, UNIT_PROCESSES, pytest, static
from tools.dev.steps import ROOT, Step, become, run

# folder → processes; a browser has the machine to itself
FOLDERS = {"architecture": 2, "unit": UNIT_PROCESSES, "contract": 2, "system": 3, "conformance": 1, "console": 1}
# The system tests that run in containers too: of what is another thing there, as start, end, files, secrets, stores and memory. What the
# programs answer is the same there, and takes longer to ask.
IN_CONTAINERS = (
    "auth_service", "auth_start_refused", "devices_killed", "devices_start_refused", "gateway_changes", "gateway_files_source",
    "gateway_memory", "gateway_shared_counters", "gateway_start_refused", "gateway_store_frozen", "gateway_succession",
    "gateway_wire_lifecycle", "gateway_wire_tls", "metrics_of_workers", "mobility_killed", "secrets_at_rest", "sessions_secrets",
    "stopping", "stores_frozen", "tokens_service",
)  # fmt: skip
ALONE = "system"  # the folder whose tests marked `alone`, which measure or fill the machine, run after the others, one by one


def main(arguments: Sequence[str]) -> int:
    retry_alone = "--retry-alone" in arguments
    rest = [one for one in arguments if one not in ("--compose", "--retry-alone")]
    if "--compose" in arguments:
        return compose(rest, retry_alone=retry_alone)
    if rest:
        become([sys.executable, "-m", "tests.support.retrying" if retry_alone else "pytest", *rest])
    interpreted = [_with("GATEWAY_COMPILED=0", step) for step in suites(retry_alone=retry_alone)]
    compiled = compiled_suites(retry_alone=retry_alone)
    return run([*static(machine_code=not compiled), *interpreted, *compiled])


def suites(*, retry_alone: bool = False) -> list[Step]:
    """Return one step for each folder of tests that has any, and of the unit tests one for each service."""
    present = [name for name in FOLDERS if any((ROOT / "tests" / name).rglob("test_*.py"))]
    steps = []
    for name in present:
        if name == "unit":
            steps += _unit_tests(retry_alone=retry_alone)
            continue
        spared = () if name == "contract" else SPARED
        whole = [f"tests/{name}", *spared, *(("-m", "not alone") if name == ALONE else ())]
        steps.append(pytest(f"{name} tests", *whole, workers=FOLDERS[name], by_file=name == ALONE, retry_alone=retry_alone))
        if name == ALONE:
            steps.append(pytest(f"{name} tests, alone", f"tests/{name}", *spared, "-m", "alone", workers=1, retry_alone=retry_alone))
    return steps


def _unit_tests(*, retry_alone: bool) -> list[Step]:
    """Return the steps: those of each service run in a copy of the tree without its neighbours, then those that are of no service."""

    def step(name: str, *folders: str) -> Step:
        return pytest(name, *folders, *SPARED, workers=FOLDERS["unit"], retry_alone=retry_alone)

    services = alone.services()
    steps = [step(f"unit tests of {name}, without its neighbours", f"tests/unit/{name}") for name in services]
    steps = [
        replace(one, command=[sys.executable, "-m", "tools.dev.alone", name, *one.command[1:]])
        for name, one in zip(services, steps, strict=True)
    ]
    folders = sorted(path for path in (ROOT / "tests" / "unit").iterdir() if path.name not in services and any(path.rglob("test_*.py")))
    return [*steps, step("other unit tests", *(str(path.relative_to(ROOT)) for path in folders))]


def compiled_suites(*, retry_alone: bool = False) -> list[Step]:
    """Return the steps that compile the data plane, and test through it what asks the gateway; none where it cannot be compiled, and why.

    Unit tests are not among them: they put other things in the place of methods, which compiled classes do not let them.
    """
    try:
        machine_code.compiler()
    except machine_code.Failed as reason:
        _say(f"the compiled data plane is not tested: {reason}")
        return []
    tests = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "system").glob("test_gateway_*.py"))
    chosen = [*tests, "-m", "not alone"]
    steps = [
        pytest("gateway tests, compiled", *chosen, *SPARED, workers=3, by_file=True, retry_alone=retry_alone),
        pytest("conformance tests, compiled", "tests/conformance", *SPARED, "-k", "not four", workers=1, retry_alone=retry_alone),
    ]
    build = Step("compile the data plane", [sys.executable, "-m", "tools.machine_code"])
    return [build, *(_with("GATEWAY_COMPILED=1", step) for step in steps)]


def _with(setting: str, step: Step) -> Step:
    return replace(step, command=["env", setting, *step.command])


def compose(arguments: Sequence[str], *, retry_alone: bool = False) -> int:
    """Build the images and run the tests against them; says what is missing instead of failing half-way."""
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
    try:
        chosen = images.build(_say)
    except images.Impossible as reason:
        _say(f"./dev test --compose cannot run here: {reason}")
        return 69
    mine = str(os.getpid())
    os.environ.update(chosen, GATEHOUSE_IMAGES_TAG=images.TAG, GATEHOUSE_TESTS_RUN=mine)
    try:
        return run(_container_suites(arguments, retry_alone=retry_alone))
    finally:
        containers.remove(mine)


def _container_suites(arguments: Sequence[str], *, retry_alone: bool) -> list[Step]:
    """Return the steps: the journeys of a house in containers, then system tests, each of whose programs is a container."""
    if arguments:
        return [pytest("tests in containers", *arguments, workers=1, retry_alone=retry_alone)]
    files = [f"tests/{ALONE}/test_{name}.py" for name in IN_CONTAINERS]
    chosen = [*files, *SPARED, "-k", "not sqlite"]  # a house in containers has PostgreSQL
    return [
        pytest("compose tests", "tests/compose", *SPARED, workers=1, retry_alone=retry_alone),
        pytest("system tests in containers", *chosen, "-m", "not alone", workers=3, by_file=True, retry_alone=retry_alone),
        pytest("system tests in containers, alone", *chosen, "-m", "alone", workers=1, retry_alone=retry_alone),
    ]


def _say(text: str) -> None:
    sys.stderr.write(f"dev: {text}\n")
    sys.stderr.flush()


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
    found = any(_succeeds(*command, "version") for command in (("docker", "compose"), ("docker-compose",)))
    return [] if found else ["docker compose, version 2, or docker-compose, from 1.29"]


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
