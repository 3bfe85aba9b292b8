"""Records, the newest first: those that were looked for, and only where there are some."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from services.common.core_database import CoreDatabase
from services.gateway.analytics import rollups
from services.gateway.stores import activity
from services.gateway.stores.activity import ActivityStore, Chosen, Period
from services.gateway.stores.analytics import RECORDS
from services.gateway.stores.callers import Caller
from tests.unit.gateway.analytics.making import HOUR, NOON, record

DAY = dt.date(2027, 1, 15)
ONE_DAY = Period(DAY, DAY)
ANY = Chosen()
Write = Callable[..., None]


def test_records_newest_first(write: Write, seen: ActivityStore) -> None:
    write(*(record(NOON + number, key=f"k{number % 2}", code=200 + 300 * (number == 3)) for number in range(5)))
    since, until = dt.datetime.fromtimestamp(NOON, dt.UTC), dt.datetime.fromtimestamp(NOON + 5, dt.UTC)

    def ats(**chosen: Any) -> tuple[list[float], bool]:
        found, more = seen.records(since, until, **chosen)
        return [one["at"].timestamp() - NOON for one in found], more

    assert ats() == ([4, 3, 2, 1, 0], False)
    assert ats(size=2) == ([4, 3], True)
    assert ats(size=2, number=2) == ([0], False)
    assert ats(key_id="k1") == ([3, 1], False)
    assert ats(errors_only=True) == ([3], False)
    assert ats(api_id="other") == ([], False)


@pytest.mark.parametrize(
    "chosen", [{}, {"key_id": "k1"}, {"key_id": "k1", "errors_only": True}, {"api_id": "two"}, {"api_id": "two", "errors_only": True},
               {"errors_only": True}, {"api_id": "two", "key_id": "k1"}],
)  # fmt: skip
@pytest.mark.parametrize("org_id", ["", "b"])
def test_pages_of_records_are_those_of_all_records(
    chosen: dict[str, Any], org_id: str, write: Write, seen: ActivityStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although only hours are read in which there is something, also when a key is among `(other)` there, or records are deleted."""
    monkeypatch.setitem(rollups._MOST, rollups.KEY, 2)
    many = [
        record(
            NOON + number * 977,
            "two" if number % 3 else "api",
            f"k{number % 4}",
            code=200 + 300 * (number % 5 == 0),
            org_id="ab"[number % 2],
        )
        for number in range(40)
    ]
    write(*many)
    with seen._database.transaction() as connection:  # as an API with `expire_analytics_after` does before its hours end
        connection.execute(sa.delete(RECORDS).where(RECORDS.c.at == many[25].at))
    since, until = NOON + 1000.5, NOON + 38 * 977
    meant = [
        one.at
        for one in reversed(many)
        if one is not many[25]
        and since * 1000 <= one.at < until * 1000
        and org_id in ("", one.org_id)
        and chosen.get("api_id") in (None, one.api_id)
        and chosen.get("key_id") in (None, one.key_id)
        and (one.code >= 400 or not chosen.get("errors_only"))
    ]
    store = seen.for_caller(Caller(org_id)) if org_id else seen
    for size in 1, 3, 50:
        read, number, more = [], 0, True
        while more:
            found, more = store.records(
                *(dt.datetime.fromtimestamp(at, dt.UTC) for at in (since, until)), **chosen, number=number, size=size
            )
            read += [round(one["at"].timestamp() * 1000) for one in found]
            number += 1
        assert read == meant


def test_records_of_a_quiet_key_are_read_where_they_are(write: Write, seen: ActivityStore, database: CoreDatabase) -> None:
    """A month may have 100 million others."""
    write(*(record(NOON + hour * HOUR, key="busy") for hour in range(50)), record(NOON + 7.25 * HOUR, key="quiet"))
    told: list[Any] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda _c, _cursor, said, values, *_: told.append((said, values)))
    since, until = (dt.datetime.fromtimestamp(NOON + at * HOUR, dt.UTC) for at in (-1, 100))
    assert len(seen.records(since, until, key_id="quiet")[0]) == 1
    assert seen.records(since, until, key_id="nobody")[0] == seen.records(since, until, api_id="nothing")[0] == []
    [values] = [values for said, values in told if "FROM analytics_records" in said]
    at = round((NOON + 7.25 * HOUR) * 1000)
    assert {at, at + 1} <= set(values.values() if isinstance(values, dict) else values)


@pytest.mark.parametrize("odd", ['a"b', "a\\b", '"', "\\", "{a,b}", "a\tb\r\nc", "NULL", "ä € 𝄞", "'; --", "%s :x $1"])
def test_texts_come_back_as_they_were(odd: str, write: Write, seen: ActivityStore) -> None:
    write(*(record()._replace(alias=one, raw_request=one, path=one, tags=json.dumps([one])) for one in (odd, "", odd + "x")))
    since = dt.datetime.fromtimestamp(NOON, dt.UTC)
    found = seen.records(since, since + dt.timedelta(seconds=1))[0][::-1]
    assert [(one["alias"], one["raw_request"], one["path"], one["tags"]) for one in found] == [
        (one, one, one, [one]) for one in (odd, "", odd + "x")
    ]
    assert {one.by["item"] for one in seen.page(activity.ENDPOINTS, ONE_DAY, "day", ANY)[0]} == {odd, "", odd + "x"}
