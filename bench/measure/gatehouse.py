"""A gateway that is measured: its start, its operator's API, definitions and keys of the loads."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.measure.processes import Servers, free_port, wait_for_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
START_S = 120.0  # on a machine that does other things as well


@dataclass(frozen=True, slots=True)
class Gatehouse:
    """One running gateway. process: the master; its workers are the children. operator_key: opens the operator's port. began: when it was
    started (`time.perf_counter`).
    """

    port: int
    operator_port: int
    operator_key: str
    process: psutil.Process
    access_log: Path
    began: float

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return ask_operator(self.operator_port, self.operator_key, method, path, body)

    def wait_for_workers(self, count: int, seconds: float = 600.0) -> None:
        """Wait until so many workers serve. Raises AssertionError."""

        def serving() -> bool:
            with contextlib.suppress(TimeoutError):  # thousands of definitions are loaded, or written, before the first answer
                return len(self.ask("GET", "/api/gatehouse/workers")["workers"]) == count
            return False

        wait_until(serving, seconds, "all workers")


def ask_operator(port: int, key: str, method: str, path: str, body: object) -> Any:
    """Call the operator's API and return its JSON. Raises RuntimeError for any status but 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"authorization": key, "x-tyk-authorization": key, "content-type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path} answered {answer.status}: {text}")
    return json.loads(text)


def start(
    group: Servers, folder: Path, *, workers: int = 1, valkey_url: str = "", core: int | None = None, more: Mapping[str, str] | None = None
) -> Gatehouse:
    """Start a gateway on SQLite, with what its folder's database and `definitions` hold already.

    core: the processor that it is pinned to. more: further settings. Raises RuntimeError when it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "definitions").mkdir(exist_ok=True)
    port, operator_port, key = free_port(), free_port(), secrets.token_hex(16)
    access_log = folder / "access.log"
    env = {
        "GATEWAY_PROXY_BIND": f"127.0.0.1:{port}",
        "GATEWAY_OPERATOR_BIND": f"127.0.0.1:{operator_port}",
        "GATEWAY_OPERATOR_KEY": key,
        "GATEWAY_MASTER_KEY": key,
        "GATEWAY_DATABASE_URL": f"sqlite:///{folder}/gateway.db",
        "GATEWAY_DEFINITIONS": str(folder / "definitions"),
        "GATEWAY_ACCESS_LOG": str(access_log),
        "GATEWAY_WORKERS": str(workers),
        **({"VALKEY_URL": valkey_url} if valkey_url else {}),
        **(more or {}),
    }
    migrating = [sys.executable, "-m", "services.common.migrate", "gateway"]
    subprocess.run(migrating, cwd=ROOT, env={**os.environ, **env}, check=True, capture_output=True)
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.gateway.py", "services.gateway.wsgi:app"]
    began = time.perf_counter()
    process = group.start(command, env=env, core=core, cwd=ROOT)
    if not wait_for_port(operator_port, START_S):
        raise RuntimeError("the gateway did not start; see servers.log")
    return Gatehouse(port, operator_port, key, process, access_log, began)
