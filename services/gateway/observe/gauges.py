"""What a worker knows of itself, for `/metrics`: read when it is asked for, so that counting costs a request nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily


class Gauges:
    """A collector of prometheus_client. `set` names a number by what gives it; labels say which worker answered."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}

    def set(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """Register a gauge. name: without the prefix `gateway_`."""
        self._gauges[name] = (meaning, value)

    def collect(self) -> Iterator[Any]:
        """Yield the gauges. Called by the registry, in a thread."""
        for name, (meaning, value) in self._gauges.items():
            family = GaugeMetricFamily(f"gateway_{name}", meaning, labels=["worker"])
            family.add_metric([self._worker], value())
            yield family
