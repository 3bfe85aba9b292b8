"""How moments are written."""

from __future__ import annotations

import datetime as dt

import pytest

from services.common.clock import isoformat


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "2026-01-01T00:00:00.000Z"),
        (dt.datetime(2026, 7, 1, 1, 2, 3, 999_999, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2026-06-30T23:02:03.999Z"),
        (dt.datetime(278, 7, 25, tzinfo=dt.UTC), "0278-07-25T00:00:00.000Z"),
    ],
)
def test_a_moment_is_written_in_utc_with_milliseconds(moment: dt.datetime, text: str) -> None:
    assert isoformat(moment) == text
