"""`docs/operating.md` lists every metric of the gateway with its labels, and every member of a line of the access log."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.gateway.app import create_app
from services.gateway.compiler import compile_api
from services.gateway.exchange import Trace
from services.gateway.observe.access_log import AccessLog
from services.gateway.settings import Settings
from services.gateway.wiring import Gateway
from tests.support.processes import ROOT
from tests.unit.gateway.exchanges import definition, exchange, ports

# They are registered where the sockets are, when a worker serves.
OF_SOCKETS = re.findall(r'gauges\.(set|count|split)\(\s*"(\w+)"(?:, "[^"]*", "(\w+)")?', (ROOT / "services/gateway/worker.py").read_text())
OF_PROCESS = "process_"


def rows(heading: str) -> list[list[str]]:
    """The cells of all tables of a section of the page."""
    page = (ROOT / "docs" / "operating.md").read_text()
    section = re.split(r"^## ", page.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")]
    assert found
    return found


def documented() -> dict[str, set[str]]:
    """Metrics with their labels."""
    return {name: set(re.findall(r"`(\w+)`", row[2])) for row in rows("Metrics") for name in re.findall(r"`(\w+)`", row[0])}


@pytest.fixture
def told(sqlite_url: str, tmp_path: Path) -> dict[str, set[str]]:
    """What a worker with Valkey and traces tells, none of which it has asked for anything yet."""
    made = Gateway(
        Settings(
            database_url=sqlite_url,
            operator_key="operator-key-of-the-test",
            master_key_path=tmp_path / "master.key",
            definitions=tmp_path / "none",
            valkey_url="redis://127.0.0.1:1/0",
            tracing="http://127.0.0.1:1",
            access_log="off",
        )
    )
    one = exchange()
    one.api = SimpleNamespace(api_id="one", listen_path="/one/")  # type: ignore[assignment]
    one.asked = one.first_byte = one.started
    one.refused = "quota-exceeded"
    made.tallies.answered(one, 200, 1)
    client = create_app(made).test_client()
    client.get("/hello")
    client.get("/ready")
    found: dict[str, set[str]] = {}
    for line in client.get("/metrics").text.splitlines():
        if line.startswith("# TYPE "):
            found[line.split()[2]] = set()
        else:
            name, labels = re.match(r"(\w+?)(?:_bucket|_count|_sum)?(?:\{(.*)\})? ", line).groups() if line[0] != "#" else ("", None)  # type: ignore[union-attr]
            if name in found:
                found[name] |= set(re.findall(r'(\w+)="', labels or "")) - {"le", "worker"}
    for kind, name, label in OF_SOCKETS:
        found[f"gateway_{name}{'_total' if kind == 'count' else ''}"] = {label} - {""}
    return {name: labels for name, labels in found.items() if not name.startswith((OF_PROCESS, "python_"))}


def test_every_metric_is_documented(told: dict[str, set[str]]) -> None:
    assert len(OF_SOCKETS) >= 4
    said = documented()
    # Other services hold requests; gunicorn's workers count their starts.
    assert set(told) == {name for name in said if not name.startswith(("service_held_", "service_processes_"))}
    unseen = {name for name in told if name.startswith(("service_", "http_"))}  # they have labels when something was checked or answered
    assert {name: labels for name, labels in told.items() if name not in unseen} == {name: said[name] for name in told.keys() - unseen}


def test_every_member_of_the_access_log_is_documented(tmp_path: Path) -> None:
    one = exchange(headers=[("referer", "https://shop.example/"), ("user-agent", "curl")])
    one.refused, one.limit, one.upstream, one.peer = "upstream-timeout", "idle", "up.example:80", "192.0.2.8"
    one.asked = one.first_byte = one.started
    one.connecting = 0.1
    one.inner = exchange()
    one.inner.api = compile_api(definition(), ports(), 1)
    one.trace = Trace(1, 2, 0, 3, True)
    log = AccessLog(str(tmp_path / "access.log"), agent=True)
    log.start()
    log.write(one, 504, 1, 0, one.started + 1)
    log.write_early("192.0.2.1", 400, "bad-header")
    log.stop()
    members = {member for line in (tmp_path / "access.log").read_text().splitlines() for member in json.loads(line)}
    assert members == {row[0].strip("`") for row in rows("Access log")}
