"""Measure what a request costs each process when several workers share a Valkey: `./dev bench workers`.

    ./dev bench workers                         one worker by rule, with and without Valkey; then 1, 2 and 4 workers; Valkey alone
    ./dev bench workers --workers 1 2 4 8       on a machine with more processors
    ./dev bench workers --rounds 1 --seconds 2  roughly

Nothing is pinned. Load generator, gateway, Valkey and upstream share all processors, so on a small machine more workers cannot bring more
requests: read the processor time of each process a request, which says what a larger machine needs. nginx with as many workers runs before
the gateway in each round. Requests are GETs of 100 bytes whose heads a connection repeats. The access log is written, Valkey keeps an
append-only file. Prints the tables of docs/scaling.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.measure import gatehouse, load, peers, report  # noqa: E402
from bench.measure.gatehouse import Gatehouse  # noqa: E402
from bench.measure.processes import Servers, cpu_seconds, servers, wait_for_port  # noqa: E402
from bench.measure.valkey import Valkey  # noqa: E402
from tests.support.gateway import definition  # noqa: E402

ENDLESS = 1_000_000_000
RATE, QUOTA = {"rate": ENDLESS, "per": 60}, {"quota_max": ENDLESS, "quota_renewal_rate": 3600}
KEYLESS, LIMITED = "no key", "key, rate, quota"
# What a request meets: the API that it goes to, and the limits of its key (None = it has no key).
RULES: dict[str, tuple[str, dict[str, int] | None]] = {
    KEYLESS: ("open", None),
    "key": ("keyed", {}),
    "key, rate": ("keyed", RATE),
    LIMITED: ("keyed", RATE | QUOTA),
    "key, rate, quota, rate of the API": ("shared", RATE | QUOTA),
}
ALONE = ((1, 1), (1, 32), (8, 32), (64, 8))  # uses that are written together, connections


@dataclass(slots=True)
class Row:
    """Medians of one load. CPU in microseconds a request; bytes and runs of the counters' script a request. rate_ratio, cpu_ratio: to nginx
    in the same round.
    """

    per_second: float = 0.0
    rate_ratio: float = 0.0
    gateway_us: float = 0.0
    cpu_ratio: float = 0.0
    valkey_us: float = 0.0
    scripts: float = 0.0
    valkey_read: float = 0.0
    valkey_written: float = 0.0
    valkey_kept: float = 0.0
    log_bytes: float = 0.0
    upstream_us: float = 0.0
    generator_us: float = 0.0
    p99_ms: float = 0.0
    failed: float = 0.0


@dataclass(frozen=True, slots=True)
class Goal:
    """Where one load goes, and whose processor time counts."""

    url: str
    headers: dict[str, str]
    process: psutil.Process
    log: Path | None = None


@dataclass(frozen=True, slots=True)
class House:
    """nginx and a gateway with as many workers, in front of the same upstream. valkey: None = one worker counts by itself."""

    nginx: Goal
    goals: dict[str, Goal]
    upstream: psutil.Process
    valkey: Valkey | None


def house(group: Servers, folder: Path, workers: int, *, shared: bool, rules: Sequence[str]) -> House:
    folder.mkdir()
    upstream = peers.start_upstream(group, folder, workers=workers, core=None)
    upstream_process = psutil.Process(next(one.pid for one in psutil.Process().children() if upstream in listening(one)))
    nginx = peers.start_nginx(group, folder, upstream, workers=workers, core=None)
    valkey = Valkey(group, folder / "valkey") if shared else None
    one = gatehouse.start(group, folder / "gateway", workers=workers, valkey_url=valkey.url if valkey else "")
    one.wait_for_workers(workers)
    wait_for_port(nginx.port)
    target = f"http://127.0.0.1:{upstream}/"
    apis = {
        "open": definition("open", target),
        "keyed": definition("keyed", target, use_keyless=False),
        "shared": definition("shared", target, use_keyless=False, global_rate_limit=RATE),
    }
    for api in {RULES[name][0] for name in rules}:
        one.ask("POST", "/api/apis", {"api_definition": apis[api], "hook_references": []})
    goals = {name: goal(one, *RULES[name]) for name in rules}
    before = Goal(f"http://127.0.0.1:{nginx.port}{peers.PREFIX}/small", {}, nginx.process)
    return House(before, goals, upstream_process, valkey)


def listening(process: psutil.Process) -> set[int]:
    return {one.laddr.port for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN}


def goal(one: Gatehouse, api: str, limits: dict[str, int] | None) -> Goal:
    headers = {}
    if limits is not None:
        session = {"expires": 0, "org_id": "default", "access_rights": {api: {"api_id": api, "versions": ["Default"]}}}
        unlimited = {"rate": 0, "per": 0, "quota_max": -1, "quota_renewal_rate": 0}
        headers["Authorization"] = one.ask("POST", "/api/keys", session | unlimited | limits)["key_id"]
    return Goal(f"http://127.0.0.1:{one.port}/{api}/small", headers, one.process, one.access_log)


def run(goal: Goal, house: House, connections: int, seconds: int) -> Row:
    """One load: requests as fast as they are answered."""

    def counters() -> tuple[float, float]:
        return sum(cpu_seconds(goal.process)), sum(cpu_seconds(house.upstream))

    valkey = house.valkey.spent() if house.valkey else None
    gateway, upstream = counters()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    seen = load.run(goal.url, connections=connections, seconds=seconds, headers=goal.headers, core=None)
    generator = resource.getrusage(resource.RUSAGE_CHILDREN)
    after = counters()
    count = max(1, seen.requests)
    row = Row(
        per_second=seen.per_second,
        p99_ms=seen.p99_ms,
        failed=float(seen.failed),
        gateway_us=(after[0] - gateway) / count * 1e6,
        upstream_us=(after[1] - upstream) / count * 1e6,
        generator_us=(generator.ru_utime + generator.ru_stime - children.ru_utime - children.ru_stime) / count * 1e6,
        log_bytes=average_line(goal.log) if goal.log else 0.0,
    )
    if house.valkey and valkey:
        spent = house.valkey.spent().since(valkey)
        row.valkey_us, row.scripts = spent.cpu_s / count * 1e6, spent.scripts / count
        row.valkey_read, row.valkey_written, row.valkey_kept = spent.read / count, spent.written / count, spent.kept / count
    return row


def average_line(log: Path) -> float:
    """Return the mean bytes of the last lines of a log."""
    with log.open("rb") as file:
        file.seek(-min(log.stat().st_size, 1 << 16), os.SEEK_END)
        lines = file.read().split(b"\n")[1:-1]
    return sum(len(one) + 1 for one in lines) / max(1, len(lines))


def measure(one: House, options: argparse.Namespace) -> Iterator[tuple[str, Row]]:
    """Yield nginx and each load of the gateway, as medians over the rounds."""
    for goal in (one.nginx, *one.goals.values()):
        load.run(goal.url, connections=options.connections, seconds=1, headers=goal.headers, core=None)
    runs: dict[str, list[Row]] = defaultdict(list)
    for _ in range(options.rounds):
        nginx = run(one.nginx, one, options.connections, options.seconds)
        nginx.rate_ratio = nginx.cpu_ratio = 1.0
        runs["nginx"].append(nginx)
        for name, goal in one.goals.items():
            row = run(goal, one, options.connections, options.seconds)
            row.rate_ratio, row.cpu_ratio = row.per_second / (nginx.per_second or 1), row.gateway_us / (nginx.gateway_us or 1)
            runs[name].append(row)
    for name, rows in runs.items():
        yield name, Row(**{field.name: report.median([getattr(row, field.name) for row in rows]) for field in fields(Row)})


RULES_HEAD = (
    "\n| a request meets | in process: gateway µs | × nginx | in Valkey: gateway µs | × nginx | Valkey µs | scripts"
    f" | bytes to, from Valkey | kept | log bytes |\n| --- |{' ---: |' * 9}"
)


def show_rules(alone: Mapping[str, Row], shared: Mapping[str, Row]) -> None:
    """Print what each rule costs one worker that counts in its process, and one that counts in Valkey."""
    print(RULES_HEAD)
    for name, row in shared.items():
        here = f"{alone[name].gateway_us:.1f} | {alone[name].cpu_ratio:.2f}"
        there = f"{row.gateway_us:.1f} | {row.cpu_ratio:.2f}"
        size = f"{row.valkey_read:.0f}, {row.valkey_written:.0f} | {row.valkey_kept:.0f} | {row.log_bytes:.0f}"
        rest = "– | – | – | – | –" if name == "nginx" else f"{row.valkey_us:.1f} | {row.scripts:.2f} | {size}"
        print(f"| {name} | {here} | {there} | {rest} |", flush=True)


WORKERS_HEAD = (
    "\n| a request meets | workers | requests/s | × nginx | gateway µs | × nginx | Valkey µs | upstream µs | load µs | p99 ms | failed |"
    f"\n| --- |{' ---: |' * 10}"
)


def workers_line(name: str, workers: int, row: Row) -> str:
    valkey = "–" if name == "nginx" else f"{row.valkey_us:.1f}"
    times = f"{row.gateway_us:.1f} | {row.cpu_ratio:.2f} | {valkey} | {row.upstream_us:.1f} | {row.generator_us:.1f}"
    return f"| {name} | {workers} | {row.per_second:,.0f} | {row.rate_ratio:.2f} | {times} | {row.p99_ms:.1f} | {row.failed:.0f} |"


def alone(group: Servers, folder: Path, seconds: float) -> list[dict[str, float]]:
    """What Valkey does by itself, with the script that counts a use."""
    valkey = Valkey(group, folder / "alone")
    found = []
    print("\n| uses written together | connections | scripts/s | Valkey µs a script |\n| ---: | ---: | ---: | ---: |")
    for together, connections in ALONE:
        per_second, cpu_us = valkey.most(together, connections, seconds)
        print(f"| {together} | {connections} | {per_second:,.0f} | {cpu_us:.2f} |", flush=True)
        found.append({"together": together, "connections": connections, "per_second": per_second, "cpu_us": cpu_us})
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench workers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="length of one run")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--only", choices=("rules", "workers", "valkey"), help="one of the three tables")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    if load.generator() is None:
        print("bench: no load generator here; install wrk (Debian) or run `npm install autocannon` in bench/peers", file=sys.stderr)
        return 2
    found: dict[str, Any] = {"rows": []}
    how = f"{options.rounds} rounds of {options.seconds} s, {options.connections} connections"
    print(f"{report.machine()}; {how}; load average {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as scratch:
        folder = Path(scratch)

        def rows(workers: int, rules: Sequence[str], *, shared: bool) -> dict[str, Row]:
            with servers(folder / "servers.log") as group:
                place = folder / f"{workers}-{len(rules)}-{shared}"
                measured = dict(measure(house(group, place, workers, shared=shared, rules=rules), options))
            found["rows"] += [{"load": name, "workers": workers, "valkey": shared, **asdict(row)} for name, row in measured.items()]
            return measured

        if options.only in (None, "rules"):
            show_rules(rows(1, list(RULES), shared=False), rows(1, list(RULES), shared=True))
        if options.only in (None, "workers"):
            print(WORKERS_HEAD)
            for workers in options.workers:
                for name, row in rows(workers, (KEYLESS, LIMITED), shared=True).items():
                    print(workers_line(name, workers, row), flush=True)
        if options.only in (None, "valkey"):
            with servers(folder / "servers.log") as group:
                found["valkey alone"] = alone(group, folder, options.seconds)
    if options.json:
        options.json.write_text(json.dumps({"machine": report.machine(), **found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
