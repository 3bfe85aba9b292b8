"""What a worker knows of itself, for `/metrics`: read when it is asked for, so that counting costs a request nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Gauges(Collector):
    """`set` and `count` name a number by what gives it; `split` several that a label tells apart."""

    def __init__(self) -> None:
        self._numbers: dict[str, tuple[type[Metric], str, Callable[[], float]]] = {}
        self._split: dict[str, tuple[str, str, Callable[[], Mapping[str, float]]]] = {}

    def set(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Register a number that rises and falls. name: without the prefix `gateway_`."""
        self._numbers[name] = (GaugeMetricFamily, meaning, value)

    def count(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Register a number that only rises, from 0 at the start. name: without `gateway_` and `_total`."""
        self._numbers[name] = (CounterMetricFamily, meaning, value)

    def split(self, name: str, meaning: str, label: str, values: Callable[[], Mapping[str, float]]) -> None:
        """Register numbers that rise and fall, by what the label says. name: without the prefix `gateway_`."""
        self._split[name] = (meaning, label, values)

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers. Called by the registry, in a thread."""
        for name, (family, meaning, value) in self._numbers.copy().items():
            yield family(f"gateway_{name}", meaning, value=value())  # type: ignore[call-arg]
        for name, (meaning, label, values) in self._split.copy().items():
            of_label = GaugeMetricFamily(f"gateway_{name}", meaning, labels=[label])
            for says, number in values().items():
                of_label.add_metric([says], number)
            yield of_label
