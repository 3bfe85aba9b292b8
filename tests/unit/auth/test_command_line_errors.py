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
