"""`/tyk/health`."""

from __future__ import annotations

from types import SimpleNamespace

from prometheus_client.core import GaugeMetricFamily

from services.common.metrics.families import Families
from services.gateway.observe.recent import NAME
from tests.unit.gateway.operators import Operator


def family(**counts: float) -> Families:
    found = GaugeMetricFamily(NAME, "", labels=["api", "what"])
    for name, count in counts.items():
        found.add_metric(["one", name], count)
        found.add_metric(["another", name], 999)
    return Families([found])


def test_five_numbers_over_all_workers(operator: Operator) -> None:
    operator.new_api()
    both = Families()
    both.add(family(passed=100, throttled=7, over_quota=1, key_failures=0, seconds=2.0), "1")
    both.add(family(passed=50, throttled=2, over_quota=0, key_failures=61, seconds=1.0), "2")
    operator.app.extensions["seat"] = SimpleNamespace(families=lambda: both)
    assert operator.json("GET", "/tyk/health?api_id=one") == {
        "throttle_reqests_per_second": 0.15,
        "quota_violations_per_second": 0.01,
        "key_failures_per_second": 1.01,
        "average_upstream_latency": 20.0,
        "average_requests_per_second": 2.5,
    }
    assert b"recent" not in both.text(), "it is not for Prometheus"


def test_an_api_without_requests_and_one_that_does_not_exist(operator: Operator) -> None:
    operator.new_api()
    operator.app.extensions["metrics"] = SimpleNamespace(collect=list)
    assert set(operator.json("GET", "/tyk/health?api_id=one").values()) == {0.0}
    assert operator.json("GET", "/tyk/health", status=400)["message"] == "missing api_id parameter"
    assert operator.json("GET", "/tyk/health?api_id=none", status=404)["message"] == "API ID not found"
