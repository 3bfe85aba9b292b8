"""The command line against a real HTTP server with the operator API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from services.gateway.cli.main import main
from tests.unit.gateway.operators import gateway, make_definition, make_session, operator

__all__ = ["gateway", "make_definition", "make_session", "operator"]


@pytest.fixture
def run(operator: Any, tmp_path: Path) -> Iterator[Callable[..., Result]]:
    server = make_server("127.0.0.1", 0, operator.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    key_file = tmp_path / "operator.key"
    key_file.write_text(operator.gateway.operator_key + "\n")

    def run(*arguments: str, key: Path = key_file, environ: dict[str, str] | None = None, typed: str | None = None) -> Result:
        options = ["--url", f"http://127.0.0.1:{server.server_port}", "--key-file", str(key)]
        return CliRunner().invoke(main, [*options, *arguments], env={"GATEHOUSE_KEY": "", **(environ or {})}, input=typed)

    yield run
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def write(name: str, document: Any) -> str:
        path = tmp_path / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(path)

    return write
