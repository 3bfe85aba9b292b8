"""The conformance cases of Tyk's behaviour against a running gateway: one worker on SQLite, and two on PostgreSQL and Valkey."""

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

RUNNER = Path(__file__).parent / "tyk" / "run.py"
GROUPS = (
    *("admin", "auth-key", "basic", "batch", "dashboard", "hmac", "hooks", "ip", "mock", "oauth", "org", "paths", "quota"),
    *("rate", "rights", "routing", "save-checks", "session", "versions", "wire"),
)
RUN_WITHIN = 240.0


@pytest.fixture(params=["one-worker-sqlite", "two-workers-postgresql-valkey"])
def gateways(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    """The gateway under test, and another one on the same store that trusts the loopback network as a proxy."""
    env = {"GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path}/shared.db"}
    if request.param.startswith("two"):
        valkey: Valkey = request.getfixturevalue("valkey")
        env = {"GATEWAY_DATABASE_URL": request.getfixturevalue("postgresql_url"), "VALKEY_URL": valkey.url, "GATEWAY_WORKERS": "2"}
    with gateway(tmp_path, [], env) as plain, gateway(tmp_path, [], {**env, "GATEWAY_TRUSTED_PROXIES": "127.0.0.0/8"}) as trusting:
        yield plain, trusting


def test_cases(gateways: tuple[Gateway, Gateway], tmp_path: Path) -> None:
    plain, trusting = gateways
    results = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, str(RUNNER), "--json", str(results), "--limit", "150", *(part for group in GROUPS for part in ("--group", group))],
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
    assert {case["group"] for case in cases} == set(GROUPS)
    assert [case["id"] for case in cases if case["result"] != "pass"] == [], done.stdout
