"""`./dev bench workers` on a small scale: it counts what each process does for a request, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench.measure import load
from tests.support.processes import ROOT

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(load.generator() is None, reason="neither wrk nor autocannon is on this machine"),
]


def test_each_process_of_a_request_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench.workers", "--workers", "2", "--rounds", "1", "--seconds", "1", "--only", "workers"]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([*command, "--json", str(file)], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    rows = {row["load"]: row for row in json.loads(file.read_text())["rows"]}
    assert list(rows) == ["nginx", "no key", "key, rate, quota"]
    for name, row in rows.items():
        assert (row["workers"], row["failed"]) == (2, 0), name
        assert min(row[what] for what in ("per_second", "gateway_us", "upstream_us", "generator_us")) > 0, name
    assert rows["no key"]["scripts"] < 0.1  # each worker asks once a second whether Valkey still writes
    # One for all that a request is charged to, or for all requests of a turn of the loop; those under way at the end are counted besides.
    assert rows["no key"]["scripts"] < rows["key, rate, quota"]["scripts"] < 1.25
    assert rows["key, rate, quota"]["valkey_us"] > 0 < rows["key, rate, quota"]["log_bytes"]
    assert f"| key, rate, quota | 2 | {rows['key, rate, quota']['per_second']:,.0f} |" in done.stdout
    assert list(tmp_path.glob("gatehouse-bench-*")) == []
    assert not [one for one in psutil.process_iter(["cmdline"]) if any(str(tmp_path) in part for part in one.info["cmdline"] or ())]
