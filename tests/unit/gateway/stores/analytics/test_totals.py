"""What records add up to: by hour, day and month, page by page, read from few rows."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from services.common.clock import SettableClock
from services.common.core_database import CoreDatabase
from services.gateway.analytics.rollups import MONTH
from services.gateway.stores import activity
from services.gateway.stores.activity import ActivityStore, Chosen, Period
from services.gateway.stores.analytics import ROLLUPS
from services.gateway.stores.callers import Caller
from tests.unit.gateway.analytics.making import HOUR, NOON, record

DAY = dt.date(2027, 1, 15)
ONE_DAY = Period(DAY, DAY)
ANY = Chosen()
Write = Callable[..., None]


def counts(seen: ActivityStore, view: Any, chosen: Chosen = ANY, period: Period = ONE_DAY, resolution: Any = "day") -> Any:
    """By everything that is counted by: hits."""
    found, total = seen.page(view, period, resolution, chosen, -1)
    assert total == len(found)
    return {(one.start.strftime("%m-%dT%H"), *one.by.values()): one.hits for one in found}


def test_batches_add_up(write: Write, seen: ActivityStore) -> None:
    write(record(key="k", ms=3), record(code=500, ms=5))
    write(record(NOON + HOUR, key="k", ms=4), record(NOON + 60, api_id="two", key="k"))
    [one, two] = seen.page(activity.APIS, ONE_DAY, "day", ANY)[0]
    assert (one.by, one.hits, one.success, one.error, one.request_ms, one.name) == ({"api_id": "api"}, 3, 2, 1, 12.0, "name of api")
    assert one.last_hit == dt.datetime(2027, 1, 15, 13, tzinfo=dt.UTC)
    assert (two.by, two.hits) == ({"api_id": "two"}, 1)
    assert counts(seen, activity.APIS, resolution="hour") == {("01-15T12", "api"): 2, ("01-15T12", "two"): 1, ("01-15T13", "api"): 1}
    assert counts(seen, activity.KEYS) == {("01-15T00", "k"): 3, ("01-15T00", ""): 1}
    assert counts(seen, activity.APIS_OF_KEY, Chosen(item="k")) == {
        ("01-15T00", "api", "Non Versioned", "k"): 2,
        ("01-15T00", "two", "Non Versioned", "k"): 1,
    }
    assert counts(seen, activity.CODES) == {("01-15T00", 200): 3, ("01-15T00", 500): 1}
    assert counts(seen, activity.ERRORS) == {("01-15T00", 500): 1}
    assert counts(seen, activity.ERRORS, Chosen(api_id="two")) == {}


def test_versions_endpoints_and_clients(write: Write, seen: ActivityStore) -> None:
    write(*(record(path=f"/users/{number}", key="k", client="c") for number in range(3)), record(path="/"))
    assert counts(seen, activity.VERSIONS) == {("01-15T00", "api", "Non Versioned"): 4}
    assert counts(seen, activity.ENDPOINTS, Chosen(api_id="api")) == {("01-15T00", "api", "/users/{id}"): 3, ("01-15T00", "api", "/"): 1}
    assert counts(seen, activity.CLIENTS, Chosen(item="c")) == {("01-15T00", "api", "c"): 3}


def test_whole_days_and_months(write: Write, seen: ActivityStore) -> None:
    day_s = 86_400
    write(*(record(NOON + number * day_s) for number in (-15, -14, 0, 16, 17)))  # 31/12, 1/1, 15/1, 31/1, 1/2
    year = Period(dt.date(2026, 12, 31), dt.date(2027, 2, 1))
    assert counts(seen, activity.APIS, period=year, resolution="month") == {
        ("12-01T00", "api"): 1,
        ("01-01T00", "api"): 3,
        ("02-01T00", "api"): 1,
    }
    long = Period(dt.date(2026, 12, 15), dt.date(2027, 3, 9))
    assert counts(seen, activity.APIS, period=long, resolution="month") == {
        ("12-01T00", "api"): 1,
        ("01-01T00", "api"): 3,
        ("02-01T00", "api"): 1,
    }
    part = Period(dt.date(2027, 1, 2), dt.date(2027, 1, 31))
    assert counts(seen, activity.APIS, period=part, resolution="month") == {("01-01T00", "api"): 2}
    assert counts(seen, activity.APIS, period=part) == {("01-15T00", "api"): 1, ("01-31T00", "api"): 1}


def test_which_rows_a_month_is_made_of(write: Write, database: CoreDatabase) -> None:
    """Of its own, when it is asked for as a whole or its last days are to come; else of days."""
    write(record(), record(NOON + 86_400))
    with database.engine.begin() as connection:
        connection.execute(sa.update(ROLLUPS).where(ROLLUPS.c.grain == MONTH).values(hits=100))

    def hits(since: tuple[int, int], until: tuple[int, int], today: dt.datetime) -> int:
        store = ActivityStore(database, recording=True, clock=SettableClock(today))
        period = Period(dt.date(2027, *since), dt.date(2027, *until))
        return sum(one.hits for one in store.page(activity.APIS, period, "month", ANY)[0])

    later, on_16 = dt.datetime(2028, 1, 1, tzinfo=dt.UTC), dt.datetime(2027, 1, 16, tzinfo=dt.UTC)
    assert hits((1, 1), (1, 31), later) == 100
    assert hits((1, 1), (1, 30), later) == 2
    assert hits((1, 2), (1, 31), later) == 2
    assert hits((1, 16), (2, 28), later) == 1
    assert hits((1, 1), (1, 16), on_16) == 100
    assert hits((1, 1), (1, 15), on_16) == 1
    assert hits((1, 16), (1, 20), on_16) == 1


def test_pages(write: Write, seen: ActivityStore) -> None:
    write(*(record(key=f"k{number}") for number in range(7) for _ in range(7 - number)))
    first, count = seen.page(activity.KEYS, ONE_DAY, "day", ANY, 0, 3)
    assert ([(one.by["item"], one.hits) for one in first], count) == ([("k0", 7), ("k1", 6), ("k2", 5)], 7)
    last, count = seen.page(activity.KEYS, ONE_DAY, "day", ANY, 2, 3)
    assert ([one.by["item"] for one in last], count) == (["k6"], 7)
    assert seen.page(activity.KEYS, ONE_DAY, "day", ANY, 3, 3) == ([], 7)
    assert seen.page(activity.KEYS, Period(dt.date(2030, 1, 1), dt.date(2030, 1, 1)), "day", ANY, 1, 3) == ([], 0)


@pytest.mark.parametrize("chosen", [ANY, Chosen(api_id="api"), Chosen(item="k2"), Chosen(api_id="two", item="k2")])
def test_pages_together_are_everything(write: Write, seen: ActivityStore, chosen: Chosen) -> None:
    """Whatever the length of a page, and wherever it begins in an hour, a day or a month."""
    at = [NOON + 5 * HOUR * number for number in range(12)] + [NOON + 40 * 86_400]
    write(
        *(
            record(when, "two" if number % 3 else "api", f"k{number % 4}", f"/p{number % 5}x", 200 + 201 * (number % 2))
            for number, when in enumerate(at)
            for _ in range(number % 3 + 1)
        )
    )
    period = Period(dt.date(2027, 1, 3), dt.date(2027, 2, 28))
    resolutions: tuple[activity.Resolution, ...] = ("hour", "day", "month")
    for resolution, view in itertools.product(resolutions, (activity.APIS, activity.CODES, activity.KEYS, activity.ENDPOINTS)):
        everything, count = seen.page(view, period, resolution, chosen, -1)
        order = [(one.start, -one.hits, *(one.by[name] for name in view.by)) for one in everything]
        assert (len(everything), order) == (count, sorted(order))
        for size in 1, 3, count or 1:
            pages = [seen.page(view, period, resolution, chosen, number, size) for number in range(-(-count // size))]
            assert [one for found, _ in pages for one in found] == everything
            assert {total for _, total in pages} <= {count}


def test_more_than_can_be_shown_at_once(write: Write, seen: ActivityStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write(*(record(key=f"k{number}") for number in range(5)))
    monkeypatch.setattr(activity, "MOST_AT_ONCE", 4)
    assert seen.page(activity.KEYS, ONE_DAY, "day", ANY, -1) == ([], 5)


@pytest.mark.parametrize(("view", "chosen"), [(activity.CODES, ANY), (activity.KEYS, ANY), (activity.ENDPOINTS, Chosen(api_id="api"))])
def test_how_many_there_are_is_read_from_the_index(
    view: activity.View, chosen: Chosen, seen: ActivityStore, write: Write, database: CoreDatabase
) -> None:
    """Rows lie on a page each; those of one API are looked up by hour, not found among those of all APIs."""
    write(*(record(NOON + hour * HOUR, f"api{number}", f"k{number}") for hour in range(5) for number in range(200)))
    told: list[tuple[str, Any]] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda _c, _cursor, said, values, *_: told.append((said, values)))
    seen.page(view, Period(DAY, DAY + dt.timedelta(days=1)), "hour", chosen)
    said, values = next(one for one in told if "DISTINCT" in one[0])
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        if database.dialect == "sqlite":
            connection.exec_driver_sql("ANALYZE")
            plan = "\n".join(row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", values))
            assert "USING COVERING INDEX" in plan
            assert ("start=? AND api_id=?" in plan) == (chosen != ANY)
        else:
            connection.exec_driver_sql("VACUUM (ANALYZE) analytics_rollups")
            connection.exec_driver_sql("SET enable_seqscan = off")  # the table is small
            connection.exec_driver_sql("SET enable_bitmapscan = off")
            plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {said}", values))
            assert "Index Only Scan" in plan
            assert ("start = ANY" in plan) == (chosen != ANY)


def test_an_organisation_sees_its_own(write: Write, seen: ActivityStore) -> None:
    write(record(org_id="a", api_id="of-a", key="k"), record(org_id="b", api_id="of-b", key="k"))
    own = seen.for_caller(Caller("a"))
    assert counts(own, activity.APIS) == {("01-15T00", "of-a"): 1}
    assert counts(own, activity.KEYS) == {("01-15T00", "k"): 1}
    assert counts(own, activity.APIS, Chosen(api_id="of-b")) == {}
    when = dt.datetime.fromtimestamp(NOON, dt.UTC)
    records, more = own.records(when, when + dt.timedelta(hours=1))
    assert ([one["api_id"] for one in records], more) == (["of-a"], False)
