"""Fills the devices' store with many records quickly, as devices would have in 30 days: what is measured afterwards is reading.

Each device has 100,000 records of five variables. They are written in the order of time, all devices mixed, as they would have come.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

import psycopg

VARIABLES = ("v0", "v1", "v2", "v3", "v4")
OF_DEVICE = 100_000  # and some more
DAYS = 30
TICKS = 667  # of a device and a day; at each it sends all its variables
_CLASS = 36  # days, 36 of them kept
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
DAY = 86_400_000


def fill(database_url: str, create: Callable[[Mapping[str, Any]], Mapping[str, Any]], records: int) -> list[str]:
    """Write `records` records; return the tokens of their devices. create: makes a device, by the service."""
    count = records // OF_DEVICE
    made = [
        create({"name": f"filled {number}", "type": "immutable", "chunk_period": "day", "chunk_retention": _CLASS})
        for number in range(count)
    ]
    today = (dt.datetime.now(dt.UTC) - _EPOCH) // dt.timedelta(days=1) * DAY
    first = today - (DAYS - 1) * DAY
    ids = [one["device_id"] for one in made]
    if database_url.startswith("sqlite:///"):
        _sqlite(database_url.removeprefix("sqlite:///"), ids, first)
    else:
        _postgresql(database_url, ids, first)
    return [one["token"] for one in made]


_ROWS = """
    INSERT INTO immutable_records (retention_class, data_no, variable_no, time, seq, number, unit, "group", created_at)
    SELECT {class_}, device, variable, {starts} + tick * {step} + device % 1000, ({day} * {ticks} + tick) * {variables} + variable,
        {random}, 'C', {group_}, {starts} + tick * {step} + device % 1000
    FROM {tick} CROSS JOIN {device} CROSS JOIN {variable} ORDER BY tick, device, variable
"""


def _rows(first: int, day: int, **forms: str) -> str:
    step = DAY // TICKS
    numbers = {"starts": first + day * DAY, "step": step, "day": day, "ticks": TICKS, "variables": len(VARIABLES), "class_": _CLASS}
    return _ROWS.format(**numbers, **forms)


def _postgresql(url: str, ids: list[str], first: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        numbers = [row[0] for row in connection.execute("SELECT no FROM devices WHERE id = ANY(%s) ORDER BY no", (ids,))]
        _describe(lambda statement, rows: connection.cursor().executemany(statement.replace("?", "%s"), rows), numbers, first)
        connection.execute(f"CREATE TABLE IF NOT EXISTS immutable_records_{_CLASS} (LIKE immutable_records) PARTITION BY RANGE (time)")
        with contextlib.suppress(psycopg.errors.DuplicateTable, psycopg.errors.WrongObjectType, psycopg.errors.InvalidObjectDefinition):
            connection.execute(f"ALTER TABLE immutable_records ATTACH PARTITION immutable_records_{_CLASS} FOR VALUES IN ({_CLASS})")
        for day in range(DAYS):
            starts = first + day * DAY
            name = f"immutable_records_{_CLASS}_{_EPOCH + dt.timedelta(milliseconds=starts):%Y%m%d}"
            with contextlib.suppress(psycopg.errors.DuplicateTable):
                connection.execute(
                    f"CREATE TABLE {name} PARTITION OF immutable_records_{_CLASS} FOR VALUES FROM ({starts}) TO ({starts + DAY})"
                )
            forms = {
                "tick": f"generate_series(0, {TICKS - 1}) AS tick",
                "device": f"unnest(ARRAY{numbers}) AS device",
                "variable": f"generate_series(1, {len(VARIABLES)}) AS variable",
                "random": "round((random() * 100)::numeric, 2)",
                "group_": "lpad(to_hex((tick * 1000 + device)::bigint), 24, '0')",
            }
            connection.execute(_rows(first, day, **forms))
        connection.execute("VACUUM (ANALYZE) immutable_records")


def _sqlite(path: str, ids: list[str], first: int) -> None:
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
        places = ",".join("?" * len(ids))
        numbers = [row[0] for row in connection.execute(f"SELECT no FROM devices WHERE id IN ({places}) ORDER BY no", ids)]
        _describe(connection.executemany, numbers, first)
        for day in range(DAYS):
            forms = {
                "tick": f"(WITH RECURSIVE t(tick) AS (SELECT 0 UNION ALL SELECT tick + 1 FROM t LIMIT {TICKS}) SELECT tick FROM t)",
                "device": "(" + " UNION ALL ".join(f"SELECT {number} AS device" for number in numbers) + ")",
                "variable": "(" + " UNION ALL ".join(f"SELECT {number + 1} AS variable" for number in range(len(VARIABLES))) + ")",
                "random": "round(abs(random() % 10000) / 100.0, 2)",
                "group_": "printf('%024x', tick * 1000 + device)",
            }
            connection.execute(_rows(first, day, **forms))


def _describe(many: Callable[[str, Any], Any], numbers: list[int], first: int) -> None:
    """Write what goes with the records: names of variables, counts of chunks, next numbers."""
    many(
        "INSERT INTO variables (device_no, no, name) VALUES (?, ?, ?)",
        [(number, place, name) for number in numbers for place, name in enumerate(VARIABLES, 1)],
    )
    many(
        "INSERT INTO chunks (device_no, starts, ends, records) VALUES (?, ?, ?, ?)",
        [(no, first + day * DAY, first + (day + 1) * DAY, TICKS * len(VARIABLES)) for no in numbers for day in range(DAYS)],
    )
    many("UPDATE device_states SET next_seq = ? WHERE device_no = ?", [(TICKS * len(VARIABLES) * DAYS + 10, number) for number in numbers])
