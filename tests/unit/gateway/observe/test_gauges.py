"""The numbers of a worker, as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from services.gateway.observe.gauges import Gauges


def test_gauges_are_read_when_they_are_asked_for() -> None:
    numbers = [1.0]
    gauges = Gauges()
    gauges.set("apis", "APIs that are served.", lambda: numbers[0])
    gauges.count("events_dropped", "Events that were lost.", lambda: 2 * numbers[0])
    registry = CollectorRegistry()
    registry.register(gauges)
    numbers[0] = 7.0
    text = generate_latest(registry).decode()
    assert "# HELP gateway_apis APIs that are served." in text
    assert "gateway_apis 7.0" in text
    assert "gateway_events_dropped_total 14.0" in text


def test_numbers_that_a_label_tells_apart() -> None:
    gauges = Gauges()
    gauges.split("upstream_connections", "Connections to upstreams.", "state", lambda: {"idle": 3, "busy": 1})
    registry = CollectorRegistry()
    registry.register(gauges)
    text = generate_latest(registry).decode()
    assert 'gateway_upstream_connections{state="idle"} 3.0' in text
    assert 'gateway_upstream_connections{state="busy"} 1.0' in text
