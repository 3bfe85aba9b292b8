"""How soon a change of a session reaches all who poll it, and what they cost while nothing happens: `./dev bench sessions`.

    ./dev bench sessions                        both stores, one process
    ./dev bench sessions --store sqlite         one of them
    ./dev bench sessions --workers 2            two processes, which wake each other through Valkey
    ./dev bench sessions --direct               without the gateway
    ./dev bench sessions --threads              a thread for each poll, as gunicorn alone does it

Clients in one process poll through a gateway, and ask again as soon as they are answered; another client changes the session. The time is
from the moment when that change is sent. There is no peer: no server of this API can be had, and one of another would answer less.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.devices import store  # noqa: E402
from bench.measure import report  # noqa: E402
from bench.measure.processes import cpu_seconds, memory_mb  # noqa: E402
from tests.support.fake_auth import FakeAuth  # noqa: E402
from tests.support.gateway import Gateway  # noqa: E402
from tests.support.processes import running  # noqa: E402

STORES = ("sqlite", "postgresql")
PASSWORD = secrets.token_hex(8)
WAIT_S = 0.35  # between two changes, and as much again at random


@dataclass
class House:
    """The service and a gateway before it. address, path: where clients go."""

    address: str
    path: str
    service: psutil.Process
    gateway: psutil.Process

    def ask(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        """Fire an event, and return what it answers."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            credential = base64.b64encode(f"bench@example.org:{PASSWORD}".encode()).decode()
            sent = {"Authorization": f"Basic {credential}", "Content-Type": "application/json", **(headers or {})}
            connection.request("POST", f"{self.path}{path}?f=JSON", json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status == 200, (path, answer.status, text)
            return json.loads(text)
        finally:
            connection.close()

    def io(self, event: str, *values: Any) -> Any:
        return self.ask(f"/api/event/io/{event}/", list(values))


@contextlib.contextmanager
def house(database: str, folder: Path, options: argparse.Namespace) -> Iterator[House]:
    auth = FakeAuth()
    auth.add_person("bench", PASSWORD, level="DOMAIN_ADMIN", domain="d")
    with contextlib.ExitStack() as stack:
        stack.callback(auth.close)
        env = {
            "SESSIONS_DATABASE_URL": database,
            "SESSIONS_DATA": str(folder / "sessions"),
            "SESSIONS_AUTH_SECRET": secrets.token_hex(16),
            "SESSIONS_LOG_LEVEL": options.log_level,
            "SESSIONS_WORKERS": str(options.workers),
            "AUTH_URL": auth.url,
        }
        if options.workers > 1:
            from tests.support.stores import Valkey

            valkey = Valkey()
            stack.callback(valkey.close)
            env["VALKEY_URL"] = valkey.url
        arguments = ["-k", "gthread"] if options.threads else []
        url, process = stack.enter_context(running("sessions", env, folder, arguments=arguments))
        definition = json.loads((ROOT / "deploy/apis/sessions.json").read_text())
        gateway = Gateway(folder, [definition], {"UPSTREAM_SESSIONS": url})
        stack.callback(gateway.stop)
        through = (f"127.0.0.1:{gateway.port}", "/sessions")
        address, path = (url.removeprefix("http://"), "") if options.direct else through
        yield House(address, path, psutil.Process(process.pid), psutil.Process(gateway.process.pid))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def spent(process: psutil.Process) -> float:
    return sum(cpu_seconds(process))


def measure(one: House, options: argparse.Namespace) -> dict[str, float]:
    """Let clients poll, change the session, and return milliseconds and processor shares."""
    name = f"bench-{secrets.token_hex(3)}"
    one.io("add_project", name)
    session = one.io("start", "MULTI", name)
    joined = [one.io("join", session, "PARTICIPANT", "bench") for _ in range(options.clients + 1)]
    tokens = [f"{found['apiToken']} {found['client']['clientToken']}" for found in joined]
    changes = int(options.seconds / (WAIT_S * 1.5))
    command = [sys.executable, "-m", "bench.measure.polling", one.address, f"{one.path}/api/session/update/", str(options.clients)]
    process = subprocess.Popen(
        [*command, str(options.seconds + options.idle + 3)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n".join(tokens[:-1]) + "\n")
    process.stdin.close()
    assert process.stdout.readline() == "ready\n"
    time.sleep(1)
    before, watched = (spent(one.service), spent(one.gateway)), time.monotonic()
    time.sleep(options.idle)
    watched = time.monotonic() - watched
    idle = [(spent(one.service) - before[0]) / watched, (spent(one.gateway) - before[1]) / watched]
    token, client = tokens[-1].split()
    sent, took = {}, []
    before = (spent(one.service), spent(one.gateway))
    for number in range(changes):
        sent[number] = time.monotonic()
        one.ask("/api/session/event/logic/MESSAGE_SEND/", [0, 1, f"change {number}"], {"token": token, "clientToken": client})
        took.append((time.monotonic() - sent[number]) * 1000)
        time.sleep(WAIT_S + WAIT_S * secrets.randbelow(1000) / 1000)
    busy = [(spent(one.service) - before[0]) / changes * 1000, (spent(one.gateway) - before[1]) / changes * 1000]
    found = json.loads(process.stdout.read())
    process.wait()
    one.io("kill", session)
    reached = {int(number): moments for number, moments in found["seen"].items() if int(number) in sent}
    late = [(moment - sent[number]) * 1000 for number, moments in reached.items() for moment in moments]
    last = [(max(moments) - sent[number]) * 1000 for number, moments in reached.items()]
    missed = changes * options.clients - len(late)
    refused = sum(count for status, count in found["statuses"].items() if status not in ("200", "204"))
    return {
        "changes": changes,
        "p50": percentile(late, 0.5),
        "p95": percentile(late, 0.95),
        "p99": percentile(late, 0.99),
        "last p50": percentile(last, 0.5),
        "last p95": percentile(last, 0.95),
        "event p50": percentile(took, 0.5),
        "missed": missed,
        "refused": refused,
        "idle service %": idle[0] * 100,
        "idle gateway %": idle[1] * 100,
        "service ms a change": busy[0],
        "gateway ms a change": busy[1],
        "service MB": memory_mb(one.service),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench sessions", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", choices=STORES, action="append")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=15, help="of changes")
    parser.add_argument("--idle", type=int, default=10, help="seconds of watching what polls cost")
    parser.add_argument("--direct", action="store_true", help="without the gateway")
    parser.add_argument("--threads", action="store_true", help="with gunicorn's own worker")
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--folder", type=Path, default=ROOT / "var", help="on the disk that is measured")
    options = parser.parse_args()
    print(report.machine())
    options.folder.mkdir(exist_ok=True)
    for kind in options.store or STORES:
        folder = Path(tempfile.mkdtemp(dir=options.folder, prefix="bench-sessions-"))
        try:
            with store(kind, folder) as database, house(database, folder, options) as one:
                for number in range(options.rounds):
                    found = measure(one, options)
                    if not number:
                        print(f"\n{kind}: {options.clients} clients, {options.workers} process(es); milliseconds\n")
                        print("| " + " | ".join(found) + " |\n|" + " ---: |" * len(found))
                    print("| " + " | ".join(f"{value:.0f}" if value >= 10 else f"{value:.1f}" for value in found.values()) + " |")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
