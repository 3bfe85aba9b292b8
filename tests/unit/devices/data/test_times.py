"""Moments in queries: absolute and relative ones, and how they are written."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.devices.data.rules import times
from services.devices.data.rules.times import Bound


def at(text: str) -> int:
    return times.of(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC))


NOW = at("2024-03-31T10:20:30.400")


@pytest.mark.parametrize(
    ("text", "bound", "expected"),
    [
        ("2024-01-02", "start", "2024-01-02"),
        ("2024-01-02", "end", "2024-01-02T23:59:59.999"),
        ("2024-02-29", "end", "2024-02-29T23:59:59.999"),
        ("2024-01-02T03:04:05.6Z", "start", "2024-01-02T03:04:05.600"),
        ("2024-01-02 03:04", "end", "2024-01-02T03:04:00"),
        ("2024-01-02T03:04:05+02:00", "start", "2024-01-02T01:04:05"),
        ("2024-01-02T03:04:05 02:00", "start", "2024-01-02T01:04:05"),  # `+` that was not encoded
        ("2024-01-02 03:04:05.006000+00:00", "start", "2024-01-02T03:04:05.006"),  # the official Python library
        ("2024-01-02T03:04:05-0330", "start", "2024-01-02T06:34:05"),
        ("2024-01-02t03:04:05z", "start", "2024-01-02T03:04:05"),
        ("2024-01-02T03:04:05.0001Z", "start", "2024-01-02T03:04:05.001"),
        ("2024-01-02T03:04:05.0019Z", "end", "2024-01-02T03:04:05.001"),
        ("1704164645", "start", "2024-01-02T03:04:05"),
        ("1704164645006", "end", "2024-01-02T03:04:05.006"),
        ("1 day", "start", "2024-03-30T10:20:30.400"),
        ("1 day", "end", "2024-04-01T10:20:30.400"),
        ("2 hours", "start", "2024-03-31T08:20:30.400"),
        ("1 month", "start", "2024-02-29T10:20:30.400"),
        ("1 month", "end", "2024-04-30T10:20:30.400"),
        ("13 months", "start", "2023-02-28T10:20:30.400"),
        ("1 year", "start", "2023-03-31T10:20:30.400"),
        ("1 quarter", "start", "2023-12-31T10:20:30.400"),
        ("3 weeks", "start", "2024-03-10T10:20:30.400"),
        ("90min", "start", "2024-03-31T08:50:30.400"),
        ("5 m", "start", "2024-03-31T10:15:30.400"),
        ("1 M", "start", "2024-02-29T10:20:30.400"),
        ("15 Minutes", "start", "2024-03-31T10:05:30.400"),
        (" 0 days ", "start", "2024-03-31T10:20:30.400"),
    ],
)
def test_reading(text: str, bound: Bound, expected: str) -> None:
    assert times.read(text, NOW, bound) == at(expected)


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "2024-02-30", "2023-02-29", "2024-13-01", "2024-01-32", "2024-01-02T25:00", "2024-01-02T03:04:05+24:00", "2024-1-2",
        "24-01-02", "2024-01-02T", "30 February", "-1 day", "1.5 days", "day", "1 fortnight", "999999999 years", "1 day 2 hours", "٣ days",
        "never", "999999999999999", "10000-01-01", "1e9", "NaN", "2024-01-02T03:04:05Z+01:00", "999999999 days",
    ],
)  # fmt: skip
@pytest.mark.parametrize("bound", ["start", "end"])
def test_what_is_no_moment(text: str, bound: Bound) -> None:
    with pytest.raises(ValueError, match=f"^Invalid {bound} date$"):
        times.read(text, NOW, bound)


@given(st.text(max_size=30), st.sampled_from(["start", "end"]))
def test_any_text(text: str, bound: Bound) -> None:
    with contextlib.suppress(ValueError):
        assert times.EARLIEST <= times.read(text, NOW, bound) <= times.LATEST


MOMENTS = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_000)).map(lambda one: one.replace(tzinfo=dt.UTC))


@given(MOMENTS)
def test_what_is_written_is_read_as_it_was(moment: dt.datetime) -> None:
    milliseconds = times.of(moment)
    text = times.write(milliseconds)
    assert dt.datetime.fromisoformat(text) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert times.read(text, NOW, "start") == times.read(text, NOW, "end") == milliseconds
    assert times.of(times.moment(milliseconds)) == milliseconds


@given(MOMENTS, st.integers(-30_000, 30_000))
def test_months_keep_the_day_where_there_is_one(moment: dt.datetime, count: int) -> None:
    months = moment.year * 12 + moment.month - 1 + count
    if not 12 <= months < 120_000:
        with pytest.raises(ValueError, match="out of range"):
            times.add_months(times.of(moment), count)
        return
    found = times.moment(times.add_months(times.of(moment), count))
    assert found.year * 12 + found.month - 1 == months
    assert found.day == moment.day or (found.day < moment.day and (found + dt.timedelta(days=1)).day == 1)
    assert found.time() == moment.time().replace(microsecond=moment.microsecond // 1000 * 1000)
