"""What the store does by itself: the same batches, written without a service, each in a durable transaction of its own.

    python -m bench.measure.bare URL BATCHES CONNECTIONS SECONDS HOW

BATCHES is a file of JSON: for each batch the rows of one device. HOW, for PostgreSQL: `rows` are given to psycopg's COPY one by one, `text`
is COPY's own format, made before the clock runs, which no program that has data to write can do. SQLite gets rows by `executemany`.
Prints JSON: transactions a second, p50 and p99 in milliseconds.
"""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

PROCESSES = 2  # the clients' interpreters must not be what is measured
COLUMNS = ("retention_class", "data_no", "variable_no", "time", "seq", "number", "unit", '"group"', "created_at")
TABLE = """
    CREATE TABLE bare (
        retention_class smallint NOT NULL, data_no integer NOT NULL, variable_no integer NOT NULL, time bigint NOT NULL,
        seq bigint NOT NULL, number double precision, value text, unit text, "group" text, location text, metadata text,
        created_at bigint NOT NULL{}
    ) {}
"""
Row = Sequence[Any]
Write = Callable[[Sequence[Row]], None]


def create(url: str) -> None:
    """Create the table that is written to: the columns and the index of the service's own, in one piece."""
    if url.startswith("sqlite:///"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("DROP TABLE IF EXISTS bare")
            connection.execute(TABLE.format(", PRIMARY KEY (retention_class, data_no, variable_no, time, seq)", "WITHOUT ROWID"))
        return
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS bare")
        connection.execute(TABLE.format("", ""))
        connection.execute("CREATE INDEX ON bare (data_no, variable_no, time) INCLUDE (number, retention_class)")


def _postgresql(url: str, how: str) -> tuple[Callable[[Sequence[Row]], Any], Callable[[Any], None]]:
    connection = psycopg.connect(url)
    statement = f"COPY bare ({', '.join(COLUMNS)}) FROM STDIN".encode()

    def as_text(rows: Sequence[Row]) -> bytes:
        return "".join("\t".join(map(str, row)) + "\n" for row in rows).encode()

    def write_text(text: bytes) -> None:
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(text)
        connection.commit()

    def write_rows(rows: Sequence[Row]) -> None:
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
        connection.commit()

    return (as_text, write_text) if how == "text" else (list, write_rows)


def _sqlite(url: str, _: str) -> tuple[Callable[[Sequence[Row]], Any], Callable[[Any], None]]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=60, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous=FULL")
    statement = f"INSERT INTO bare ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"

    def write(rows: Sequence[Row]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(statement, rows)
        connection.execute("COMMIT")

    return lambda rows: [tuple(row) for row in rows], write


def _write_on_one(url: str, how: str, batches: Sequence[Sequence[Row]], number: int, start: Any, seconds: float, took: list[float]) -> None:
    """Write with one connection for so long. number: of the connection; its rows are those of a device of its own."""
    prepare, write = (_sqlite if url.startswith("sqlite") else _postgresql)(url, how)
    mine = [prepare([(row[0], number, *row[2:]) for row in batch]) for batch in batches]
    start.wait()
    end = time.perf_counter() + seconds
    place = number
    while (begun := time.perf_counter()) < end:
        write(mine[place % len(mine)])
        took.append(time.perf_counter() - begun)
        place += 1


def _process(url: str, how: str, batches: Sequence[Sequence[Row]], numbers: Sequence[int], start: Any, seconds: float, found: Any) -> None:
    took: list[float] = []
    threads = [threading.Thread(target=_write_on_one, args=(url, how, batches, number, start, seconds, took)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.put(took)


def run(url: str, how: str, batches: Sequence[Sequence[Row]], connections: int, seconds: float) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    start, found = context.Barrier(connections), context.Queue()
    shares = [range(process + 1, connections + 1, PROCESSES) for process in range(PROCESSES)]
    running = [context.Process(target=_process, args=(url, how, batches, share, start, seconds, found)) for share in shares]
    for process in running:
        process.start()
    took = sorted(one for _ in running for one in found.get())
    for process in running:
        process.join()
    return {"per_second": len(took) / seconds, "p50_ms": took[len(took) // 2] * 1000, "p99_ms": took[int(len(took) * 0.99)] * 1000}


def main() -> None:
    url, file, connections, seconds, how = sys.argv[1:]
    with open(file, encoding="utf-8") as opened:
        batches = [json.loads(line) for line in opened]
    create(url)
    print(json.dumps(run(url, how, batches, int(connections), float(seconds))))


if __name__ == "__main__":
    main()
