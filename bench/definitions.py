"""Measure how many definitions and keys a worker holds, and how soon a change is live: `./dev bench definitions`.

    ./dev bench definitions                     1,000 and 10,000 definitions; 100,000 keys on both stores
    ./dev bench definitions --counts 1000       so many definitions
    ./dev bench definitions --store sqlite      keys on one of the stores

Definitions: two workers on SQLite with a Valkey. "Plain" ones have no key and no rule; those with "all rules" are the keyed ones of
`./dev bench gateway`. A change is one definition that is saved; its call is answered when both workers serve it. Keys: one worker; one
client asks with one key after the other, each for the first time and then once more. Prints the tables of docs/scaling.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.devices import store  # noqa: E402
from bench.gateway import definition as all_rules  # noqa: E402
from bench.measure import gatehouse, peers, report  # noqa: E402
from bench.measure.gatehouse import Gatehouse  # noqa: E402
from bench.measure.processes import Servers, cpu_seconds, servers  # noqa: E402
from bench.measure.valkey import Valkey  # noqa: E402
from services.common.core_database import CoreDatabase  # noqa: E402
from services.gateway.keys.model import secret_hash  # noqa: E402
from services.gateway.stores.keys import KEYS, RIGHTS, SECRETS, new_id  # noqa: E402
from tests.support.gateway import definition as plain  # noqa: E402

STORES = ("sqlite", "postgresql")
WORKERS, CHANGES, AT_ONCE = 2, 30, 5_000
TARGET = "http://127.0.0.1:9/"  # nobody listens there: no request is made


@dataclass(slots=True)
class Held:
    """Definitions in a worker. Memory in MB: all of it, and what it shares with nobody; seconds; milliseconds of a change."""

    kind: str
    count: int
    resident: float
    own: float
    start: float
    reload: float
    change: float
    slowest: float


@dataclass(slots=True)
class Looked:
    """Keys of one store. Milliseconds and microseconds of CPU a request, with a key that is not in memory and with one that is."""

    store: str
    keys: int
    first_ms: float
    first_us: float
    again_ms: float
    again_us: float
    kb_a_key: float


def numbered(kind: str, number: int) -> dict[str, Any]:
    name = f"api-{number}"
    if kind == "plain":
        return plain(name, TARGET)
    raw = all_rules(9, keyed=True) | {"name": name, "api_id": name}
    return raw | {"proxy": {"listen_path": f"/{name}/", "target_url": TARGET, "strip_listen_path": True}}


def memory(processes: Sequence[psutil.Process]) -> tuple[float, float]:
    """Return the memory of the largest process in MB: resident, and its own."""
    return max((one.rss / 1e6, one.uss / 1e6) for one in (process.memory_full_info() for process in processes))


def hold(group: Servers, folder: Path, kind: str, count: int) -> Held:
    """Start with so many definitions twice: the first start fills the database."""
    (folder / "definitions").mkdir(parents=True)
    for number in range(count):
        (folder / f"definitions/{number}.json").write_text(json.dumps(numbered(kind, number)))
    valkey = Valkey(group, folder / "valkey")
    first = gatehouse.start(group, folder, more={"GATEWAY_SQLITE_SYNCHRONOUS": "NORMAL"})
    first.wait_for_workers(1)
    first.process.terminate()
    first.process.wait(60)
    one = gatehouse.start(group, folder, workers=WORKERS, valkey_url=valkey.url)
    one.wait_for_workers(WORKERS)
    start = time.perf_counter() - one.began
    resident, own = memory(one.process.children())
    reload = took(lambda: one.ask("GET", "/tyk/reload/"))
    changes = [took(partial(save, one, kind, number)) * 1000 for number in range(CHANGES if count else 0)]
    return Held(kind, count, resident, own, start, reload, statistics.median(changes or [0]), max(changes or [0]))


def save(one: Gatehouse, kind: str, number: int) -> None:
    raw = numbered(kind, 0) | {"name": f"changed {number}"}
    answer = one.ask("PUT", "/api/apis/api-0", {"api_definition": raw, "hook_references": []})
    if "Unconfirmed" in answer:
        raise RuntimeError(f"not live everywhere: {answer}")


def took(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def fill(url: str, count: int) -> None:
    """Write keys, of the secrets `bench-0` and so on, as the operator's API would."""
    now = dt.datetime.now(dt.UTC)
    session = {"rate": 1000, "per": 60, "quota_max": -1, "org_id": "default", "access_rights": {"keyed": {"versions": ["Default"]}}}
    database = CoreDatabase(url)
    for begin in range(0, count, AT_ONCE):
        ids = [new_id() for _ in range(begin, min(begin + AT_ONCE, count))]
        common = {
            "org_id": "default",
            "alias": "",
            "owner": "",
            "opens_all": False,
            "session": session,
            "created_at": now,
            "updated_at": now,
        }

        def work(connection: sa.Connection, ids: Sequence[str] = ids, common: dict[str, Any] = common, begin: int = begin) -> None:
            opened = [{"hash": secret_hash(f"bench-{begin + n}"), "key_id": id, "created_at": now} for n, id in enumerate(ids)]
            connection.execute(sa.insert(KEYS), [{"id": id, **common} for id in ids])
            connection.execute(sa.insert(SECRETS), opened)
            connection.execute(sa.insert(RIGHTS), [{"key_id": id, "api_id": "keyed"} for id in ids])

        database.run(work, patience_s=60)
    database.dispose()


def look(group: Servers, folder: Path, kind: str, url: str, keys: int, asked: int) -> Looked:
    upstream = peers.start_upstream(group, folder, core=None)
    one = gatehouse.start(group, folder / "gateway", more={"GATEWAY_DATABASE_URL": url, "GATEWAY_COPY_FOLDER": str(folder)})
    one.wait_for_workers(1)
    raw = plain("keyed", f"http://127.0.0.1:{upstream}/", use_keyless=False)
    one.ask("POST", "/api/apis", {"api_definition": raw, "hook_references": []})
    fill(url, keys)
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=30)

    def ask(number: int) -> None:
        connection.request("GET", "/keyed/small", headers={"Authorization": f"bench-{number}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"a key was answered {answer.status}")

    def all_of(numbers: Sequence[int]) -> tuple[float, float]:
        before = sum(cpu_seconds(one.process))
        times = [took(partial(ask, number)) * 1000 for number in numbers]
        return statistics.median(times), (sum(cpu_seconds(one.process)) - before) / len(numbers) * 1e6

    all_of(range(keys - 500, keys))  # connects, prepares
    before = memory(one.process.children())[0]
    first = all_of(range(asked))
    more = memory(one.process.children())[0] - before
    again = all_of(range(asked))
    connection.close()
    return Looked(kind, keys, *first, *again, more * 1000 / asked)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench definitions", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[0, 1_000, 10_000], help="definitions")
    parser.add_argument("--keys", type=int, default=100_000, help="in the database; 0 = none are measured")
    parser.add_argument("--asked", type=int, default=20_000, help="keys that are used")
    parser.add_argument("--store", choices=STORES, action="append", help="of the keys")
    parser.add_argument("--folder", type=Path, default=ROOT / "var", help="on the disk that is measured")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {"definitions": [], "keys": []}
    print(report.machine())
    with tempfile.TemporaryDirectory(prefix="bench-definitions-", dir=options.folder) as scratch:
        log = Path(scratch) / "servers.log"
        print("\n| definitions | | MB a worker | its own MB | start s | reload s | a change live ms | slowest |")
        print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for count, kind in ((some, kind) for some in options.counts for kind in (("plain", "all rules") if some else ("–",))):
            with servers(log) as group:
                one = hold(group, Path(scratch) / f"{kind}-{count}", kind, count)
            change = f"{one.change:.1f} | {one.slowest:.1f}" if count else "– | –"
            told = f"{one.resident:.0f} | {one.own:.0f} | {one.start:.1f} | {one.reload:.2f} | {change}"
            print(f"| {count:,} | {kind} | {told} |", flush=True)
            found["definitions"].append(asdict(one))
        for kind in (options.store or STORES) if options.keys else ():
            if not found["keys"]:
                print("\n| keys in | | first use ms | CPU µs | in memory: ms | CPU µs | KB a key in memory |\n|" + " --- |" + " ---: |" * 6)
            folder = Path(scratch) / kind
            folder.mkdir()
            with store(kind, folder) as url, servers(log) as group:
                looked = look(group, folder, kind, url, options.keys, options.asked)
            told = (
                f"{looked.first_ms:.2f} | {looked.first_us:,.0f} | {looked.again_ms:.2f} | {looked.again_us:,.0f} | {looked.kb_a_key:.1f}"
            )
            print(f"| {kind} | {options.keys:,} | {told} |", flush=True)
            found["keys"].append(asdict(looked))
    if options.json:
        options.json.write_text(json.dumps({"machine": report.machine(), **found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
