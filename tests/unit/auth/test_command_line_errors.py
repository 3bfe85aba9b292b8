"""What the command line says, in words and in JSON, and when it cannot work."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from services.auth.cli import main


def test_a_database_that_was_never_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_DATABASE_URL", f"sqlite:///{tmp_path}/empty.db")
    monkeypatch.setenv("AUTH_MASTER_KEY", "k7" * 20 + "Zq4!xW9pLm2")
    result = CliRunner().invoke(main, ["role-token", "generator"])
    assert result.exit_code == 1
    assert "python -m services.common.migrate auth" in result.output
    assert "Traceback" not in result.output


def test_a_folder_that_cannot_be_used(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("AUTH_DATA", "/dev/null/auth")
    result = CliRunner().invoke(main, ["rotate-keys"])
    assert (result.exit_code, result.output) == (1, "Error: Not a directory: /dev/null/auth; choose another path in its settings\n")


def test_json_anywhere_and_durations(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("AUTH_DATA", str(tmp_path))
    monkeypatch.setattr("services.auth.cli.master_key", lambda _: "k" * 32)  # that of the tests' databases

    def said(*arguments: str) -> dict[str, str]:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        answer: dict[str, str] = json.loads(result.stdout)
        return answer

    admin = said("create-admin", "ann@example.org", "--json")
    assert (admin["email"], len(admin["password"]) > 20) == ("ann@example.org", True)
    token = said("role-token", "--json", "generator", "--expires-in", "90d")
    assert token["token"].count(".") == 2
    assert token["expires"].endswith("Z")
    assert said("--json", "rotate-keys")["key"]
    refused = CliRunner().invoke(main, ["set-password", "nobody@example.org", "--json"])
    assert (refused.exit_code, json.loads(refused.output)["error"].startswith("there is no user")) == (1, True)


def test_help_and_version() -> None:
    assert CliRunner().invoke(main, ["--version"]).output.startswith("auth 1.")
    assert isinstance(main, click.Group)
    assert all(command.epilog and "./dev auth " in command.epilog for command in main.commands.values())
