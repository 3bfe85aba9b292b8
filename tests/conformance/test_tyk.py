"""The conformance cases of Tyk's behaviour against a running gateway: on SQLite alone, and several workers on PostgreSQL and Valkey.

What a worker has answered must hold for all others at once. What they do behind an answer is waited for (`within_s` of a case's step).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import OPERATOR_KEY, Gateway, gateway
from tests.support.stores import Valkey

FOLDER = Path(__file__).parent / "tyk"
# The workers that share PostgreSQL and Valkey; one alone has SQLite and its own memory.
SETUPS = {"one-worker-sqlite": 1, "two-workers-postgresql-valkey": 2, "four-workers-postgresql-valkey": 4}
RUN_WITHIN = 240.0


@pytest.fixture(params=SETUPS)
def gateways(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    """The gateway under test, and another one, of one worker, on the same store that trusts the loopback network as a proxy."""
    workers = SETUPS[request.param]
    env = {"GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path}/shared.db", "GATEWAY_ANALYTICS": "on"}
    if workers > 1:
        valkey: Valkey = request.getfixturevalue("valkey")
        env |= {"GATEWAY_DATABASE_URL": request.getfixturevalue("postgresql_url"), "VALKEY_URL": valkey.url}
    with (
        gateway(tmp_path, [], {**env, "GATEWAY_WORKERS": str(workers)}) as plain,
        gateway(tmp_path, [], {**env, "GATEWAY_TRUSTED_PROXIES": "127.0.0.0/8"}) as trusting,
    ):
        yield plain, trusting


def test_cases(gateways: tuple[Gateway, Gateway], tmp_path: Path) -> None:
    plain, trusting = gateways
    results = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), "--json", str(results), "--limit", "150"],
        env={
            **os.environ,
            "PROXY_URL": plain.url,
            "ADMIN_URL": plain.operator_url,
            "ADMIN_KEY": OPERATOR_KEY,
            "TRUSTED_URL": trusting.url,
        },
        capture_output=True,
        text=True,
        timeout=RUN_WITHIN,
        check=False,
    )
    assert results.exists(), done.stdout + done.stderr
    cases: list[dict[str, Any]] = json.loads(results.read_text())["cases"]
    assert len(cases) == len(json.loads((FOLDER / "cases.json").read_text())["cases"])
    assert [case["id"] for case in cases if case["result"] != "pass"] == [], done.stdout
