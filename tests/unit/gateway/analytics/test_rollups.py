"""What records add up to."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.analytics import rollups
from services.gateway.analytics.rollups import API, DAY, HOUR, KEY, MONTH, OAUTH, OTHER, PATH, Names, Row, roll_up, start_of
from tests.unit.gateway.analytics.making import KEEP_S, NOON, record

HOUR_OF_NOON = int(NOON) // 3600
DAY_OF_NOON = HOUR_OF_NOON - 12
MONTH_OF_NOON = DAY_OF_NOON - 14 * 24


def test_a_record_counts_by_api_key_and_path_in_its_hour_day_and_month() -> None:
    found = roll_up([record(key="k", path="/x", code=404, client="c"), record(NOON + 3600, key="k", path="/x")], Names())
    place = ("acme", "api", "Non Versioned")
    assert {row: one.hits for row, one in found.items()} == {
        Row(API, HOUR, HOUR_OF_NOON, *place, 404, ""): 1,
        Row(API, HOUR, HOUR_OF_NOON + 1, *place, 200, ""): 1,
        Row(API, DAY, DAY_OF_NOON, *place, 200, ""): 1,
        Row(API, DAY, DAY_OF_NOON, *place, 404, ""): 1,
        Row(KEY, HOUR, HOUR_OF_NOON, *place, 0, "k"): 1,
        Row(KEY, HOUR, HOUR_OF_NOON + 1, *place, 0, "k"): 1,
        Row(KEY, DAY, DAY_OF_NOON, *place, 0, "k"): 2,
        Row(PATH, HOUR, HOUR_OF_NOON, *place, 0, "/x"): 1,
        Row(PATH, HOUR, HOUR_OF_NOON + 1, *place, 0, "/x"): 1,
        Row(PATH, DAY, DAY_OF_NOON, *place, 0, "/x"): 2,
        Row(OAUTH, HOUR, HOUR_OF_NOON, *place, 0, "c"): 1,
        Row(OAUTH, DAY, DAY_OF_NOON, *place, 0, "c"): 1,
        Row(API, MONTH, MONTH_OF_NOON, *place, 200, ""): 1,
        Row(API, MONTH, MONTH_OF_NOON, *place, 404, ""): 1,
        Row(KEY, MONTH, MONTH_OF_NOON, *place, 0, "k"): 2,
        Row(PATH, MONTH, MONTH_OF_NOON, *place, 0, "/x"): 2,
        Row(OAUTH, MONTH, MONTH_OF_NOON, *place, 0, "c"): 1,
    }
    whole = found[Row(KEY, DAY, DAY_OF_NOON, *place, 0, "k")]
    assert (whole.success, whole.error, whole.request_us, whole.name) == (1, 1, 4000, "alias of k")
    assert (whole.last, whole.expires) == ((NOON + 3600) * 1000, (DAY_OF_NOON + 24) * 3600 + KEEP_S)
    month = found[Row(KEY, MONTH, MONTH_OF_NOON, *place, 0, "k")]
    assert month.expires == (MONTH_OF_NOON + 31 * 24) * 3600 + KEEP_S
    assert list(found) == sorted(found), "all workers lock rows in one order"


@given(st.lists(st.tuples(st.integers(0, 90_000), st.sampled_from("ab"), st.sampled_from(["", "k", "l"]), st.integers(100, 599))))
def test_every_kind_adds_up_to_the_records(told: list[tuple[int, str, str, int]]) -> None:
    records = [record(NOON + at, api_id, key, f"/{at % 7}x", code) for at, api_id, key, code in told]
    found = roll_up(records, Names())
    for kind in API, KEY, PATH:
        for grain in HOUR, DAY, MONTH:
            own = [one for row, one in found.items() if (row.kind, row.grain) == (kind, grain)]
            assert sum(one.hits for one in own) == len(records)
            assert sum(one.success for one in own) == sum(one.code < 400 for one in records)
            assert sum(one.error for one in own) == sum(one.code >= 400 for one in records)
            assert sum(one.request_us for one in own) == sum(one.request_us for one in records)


def test_paths_beyond_the_most_are_counted_as_other() -> None:
    names = Names()
    records = [record(path=f"/x{number}") for number in range(700)] + [record(path="/x3")]
    found = Counter({row.item: one.hits for row, one in roll_up(records, names).items() if (row.kind, row.grain) == (PATH, HOUR)})
    assert (len(found), found[OTHER], found["/x3"], found.total()) == (501, 200, 2, 701)
    [path] = [row.item for row in roll_up([record(path="/new")], names) if (row.kind, row.grain) == (PATH, HOUR)]
    assert path == OTHER, "the worker remembers"
    items = [row.item for row in roll_up([record(NOON + 3600, path="/new")], names) if row.kind == PATH]
    assert items == ["/new", OTHER, OTHER], "the next hour has room, the day and the month have none"


def test_what_is_remembered_is_forgotten_with_its_time() -> None:
    names = Names()
    for day in range(200):
        roll_up([record(NOON + day * 86_400, path=f"/{day}/x")], names)
    assert len(names._known) <= 2 * 3 * 2, "keys and paths, of an hour, a day and a month, and of the ones before"
    assert names._remembered == sum(map(len, names._known.values()))


def test_a_clock_that_was_ahead_for_a_moment_does_not_end_forgetting() -> None:
    names = Names()
    for day in (0, 4000, *range(200)):
        roll_up([record(NOON + day * 86_400, path=f"/{day}/x")], names)
    assert len(names._known) <= 2 * 3 * 2
    assert names._remembered == sum(map(len, names._known.values()))


def test_the_memory_of_all_names_is_bounded() -> None:
    names = Names()
    names._remembered = rollups._MOST_IN_MEMORY
    assert names.allowed(PATH, HOUR, HOUR_OF_NOON, "api", "/x") == OTHER


@pytest.mark.parametrize(
    ("day", "start", "over"),
    [
        ((2027, 1, 15), (2027, 1, 1), (2027, 2, 1)),
        ((2028, 2, 29), (2028, 2, 1), (2028, 3, 1)),
        ((2027, 12, 31), (2027, 12, 1), (2028, 1, 1)),
    ],
)
def test_months(day: tuple[int, int, int], start: tuple[int, int, int], over: tuple[int, int, int]) -> None:
    hours = [rollups.hour_of(dt.date(*one)) for one in (day, start, over)]
    assert start_of(MONTH, hours[0] + 23) == tuple(hours[1:])


def test_whoever_tries_paths_at_random_does_not_hide_the_real_ones() -> None:
    names = Names()
    roll_up([record(path=f"/tried{number}x", code=404) for number in range(600)], names)
    found = roll_up([record(path="/tried", code=403), record(path="/real"), record(path="/failing", code=500)], names)
    assert {row.item for row in found if row.kind == PATH} == {OTHER, "/real", "/failing"}
    assert {row.item for row in roll_up([record(path="/real", code=404)], names) if row.kind == PATH} == {"/real"}
