"""Aggregates: units of UTC, put together from what the store counts."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.devices.data.rules import aggregates, times
from services.devices.data.rules.aggregates import Summary


def unit_of(text: str, interval: str) -> int:
    return (times.of(dt.datetime.fromisoformat(text)) - aggregates.ORIGIN) // aggregates.length(interval)


@pytest.mark.parametrize(
    ("interval", "begins"),
    [
        ("minute", "2024-02-29T23:59:00.000Z"), ("hour", "2024-02-29T23:00:00.000Z"), ("day", "2024-02-29T00:00:00.000Z"),
        ("week", "2024-02-26T00:00:00.000Z"), ("month", "2024-02-01T00:00:00.000Z"), ("quarter", "2024-01-01T00:00:00.000Z"),
        ("year", "2024-01-01T00:00:00.000Z"),
    ],
)  # fmt: skip
def test_where_an_interval_begins(interval: str, begins: str) -> None:
    one = Summary(unit_of("2024-02-29T23:59:59.999+00:00", interval), 2, 6.0, 1.0, 5.0)
    [(found, value)] = aggregates.points([one], interval, "avg")
    assert (times.write(found), value) == (begins, 3.0)


def test_months_are_put_together_from_days() -> None:
    days = [("2024-01-31", 1, 4.0, 4.0, 4.0), ("2024-02-01", 2, 6.0, 1.0, 5.0), ("2024-02-29", 1, 9.0, 9.0, 9.0)]
    found = [Summary(unit_of(f"{day}T00:00:00+00:00", "month"), *more) for day, *more in days]
    for function, values in {"sum": [4, 15], "avg": [4, 5], "min": [4, 1], "max": [4, 9], "count": [1, 3]}.items():
        points = aggregates.points(found, "month", function)
        assert [(times.write(begins)[:10], value) for begins, value in points] == [("2024-01-01", values[0]), ("2024-02-01", values[1])]
        assert aggregates.points(reversed(found), "month", function) == points[::-1]


@given(st.integers(times.EARLIEST, times.LATEST), st.sampled_from(aggregates.INTERVALS))
def test_a_moment_is_in_its_interval(milliseconds: int, interval: str) -> None:
    unit = (milliseconds - aggregates.ORIGIN) // aggregates.length(interval)
    [(begins, _)] = aggregates.points([Summary(unit, 1, 1.0, 1.0, 1.0)], interval, "sum")
    longest = {"month": 31, "quarter": 92, "year": 366}.get(interval, 0) * times.DAY_MS or aggregates.length(interval)
    assert begins <= milliseconds < begins + longest


@given(st.sampled_from(aggregates.INTERVALS), st.integers(1, 10_000))
def test_so_many_units_are_enough(interval: str, most: int) -> None:
    days = {"month": 31, "quarter": 92, "year": 366}.get(interval, 1)
    assert aggregates.units_of(interval, most) >= most * days
