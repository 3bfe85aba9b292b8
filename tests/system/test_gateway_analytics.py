"""Analytics of a running gateway: what was asked is counted exactly, also when its workers are killed; what is not to be tracked is not."""

from __future__ import annotations

import datetime as dt
import os
import signal
from pathlib import Path
from typing import Any

import psycopg

from tests.support.freezing import hanging
from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.processes import get
from tests.support.stores import PostgreSQL, Valkey
from tests.support.waiting import wait_until


def counted(running: Gateway, what: str) -> dict[Any, int]:
    """By the status, key, path or API: hits of these days."""
    now = dt.datetime.now(dt.UTC)
    dates = f"{now - dt.timedelta(days=1):%d/%m/%Y}/{now + dt.timedelta(days=1):%d/%m/%Y}"
    status, answer = running.operator("GET", f"/api/activity/{what}/{dates}?res=month&p=-1")
    assert status == 200, answer
    counts: dict[Any, int] = {}
    for one in answer["data"]:
        id = one["id"]
        name = id["path"] or id["key"] or id["code"] or id["api_id"]
        counts[name] = counts.get(name, 0) + one["hits"]
    return counts


def test_every_request_is_counted_and_totals_are_those_of_the_records(
    odd_upstream: OddUpstream, own_postgresql: PostgreSQL, valkey: Valkey, tmp_path: Path
) -> None:
    apis = [
        definition("free", f"{odd_upstream.url}/"),
        definition("keyed", f"{odd_upstream.url}/", use_keyless=False),
        definition("quiet", f"{odd_upstream.url}/", do_not_track=True),
    ]
    url = own_postgresql.new_database()
    env = {"GATEWAY_ANALYTICS": "on", "GATEWAY_DATABASE_URL": url, "GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url}
    with gateway(tmp_path, apis, env) as running:
        for number in range(20):
            assert get(running.port, f"/free/users/{number}")[0] == 200
            assert get(running.port, "/quiet/")[0] == 200
            assert get(running.port, "/keyed/")[0] == 401
            assert get(running.port, "/nobody")[0] == 404
        wait_until(lambda: counted(running, "apis") == {"free": 20, "keyed": 20}, 30, "the counts")
        assert counted(running, "codes") == {200: 20, 401: 20}
        assert counted(running, "errors") == {401: 20}
        assert counted(running, "endpoint/free") == {"/users/{id}": 20}

        for _ in range(3):  # whoever is killed while it writes
            asked = running.workers()
            for _ in range(100):
                get(running.port, "/free/")
            os.kill(asked[0], signal.SIGKILL)
            wait_until(lambda gone=asked[0]: gone not in running.workers() and len(running.started()) == 2, 60, "another worker")

        with hanging(own_postgresql):
            for _ in range(50):
                assert get(running.port, "/free/meanwhile")[0] == 200
        wait_until(lambda: counted(running, "endpoint/free").get("/meanwhile") == 50, 60, "what was asked meanwhile")
    own = psycopg.connect(url.replace("postgresql+psycopg", "postgresql"))
    with own as connection:
        sums = connection.execute(
            'SELECT kind, "grain", sum(hits), sum(request_us) FROM analytics_rollups GROUP BY kind, "grain" ORDER BY 1, 2'
        ).fetchall()
        records = connection.execute("SELECT count(*), sum(request_us) FROM analytics_records").fetchone()
    assert records is not None and 90 <= records[0] <= 390
    assert [(kind, grain) for kind, grain, *_ in sums] == [(kind, grain) for kind in (1, 2, 3) for grain in (0, 1, 2)]
    assert {one[2:] for one in sums} == {records}
