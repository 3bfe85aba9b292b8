"""`./dev test --compose`: what it lacks is said, and no test runs a program on this machine while it claims to run it in a container."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import containers
from tools.dev import test as command

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = ROOT / "tests" / "system"
GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.service.py", "services.tokens.wsgi:app"]


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("docker", "compose", "lacks"),
    [
        (None, None, "there is no docker command"),
        ("echo 'no engine at unix:///x' >&2; exit 1", None, "a Docker engine that runs (no engine at unix:///x)"),
        ('[ "$1" = version ]', None, "docker compose, version 2, or docker-compose, from 1.29"),
        ('[ "$1" = version ]', "exit 0", None),
        ("exit 0", None, None),
    ],
    ids=["no command", "no engine", "no compose", "compose as a command", "compose as a plugin"],
)
def test_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker: str | None, compose: str | None, lacks: str | None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, script in (("docker", docker), ("docker-compose", compose)):
        if script is not None:
            program(tmp_path, name, script)
    said = command._docker_lacks()
    assert [lacks in one for one in said] == [True] if lacks else said == []


def test_nothing_but_the_support_starts_programs() -> None:
    """A test that started one by itself would start it on this machine, also where the programs are to be in containers."""

    def imported(path: Path) -> set[str]:
        nodes = list(ast.walk(ast.parse(path.read_text())))
        plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
        return plain | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}

    by_themselves = {"subprocess", "tests.support.house", "tests.support.installation", "tests.support.runbooks"}
    starting = {path.name for path in SYSTEM.glob("*.py") if imported(path) & by_themselves}
    assert starting == set(containers.LEFT_OUT)


@pytest.mark.parametrize(
    ("arguments", "env", "service"),
    [
        (GUNICORN[1:], {}, "tokens"),
        (["-m", "services.common.migrate", "devices"], {}, "devices"),
        (["-m", "services.auth.cli", "rotate-keys"], {}, "auth"),
        (["-m", "gunicorn", "tests.support.environ_echo:app"], {"SERVICE": "sessions"}, "sessions"),
    ],
)
def test_a_program_runs_in_the_image_of_its_service(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], env: dict[str, str], service: str
) -> None:
    started = containers.Counter[str]()
    monkeypatch.setattr(containers, "STARTED", started)
    monkeypatch.setattr(containers, "TAG", "t")
    made = containers.Container([sys.executable, *arguments], env).command
    image = made.index(f"gatehouse/{service}:t")
    assert made[image + 1 :] == ["python", *arguments]
    assert started == {service: 1}


def test_a_container_gets_the_settings_and_the_folders_that_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "STARTED", containers.Counter())
    monkeypatch.setenv("OF_THE_HOST", "x")
    monkeypatch.setattr(containers.tempfile, "gettempdir", lambda: str(tmp_path))
    env = {**os.environ, "TOKENS_DATABASE_URL": f"sqlite:///{tmp_path}/one/tokens.db", "TOKENS_BIND": "127.0.0.1:1"}
    made = containers.Container(GUNICORN, env, tmp_path / "two" / "deep" / "log").command
    assert [one for one in made if one.startswith("--env=")] == [
        f"--env=TOKENS_DATABASE_URL=sqlite:///{tmp_path}/one/tokens.db",
        "--env=TOKENS_BIND=127.0.0.1:1",
    ]
    assert {f"--volume={tmp_path / name}:{tmp_path / name}" for name in ("one", "two")} <= set(made)


def test_a_run_that_starts_no_container_fails() -> None:
    alone = "test_devices_mounts.py::test_the_two_definitions_differ_in_their_place_alone"
    env = {**os.environ, "GATEHOUSE_IMAGES_TAG": "none", "GATEHOUSE_TESTS_RUN": "of a test"}
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:schemathesis", f"tests/system/{alone}"]
    done = subprocess.run(run, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1, done.stdout
    assert re.search(r"^0 started of gatehouse/SERVICE:none\nFAILED: no test started a container$", done.stdout, re.M)
    assert "1 passed" in done.stdout
