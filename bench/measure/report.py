"""Medians, the table of ratios and its plot."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(slots=True)
class Figure:
    """One candidate under one load: medians over the rounds; `rate_ratio` and `cpu_ratio`: to nginx in the same round. beside: its CPU and
    its p99, as ratios to another candidate in the same round, None where there is none to compare it with.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    user_us: float
    failed: int
    rate_ratio: float | None = None
    cpu_ratio: float | None = None
    beside: tuple[float, float] | None = None


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def machine() -> str:
    """Write one line about where the figures come from."""
    try:
        model = next(
            line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
        )
    except (OSError, StopIteration):
        model = platform.processor() or "unknown processor"
    cores = subprocess.run(["nproc"], capture_output=True, text=True, check=False).stdout.strip() or "?"
    return f"{model}, {cores} cores, Linux {platform.release()}, Python {platform.python_version()}"


def markdown(rows: Mapping[str, Mapping[str, Figure]], memory: Mapping[str, float]) -> str:
    """Write a table for each load, one row for each candidate."""
    loads = list(next(iter(rows.values()))) if rows else []
    lines: list[str] = []
    for load in loads:
        lines += [
            f"### {load}",
            "",
            "| gateway | requests/s | × nginx (rate) | CPU µs a request (user) | × nginx (CPU) | p50 ms | p99 ms | MB | failed |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for name, figures in rows.items():
            one = figures[load]
            rate = f"{one.rate_ratio:.2f}" if one.rate_ratio is not None else "–"
            cpu = f"{one.cpu_ratio:.2f}" if one.cpu_ratio is not None else "–"
            lines.append(
                f"| {name} | {one.per_second:,.0f} | {rate} | {one.cpu_us:.0f} ({one.user_us:.0f}) | {cpu} "
                f"| {one.p50_ms:.2f} | {one.p99_ms:.1f} | {memory.get(name, 0):.0f} | {one.failed} |"
            )
        lines.append("")
    return "\n".join(lines)


def write_json(path: Path, rows: Mapping[str, Mapping[str, Figure]], memory: Mapping[str, float], conditions: Mapping[str, object]) -> None:
    report = {
        "machine": machine(),
        "conditions": dict(conditions),
        "candidates": {
            name: {"memory_mb": memory.get(name), "loads": {load: asdict(one) for load, one in loads.items()}}
            for name, loads in rows.items()
        },
    }
    path.write_text(json.dumps(report, indent=1) + "\n")


def plot(path: Path, rows: Mapping[str, Mapping[str, Figure]]) -> bool:
    """Plot bars of requests per second and CPU per request, a panel each; return False when matplotlib is not installed."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return False
    names = list(rows)
    loads = list(next(iter(rows.values())))
    figure, axes = pyplot.subplots(2, len(loads), figsize=(6 * len(loads), 1.2 + 0.9 * len(names)), squeeze=False)
    for column, load in enumerate(loads):
        for row, (title, values) in enumerate(
            (
                ("requests per second", [rows[name][load].per_second for name in names]),
                ("CPU per request, µs", [rows[name][load].cpu_us for name in names]),
            )
        ):
            panel = axes[row][column]
            colours = ["#0b7a75" if name.startswith("Gatehouse") else "#9aa5b1" for name in names]
            bars = panel.barh(names, values, color=colours)
            panel.bar_label(bars, fmt="{:,.0f}", padding=3)
            panel.set_title(f"{load}: {title}", fontsize=10)
            panel.invert_yaxis()
            panel.spines[["top", "right"]].set_visible(False)
            panel.margins(x=0.15)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True
