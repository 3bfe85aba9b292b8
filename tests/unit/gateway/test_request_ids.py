"""Ids of requests."""

from __future__ import annotations

import re

from services.gateway.request_ids import RequestIds


def test_no_two_are_alike_and_all_count_on() -> None:
    ids = RequestIds()
    made = [ids.next() for _ in range(1000)]
    assert len({one[:16] for one in made}) == 1
    assert [int(one[16:], 16) for one in made] == list(range(1, 1001))
    assert all(re.fullmatch("[0-9a-f]{24}", one) for one in made)


def test_those_of_another_worker_differ() -> None:
    assert RequestIds().next() != RequestIds().next()
