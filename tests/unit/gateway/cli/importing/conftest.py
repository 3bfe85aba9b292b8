"""A folder as a Tyk's operator keeps it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway.cli.conftest import gateway, make_definition, make_session, operator, run

__all__ = ["gateway", "make_definition", "make_session", "operator", "run"]

Put = Callable[[str, Any], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "tyk"
    path.mkdir()
    return path


@pytest.fixture
def put(folder: Path) -> Put:
    """Write a file of the folder: text as it is, anything else as JSON."""

    def put(name: str, content: Any) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    return put
