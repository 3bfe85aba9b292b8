"""Metrics of several processes on one page: what is added up, and what each keeps for itself."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.common.metrics.families import Families, unpacked


def of_a_process(requests: float, memory: float, seconds: float) -> Families:
    registry = CollectorRegistry()
    Counter("requests", "Requests.", ["route"], registry=registry).labels('/"odd"\\ü').inc(requests)
    Gauge("memory_bytes", "Memory.", registry=registry).set(memory)
    Histogram("seconds", "Time.", buckets=[1.0], registry=registry).observe(seconds)
    return Families(registry.collect())


def lines(families: Families) -> set[str]:
    return set(families.text().decode().splitlines())


def test_counters_and_histograms_are_added_up_and_gauges_are_kept_apart() -> None:
    found = Families()
    found.add(of_a_process(2, 10, 0.5), "0")
    found.add(of_a_process(3, 20, 1.5), "1")
    assert lines(found) >= {
        'requests_total{route="/\\"odd\\"\\\\ü"} 5.0',
        'memory_bytes{worker="0"} 10.0',
        'memory_bytes{worker="1"} 20.0',
        'seconds_bucket{le="1.0"} 1.0',
        'seconds_bucket{le="+Inf"} 2.0',
        "seconds_count 2.0",
        "seconds_sum 2.0",
        "# TYPE requests_total counter",
    }


def test_of_a_process_that_has_ended_only_the_sums_are_left() -> None:
    found = Families()
    found.add(of_a_process(2, 10, 0.5), "0")
    found.add(of_a_process(3, 20, 1.5), None)
    text = found.text().decode()
    assert "} 5.0" in text
    assert 'worker="1"' not in text


def test_what_is_packed_is_unpacked() -> None:
    families = of_a_process(2, float("inf"), 0.5)
    assert unpacked(families.packed()).text() == families.text()


def test_no_piece_is_long() -> None:
    """One call of the JSON library keeps all other threads of its process waiting."""
    registry = CollectorRegistry()
    counter = Counter("requests", "Requests.", ["api"], registry=registry)
    for number in range(3_000):
        counter.labels(str(number)).inc(number)
    families = Families(registry.collect())
    packed = families.packed()
    assert max(map(len, packed.splitlines())) < len(packed) / 4
    assert unpacked(packed).text() == families.text()


def test_nobody_needs_to_know_when_a_series_began() -> None:
    assert "_created" not in of_a_process(1, 1, 1).text().decode()
