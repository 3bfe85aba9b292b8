"""How long a body may take: idle, whole, and a least rate; time in which it is not read does not count."""

from __future__ import annotations

import pytest

from services.gateway.wire.pace import GRACE, Limits, Pace

LIMITS = Limits(idle=60, whole=600, least_rate=1000)


def test_a_sender_of_nothing_has_the_grace() -> None:
    assert Pace(LIMITS, 100.0).deadline(100.0) == 100 + GRACE


def test_what_comes_buys_time_at_the_least_rate() -> None:
    pace = Pace(LIMITS, 100.0)
    assert pace.deadline(101.0, 5000) == 100 + GRACE + 5
    assert pace.deadline(102.0, 5000) == 100 + GRACE + 10


def test_a_byte_now_and_then_buys_nothing() -> None:
    pace = Pace(LIMITS, 0.0)
    for second in range(1, 9):
        assert pace.deadline(second, 1) <= GRACE + 0.01


def test_a_fast_sender_still_has_its_idle_time_only() -> None:
    assert Pace(LIMITS, 0.0).deadline(20.0, 10_000_000) == 80


def test_no_body_takes_longer_than_the_whole_time() -> None:
    pace = Pace(LIMITS, 0.0)
    assert pace.deadline(590.0, 10_000_000) == 600


def test_without_a_least_rate() -> None:
    assert Pace(Limits(60, 600, 0), 0.0).deadline(0.0) == 60


@pytest.mark.parametrize("size", [0, 3000])
def test_time_in_which_nobody_reads_is_not_the_senders(size: int) -> None:
    pace = Pace(LIMITS, 0.0)
    before = pace.deadline(1.0, size)
    pace.not_counted(50.0)
    assert pace.deadline(1.0) == min(before + 50, 61)
