"""What the command line says when it cannot work."""

from __future__ import annotations

from pathlib import Path

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
    assert (result.exit_code, result.output) == (1, "Error: [Errno 20] Not a directory: '/dev/null/auth'\n")
