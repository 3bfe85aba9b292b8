"""What keeps the auth service from starting is said in one line, without a trace."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.processes import migrate, run_program
from tests.support.waiting import free_port
from tests.system.test_auth_service import environment


def start(status: int, **env: str) -> str:
    """Start it and give what it writes; it must end by itself, with that status."""
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.service.py", "services.auth.wsgi:app"]
    env |= {"PATH": "/usr/bin", "AUTH_BIND": f"127.0.0.1:{free_port()}"}
    done = run_program(command, env)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    return done.stderr


def test_wrong_settings() -> None:
    said = start(78, AUTH_TREADS="5", AUTH_WORKERS="none")
    assert "AUTH_TREADS is not a setting of this service; did you mean AUTH_THREADS?" in said
    assert "AUTH_WORKERS must be a whole number" in said


def test_the_master_key_of_another_house(database_url: str, tmp_path: Path) -> None:
    env = environment(database_url, tmp_path)
    migrate("auth", env)
    assert run_program([sys.executable, "-m", "services.auth.cli", "rotate-keys"], env).returncode == 0
    said = start(3, **{**env, "AUTH_MASTER_KEY": "another master key of more than 32 letters"})
    assert "auth: cannot start: signing key cannot be opened with this master key\n" in said


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"AUTH_DATA": "/dev/null/auth"}, "Not a directory: /dev/null/auth; choose another path in its settings"),
        (
            {"AUTH_ADMIN_EMAIL": "first@gatehouse.example", "AUTH_ADMIN_PASSWORD": "first@gatehouse.example"},
            "some fields are not valid: password: Is the e-mail address.",
        ),
    ],
    ids=["folder", "administrator"],
)
def test_settings_that_cannot_be_lived_with(sqlite_url: str, tmp_path: Path, settings: dict[str, str], reason: str) -> None:
    env = environment(sqlite_url, tmp_path)
    migrate("auth", env)
    assert f"auth: cannot start: {reason}\n" in start(3, **{**env, **settings})
