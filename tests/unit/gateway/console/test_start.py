"""The page at `/` of the operator's port."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
from flask import Flask

from services.gateway.console import start


def no_files(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a request reads a file")


def test_no_request_reads_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask("operator", static_folder=None)
    app.register_blueprint(start.blueprint)
    client = app.test_client()
    for name in ("open", "read_bytes", "read_text"):
        monkeypatch.setattr(Path, name, no_files)
    answer = client.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert b"http://localhost/api/apis" in answer.data
