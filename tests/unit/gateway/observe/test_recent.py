"""What happened in the last minute, from the counts of requests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.common.metrics.families import Families
from services.gateway.observe.recent import NAME, Recent
from services.gateway.observe.tallies import Tallies
from tests.unit.gateway.exchanges import exchange


class House:
    def __init__(self) -> None:
        self.now = 0.0
        self.tallies = Tallies(lambda *_: None)
        self.recent = Recent(self.tallies, lambda: self.now)

    def answer(self, api_id: str, refused: str = "", spent: float = 0.0) -> None:
        one = exchange()
        api: Any = SimpleNamespace(api_id=api_id)
        one.api, one.refused = api, refused
        one.started -= spent
        one.asked = one.started if spent else 0.0
        self.tallies.answered(one, 403 if refused else 200, 7)

    def told(self, api_id: str = "one") -> dict[str, float]:
        registry = CollectorRegistry()
        registry.register(self.recent)
        values = Families(registry.collect()).values(NAME)
        return {labels["what"]: value for labels, value in values if labels["api"] == api_id}


@pytest.fixture
def house() -> House:
    return House()


def test_each_kind_is_counted_by_api(house: House) -> None:
    for refused in ("", "", "rate-limit-exceeded", "api-rate-limit-exceeded", "quota-exceeded", "ip-refused", "body-too-large"):
        house.answer("one", refused)
    house.answer("two", spent=3.0)
    found = house.told()
    assert (found["passed"], found["throttled"], found["over_quota"], found["key_failures"]) == (2, 2, 1, 1)
    assert 3.0 <= house.told("two")["seconds"] < 60.0
    assert house.told("three") == {}


def test_a_minute_later_it_is_forgotten(house: House) -> None:
    house.answer("one")
    house.recent.look()
    house.now = 30.0
    house.answer("one")
    assert house.told()["passed"] == 2
    house.now = 60.0
    assert house.told()["passed"] == 1
    house.now = 90.0
    assert house.told() == {}
    house.answer("one")
    assert house.told()["passed"] == 1
