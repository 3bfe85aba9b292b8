"""Ask the operator's API everything about a month of requests, on PostgreSQL: `./dev bench analytics`.

    ./dev bench analytics                           a month of 200,000 requests
    ./dev bench analytics --records 10000000        of 10 million: 5 minutes and 4 GB
    ./dev bench analytics --questions 20            each question so often
    ./dev bench analytics --database postgresql://… on a database that is there already; one with requests is not filled again
    ./dev bench analytics --json FILE               the figures, too

The month is the last whole one. Its requests have 1,000 keys that use two of 20 APIs each, with 100 paths and 5 statuses. The table of
roll-ups is then as large as with any number of requests: nearly every hour has all rows. Records and roll-ups are made by SQL; with 3,000
requests they are first compared with what the recorder makes of them. One client asks a gateway of one worker. Processor time is that of
an answer: on a machine that does other things as well it says more than how long the answer took. Prints the tables of docs/scaling.md;
the goal is 200 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import hashlib
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
import psycopg

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.devices import store  # noqa: E402
from bench.measure import gatehouse, month, report  # noqa: E402
from bench.measure.gatehouse import Gatehouse  # noqa: E402
from bench.measure.processes import cpu_seconds, servers  # noqa: E402
from services.common.migrations import migrate  # noqa: E402

GOAL_MS = 200.0
FEW = 3_000
API, KEY, CLIENT = "api-1", hashlib.md5(b"7", usedforsecurity=False).hexdigest(), "client-9"


@dataclass
class Asked:
    """One question. rows: of the answer, and of all its pages. ms: how long each answer took. cpu: milliseconds of the gateway's and of
    PostgreSQL's processor, an answer.
    """

    what: str
    path: str
    rows: int = 0
    total: int | None = None
    ms: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def questions(first: dt.date, last: dt.date) -> list[Asked]:
    """Return every question of the API: the month as far as it may be asked for at once, a page of ten and the largest answer."""
    whole = f"{first:%d/%m/%Y}/{last:%d/%m/%Y}"
    days = f"{last - dt.timedelta(days=2):%d/%m/%Y}/{last:%d/%m/%Y}"
    found = []
    for what in "apis", "versions", "codes", "errors":
        found += [(f"{what}, {res}", f"/api/activity/{what}/{whole}?res={res}") for res in ("month", "day", "hour")]
    for what in "keys", "endpoints", "oauthids":
        found += [(f"{what}, {res}", f"/api/activity/{what}/{whole}?res={res}") for res in ("month", "day")]
        found += [(f"{what} of three days, hour", f"/api/activity/{what}/{days}?res=hour")]
        found += [(f"{what} of one API, hour", f"/api/activity/{what}/{whole}?res=hour&api_id={API}")]
    for what, one in ("api", API), ("versions", API), ("codes", API), ("errors", API), ("endpoint", API), ("key", KEY), ("oauthid", CLIENT):
        found += [(f"{what} of one, {res}", f"/api/activity/{what}/{one}/{whole}?res={res}") for res in ("month", "day", "hour")]
    found += [(f"everything of {what}, {res}", f"/api/activity/{path}/{whole}?res={res}&p=-1") for what, path, res in (
        ("codes", "codes", "hour"), ("versions", "versions", "day"), ("keys", "keys", "month"), ("endpoints", "endpoints", "month"),
        ("oauthids", "oauthids", "day"), ("one API", f"api/{API}", "hour"), ("its codes", f"codes/{API}", "hour"),
        ("its endpoints", f"endpoint/{API}", "day"), ("one key", f"key/{KEY}", "hour"),
    )]  # fmt: skip
    period = f"since={first}&until={last + dt.timedelta(days=1)}"
    for what, chosen in ("all", ""), ("an API", f"&api_id={API}"), ("a key", f"&key={KEY}"), ("errors of a key", f"&key={KEY}&errors=1"):
        found.append((f"records of {what}", f"/api/gatehouse/requests?{period}{chosen}"))
    return [Asked(*one) for one in found]


def ask(gateway: Gatehouse, processes: Sequence[psutil.Process], asked: Sequence[Asked], times: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.operator_port, timeout=60)
    for one in asked:
        ask_one(gateway, connection, one)  # plans are made and pages are read from the disk
        one.ms.clear()
        before = [sum(cpu_seconds(process)) for process in processes]
        for _ in range(times):
            ask_one(gateway, connection, one)
        one.cpu = [(sum(cpu_seconds(process)) - then) / times * 1000 for process, then in zip(processes, before, strict=True)]
    connection.close()


def ask_one(gateway: Gatehouse, connection: http.client.HTTPConnection, one: Asked) -> None:
    begun = time.perf_counter()
    connection.request("GET", one.path, headers={"authorization": gateway.operator_key})
    answer = connection.getresponse()
    text = answer.read()
    one.ms.append((time.perf_counter() - begun) * 1000)
    if answer.status != 200:
        raise RuntimeError(f"{one.path} was answered {answer.status}: {text.decode()}")
    told = json.loads(text)
    one.rows, one.total = len(told["data"]), told.get("total")


def postgresql(url: str) -> psutil.Process:
    """Return the process of the server that a socket belongs to."""
    folder = psycopg.conninfo.conninfo_to_dict(url)["host"]
    return psutil.Process(int(Path(str(folder), "postmaster.pid").read_text().split()[0]))


def compared(url: str, first: dt.date, last: dt.date) -> None:
    """Fill a database of its own with a few requests. Raises AssertionError when their roll-ups are not those of the recorder."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE few")
    few = url.replace("/postgres?", "/few?")
    migrate("gateway", few)
    month.fill(few, first, last, FEW)
    month.check(few)


def sizes(url: str) -> dict[str, list[int]]:
    """Return of each table: its rows, its bytes, those of its indexes."""
    of_all = (
        "SELECT sum(pg_table_size(oid))::bigint, sum(pg_indexes_size(oid))::bigint FROM pg_class WHERE relkind = 'r' AND relname LIKE %s"
    )
    found = {}
    with psycopg.connect(url) as connection:
        for name in "analytics_records", "analytics_rollups":
            rows = connection.execute(f"SELECT count(*) FROM {name}").fetchone() or ()
            found[name] = [*rows, *(connection.execute(of_all, (f"{name}%",)).fetchone() or ())]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench analytics", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--questions", type=int, default=10, help="how often each is asked")
    parser.add_argument("--database", help="URL of PostgreSQL, with the folder of its socket as host; by default one is started")
    parser.add_argument("--folder", type=Path, default=ROOT / "var", help="on the disk that is measured")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    first, last = month.last_month(dt.datetime.now(dt.UTC).date())
    print(report.machine())
    with tempfile.TemporaryDirectory(prefix="bench-analytics-", dir=options.folder) as scratch:
        folder = Path(scratch)
        with contextlib.ExitStack() as stack:
            url = options.database or stack.enter_context(store("postgresql", folder))
            if not options.database:
                compared(url, first, last)
            migrate("gateway", url)
            begun = time.perf_counter()
            if not sizes(url)["analytics_records"][0]:
                month.fill(url, first, last, options.records)
                print(f"\n{options.records:,} requests from {first} to {last}, made in {time.perf_counter() - begun:.0f} s")
            tables = sizes(url)
            print("\n| table | rows | MB | MB of indexes | bytes a row |\n| --- | ---: | ---: | ---: | ---: |")
            for name, (rows, table, indexes) in tables.items():
                print(f"| {name} | {rows:,} | {table / 1e6:.0f} | {indexes / 1e6:.0f} | {(table + indexes) / rows:.0f} |")
            group = stack.enter_context(servers(folder / "servers.log"))
            gateway = gatehouse.start(group, folder / "gateway", more={"GATEWAY_DATABASE_URL": url, "GATEWAY_ANALYTICS": "on"})
            gateway.wait_for_workers(1)
            asked = questions(first, last)
            ask(gateway, [gateway.process, postgresql(url)], asked, options.questions)
    print(f"\n| question | rows, of all | median ms | p95 ms | below {GOAL_MS:.0f} | CPU ms: gateway, PostgreSQL |")
    print("| --- | ---: | ---: | ---: | --- | ---: |")
    for one in asked:
        p50, p95 = statistics.median(one.ms), statistics.quantiles(one.ms, n=20)[18]
        below = "yes" if p95 < GOAL_MS else "median" if p50 < GOAL_MS else "no"
        of_all = f"{one.rows:,}" if one.total is None else f"{one.rows:,} of {one.total:,}"
        print(f"| {one.what} | {of_all} | {p50:.1f} | {p95:.1f} | {below} | {one.cpu[0]:.0f}, {one.cpu[1]:.0f} |")
    if options.json:
        told = {"machine": report.machine(), "records": options.records, "tables": tables, "questions": [asdict(one) for one in asked]}
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
