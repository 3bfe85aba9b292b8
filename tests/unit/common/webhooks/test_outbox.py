"""What every sender of webhooks needs to write a call: its id and its lane."""

from __future__ import annotations

import pytest

from services.common.webhooks.outbox import lane_of, new_id
from tests.unit.common.webhooks.example_tables import TABLES


def test_ids_differ_and_fit_their_column() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert max(map(len, ids)) <= TABLES.deliveries.c.id.type.length


@pytest.mark.parametrize(
    ("url", "lane"),
    [
        ("https://Hooks.Example/a?b#c", "https://hooks.example"),
        ("HTTP://hooks.example:8080", "http://hooks.example:8080"),
        ("http://[2001:DB8::1]/", "http://[2001:db8::1]"),
    ],
)
def test_a_lane_is_scheme_host_and_port(url: str, lane: str) -> None:
    assert lane_of(url) == lane
