"""What a commit on SQLite costs with `synchronous=FULL` and with `NORMAL`, through the tokens service's own database.

    ./dev bench commits                                 1,000 commits a round, five rounds of each, taken in turns
    ./dev bench commits --folder /mnt/disk              on another disk than that of the working folder

A commit is one `Database.run` that adds one token of 2 KB, one after another in one process. Commits/s is the
median of the rounds, p50 and p99 are those of all commits. Prints a run of docs/performance.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.measure.report import machine  # noqa: E402
from services.common.database import Database  # noqa: E402
from services.common.migrations import migrate  # noqa: E402
from services.common.settings import SYNCHRONOUS  # noqa: E402
from services.tokens.models import Token, db  # noqa: E402

SVG = f'<svg xmlns="http://www.w3.org/2000/svg"><path d="{"L90 90" * 330}"/></svg>'


@dataclass
class Found:
    """seconds: of each commit. rates: commits a second of each round."""

    seconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


def add(database: Database, number: int) -> None:
    token = Token(
        id=number, position=number, svg=SVG, generated="2026-01-01T00:00:00Z", keywords=["a", "b", "c"],
        rules=1, created_at=dt.datetime.now(dt.UTC), idempotency_key=None, body_digest="",
    )  # fmt: skip
    database.run(lambda session: session.add(token))


def measure(url: str, synchronous: str, first: int, count: int, found: Found) -> None:
    database = Database(db, url, sqlite_synchronous=synchronous)
    add(database, first)  # connects
    begun = time.perf_counter()
    for number in range(first + 1, first + 1 + count):
        before = time.perf_counter()
        add(database, number)
        found.seconds.append(time.perf_counter() - before)
    found.rates.append(count / (time.perf_counter() - begun))
    database.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench commits", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--folder", type=Path, default=ROOT, help="on the disk that is measured")
    parser.add_argument("--commits", type=int, default=1000, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found = {synchronous: Found() for synchronous in SYNCHRONOUS}
    with tempfile.TemporaryDirectory(dir=options.folder, prefix=".commits-") as folder:
        url = f"sqlite:///{folder}/data/tokens.db"
        migrate("tokens", url)
        first = 1
        for _ in range(options.rounds):
            for synchronous, figures in found.items():
                measure(url, synchronous, first, options.commits, figures)
                first += options.commits + 1
    print(machine())
    print("\n| synchronous | commits/s | slowest and fastest round | p50 ms | p99 ms |\n| --- | ---: | ---: | ---: | ---: |")
    for synchronous, figures in found.items():
        p50, p99 = statistics.median(figures.seconds) * 1000, statistics.quantiles(figures.seconds, n=100)[98] * 1000
        spread = f"{min(figures.rates):,.0f} to {max(figures.rates):,.0f}"
        print(f"| {synchronous} | {statistics.median(figures.rates):,.0f} | {spread} | {p50:.2f} | {p99:.1f} |")


if __name__ == "__main__":
    main()
