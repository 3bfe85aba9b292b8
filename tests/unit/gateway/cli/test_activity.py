"""`activity`: what requests add up to, as a table."""

from __future__ import annotations

import json
import time
from typing import Any

from services.gateway.analytics.rollups import Names, roll_up
from services.gateway.stores.activity import ActivityStore
from services.gateway.stores.analytics import AnalyticsStore
from tests.unit.gateway.analytics.making import batch, record


def test_activity(run: Any, operator: Any) -> None:
    now = time.time()
    requests = [record(now, key="k1", path="/users/7"), record(now, api_id="two", code=500)]
    AnalyticsStore(operator.gateway.database).write(batch(), requests, roll_up(requests, Names()))
    assert {one["id"]["api_id"]: one["hits"] for one in json.loads(run("--json", "activity", "apis").output)} == {"api": 1, "two": 1}
    [line] = run("activity", "apis", "--api", "two", "--by", "month").output.splitlines()[1:]
    assert line.split()[:4] == [time.strftime("%Y-%m", time.gmtime(now)), "two", "1", "1"]
    assert "api Non Versioned k1 alias of k1" in run("activity", "apis", "--key", "k1", "--by", "hour").output
    assert "api /users/{id}" in run("activity", "endpoints", "--api", "api").output
    assert "(no key)" in run("activity", "keys", "--api", "two").output
    cut = run("activity", "keys", "--last", "1")
    assert "1 of 2; --last shows more" in cut.output
    assert run("activity", "keys", "--key", "k1").exit_code == 2
    assert json.loads(run("--json", "activity", "errors", "--since", "2020-01-31", "--until", "2020-01-31").output) == []


def test_it_says_when_nothing_is_recorded(run: Any, operator: Any) -> None:
    operator.gateway.activity = ActivityStore(operator.gateway.database, recording=False)
    assert "GATEWAY_ANALYTICS=on" in run("activity", "apis").output
