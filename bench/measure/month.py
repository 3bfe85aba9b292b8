"""Fills the gateway's tables of analytics with a month of requests, on PostgreSQL: what is measured afterwards is reading.

All is made by SQL, because the recorder would take hours for 10 million. The roll-ups are those that it would have written, as `check`
shows with few requests. They stand in the table in the order in which they first counted a request, as they would have come: the rows that
one question reads are scattered.
"""

from __future__ import annotations

import datetime as dt

import psycopg

from services.gateway.analytics.record import NOT_VERSIONED, Record
from services.gateway.analytics.rollups import API, DAY, FIRST_ERROR, HOUR, KEY, MONTH, OAUTH, PATH, Names, hour_of, roll_up

APIS, KEYS, PATHS = 20, 1_000, 100  # paths of each API; each key uses two APIs
ORG = "default"
KEEP_DAYS = 90
_STATUSES = (200, 201, 404, 500, 503)
_PER_CLIENT = 9  # of so many keys one was issued to an OAuth2 client
_DAY_MS = 86_400_000


def last_month(today: dt.date) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of the month before."""
    last = today.replace(day=1) - dt.timedelta(days=1)
    return last.replace(day=1), last


def fill(url: str, since: dt.date, until: dt.date, records: int) -> None:
    """Write `records` records, spread evenly over these days and over APIs, keys and paths, and what they add up to.

    url: of a migrated database without analytics.
    """
    days = (until - since).days + 1
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET work_mem = '256MB'; SET synchronous_commit = off")
        connection.execute(_SKETCH)
        for day in range(days):
            count = records * (day + 1) // days - records * day // days
            first = hour_of(since) * 3_600_000 + day * _DAY_MS
            connection.execute(_RECORDS, {"first": first, "step": _DAY_MS / max(count, 1), "count": count})
            for kind, code, item, name, condition in _KINDS:
                connection.execute(
                    _HOURS.format(kind=kind, code=code, item=item, name=name, condition=condition),
                    {"first": first, "end": first + _DAY_MS},
                )
        for grain, finer, start, over in _COARSER:
            connection.execute(_COARSE.format(grain=grain, finer=finer, start=start, over=over))
        connection.execute(_KEEP)
        connection.execute("DROP TABLE sketch")
        connection.execute("VACUUM (ANALYZE) analytics_records, analytics_rollups")


def check(url: str) -> None:
    """Raise AssertionError unless the roll-ups of the database are those that the recorder makes of its records."""
    with psycopg.connect(url) as connection:
        columns = ", ".join(Record._fields)
        records = [Record(*row) for row in connection.execute(f"SELECT {columns} FROM analytics_records ORDER BY at, id")]
        found = connection.execute(
            'SELECT kind, "grain", start, org_id, api_id, version, code, item, hits, success, error, request_us, last_hit, expires, name'
            " FROM analytics_rollups"
        ).fetchall()
    wanted = {
        (*row, one.hits, one.success, one.error, one.request_us, one.last, one.expires, one.name)
        for row, one in roll_up(records, Names()).items()
    }
    assert records
    assert (len(found), set(found)) == (len(wanted), wanted), "the roll-ups are not the recorder's"


# The names of an API and of a key are always the same, so it does not matter which request is the last one of a row.
_RECORDS = f"""
    INSERT INTO analytics_records ({", ".join(Record._fields)})
    SELECT at, at / 1000 + {KEEP_DAYS * 86_400}, '{ORG}', 'api-' || api, 'API ' || api, '{NOT_VERSIONED}', md5(key::text),
        'customer ' || key, '["gold"]', CASE WHEN key %% {_PER_CLIENT} = 0 THEN 'client-' || key ELSE '' END, 'GET',
        '/items/' || path || 'x/{{id}}',
        '/api-' || api || '/items/' || path || 'x/' || at %% 1000, (ARRAY{list(_STATUSES)})[status], us, 0, '', ''
    FROM (
        SELECT at, key, (key + 7 * second) %% {APIS} AS api, path, CASE WHEN chance < 0.9 THEN 1 ELSE 1 + ceil(chance * 1000)::int %% 5 END
            AS status, us
        FROM (
            SELECT (%(first)s::bigint + n * %(step)s::float8)::bigint AS at, floor(random() * {KEYS})::int AS key,
                floor(random() * 2)::int AS second, floor(random() * {PATHS})::int AS path, random() AS chance,
                500 + floor(random() * 20000)::int AS us
            FROM generate_series(0, %(count)s::bigint - 1) AS n
        ) AS thrown
    ) AS asked
"""
_SKETCH = """
    CREATE UNLOGGED TABLE sketch (kind smallint, "grain" smallint, start int, org_id text, api_id text, version text, code int, item text,
        hits bigint, success bigint, error bigint, request_us bigint, last_hit bigint, expires bigint, name text, first_hit bigint)
"""
_KINDS = (
    (API, "code", "''", "api_name", "true"),
    (KEY, "0", "key_id", "alias", "true"),
    (PATH, "0", "path", "''", "true"),
    (OAUTH, "0", "oauth_id", "''", "oauth_id <> ''"),
)
_HOURS = f"""
    INSERT INTO sketch SELECT {{kind}}, {HOUR}, at / 3600000, org_id, api_id, version, {{code}}, {{item}}, count(*),
        count(*) FILTER (WHERE code < {FIRST_ERROR}), count(*) FILTER (WHERE code >= {FIRST_ERROR}), sum(request_us), max(at),
        (max(at) / 3600000 + 1) * 3600 + {KEEP_DAYS * 86_400}, max({{name}}), min(at)
    FROM analytics_records WHERE at >= %(first)s AND at < %(end)s AND {{condition}} GROUP BY 3, 4, 5, 6, 7, 8
"""
_COARSE = f"""
    INSERT INTO sketch SELECT kind, {{grain}}, {{start}}, org_id, api_id, version, code, item, sum(hits), sum(success), sum(error),
        sum(request_us), max(last_hit), {{over}} * 3600 + {KEEP_DAYS * 86_400}, max(name), min(first_hit)
    FROM sketch WHERE "grain" = {{finer}} GROUP BY kind, {{start}}, org_id, api_id, version, code, item
"""
_MONTH_OF = "date_trunc('month', to_timestamp(start * 3600) AT TIME ZONE 'UTC')"
_COARSER = (
    (DAY, HOUR, "start / 24 * 24", "(max(start) / 24 + 1) * 24"),
    (
        MONTH,
        DAY,
        f"(extract(epoch FROM {_MONTH_OF}) / 3600)::int",
        f"max((extract(epoch FROM {_MONTH_OF} + '1 month'::interval) / 3600)::int)",
    ),
)
_KEEP = """
    INSERT INTO analytics_rollups (kind, "grain", start, org_id, api_id, version, code, item, hits, success, error, request_us, last_hit,
        expires, name)
    SELECT kind, "grain", start, org_id, api_id, version, code, item, hits, success, error, request_us, last_hit, expires, name
    FROM sketch ORDER BY first_hit, kind, "grain"
"""
