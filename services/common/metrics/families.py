"""Metrics as plain data: written down by one process, read by another, added up, and shown as Prometheus reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from prometheus_client import disable_created_metrics, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

# When each series began: Prometheus asks nobody for it, and it would double the length of the page.
disable_created_metrics()  # type: ignore[no-untyped-call]

_ADDED_UP: Final = frozenset({"counter", "histogram"})
_PIECE: Final = 500  # samples
_CREATED: Final = "_created"

Labels = tuple[tuple[str, str], ...]


class Families:
    """Metrics by name, of one process or of several."""

    def __init__(self, metrics: Iterable[Metric] = ()) -> None:
        # name → (meaning, type, {(name of the sample, labels): value})
        self._all: dict[str, tuple[str, str, dict[tuple[str, Labels], float]]] = {}
        for metric in metrics:
            samples = self._of(metric.name, metric.documentation, metric.type)
            for sample in metric.samples:
                if not sample.name.endswith(_CREATED):
                    samples[sample.name, tuple(sample.labels.items())] = sample.value

    def _of(self, name: str, meaning: str, type: str) -> dict[tuple[str, Labels], float]:
        return self._all.setdefault(name, (meaning, type, {}))[2]

    def add(self, other: Families, worker: str | None) -> None:
        """Add the metrics of another process. Counters and histograms become sums. Of others each process keeps its own, with the label
        `worker`; None leaves them out.
        """
        for name, (meaning, type, samples) in other._all.items():
            if type in _ADDED_UP:
                ours = self._of(name, meaning, type)
                for sample, value in samples.items():
                    ours[sample] = ours.get(sample, 0.0) + value
            elif worker is not None:
                ours = self._of(name, meaning, type)
                ours.update({(of, (*labels, ("worker", worker))): value for (of, labels), value in samples.items()})

    def packed(self) -> bytes:
        """Return them as bytes, for `unpacked`: JSON in pieces, between which other threads, and an event loop, have their turns."""
        return b"\n".join(
            json.dumps([name, meaning, type, piece], ensure_ascii=False, separators=(",", ":")).encode()
            for name, (meaning, type, samples) in self._all.items()
            for piece in _pieces([[*one, value] for one, value in samples.items()])
        )

    def text(self) -> bytes:
        """Return them in Prometheus' text format."""
        return generate_latest(_Collected(self._metrics()))

    def values(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        """Yield the labels and the value of each sample of a metric."""
        for (_, labels), value in self._all.get(name, ("", "", {}))[2].items():
            yield dict(labels), value

    def _metrics(self) -> Iterator[Metric]:
        for name, (meaning, type, samples) in self._all.items():
            if name.startswith("_"):  # what processes tell only each other
                continue
            metric = Metric(name, meaning, type)
            for (of, labels), value in samples.items():
                metric.add_sample(of, dict(labels), value)
            yield metric


def unpacked(data: bytes) -> Families:
    """Return what `packed` packed. Raises ValueError."""
    families = Families()
    for name, meaning, type, samples in map(json.loads, data.splitlines()):
        found = families._of(name, meaning, type)
        found.update({(of, tuple((label, text) for label, text in labels)): value for of, labels, value in samples})
    return families


def _pieces(samples: list[Any]) -> Iterator[list[Any]]:
    for first in range(0, len(samples) or 1, _PIECE):  # one at least, so that a family without samples is told, too
        yield samples[first : first + _PIECE]


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics
