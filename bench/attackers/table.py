"""What an attack did: one row for each client beside it, whether the goals were kept, and the table of docs/security.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.attackers.attacks import Attack
from bench.attackers.ordinary import Share

# What the same attacks did at a time when nothing was bounded, by attack: p99 and per cent failed by client, and MB of growth.
UNBOUNDED: Mapping[str, Any] = json.loads(Path(__file__).with_name("unbounded.json").read_text())
BEGIN, END = "<!-- bench attacks: begin -->", "<!-- bench attacks: end -->"


@dataclass(slots=True)
class Seen:
    """One attack's run. clients: each client's share of the parts before, control (when asked for), during and after.

    before_mb, peak_mb, after_mb: resident memory of the worker of `memory_of`. restarts: workers, by service, that were not there at first.
    back_s: seconds after the attack until an ordinary client was answered within a second; None = not while the bench waited.
    attackers: what they report of themselves. cut_short: the attack was ended because memory ran away.
    """

    name: str
    attack: Attack
    clients: dict[str, dict[str, Share]] = field(default_factory=dict)
    before_mb: float = 0.0
    peak_mb: float = 0.0
    after_mb: float = 0.0
    restarts: dict[str, int] = field(default_factory=dict)
    back_s: float | None = None
    attackers: dict[str, Any] = field(default_factory=dict)
    cut_short: bool = False

    def faults(self) -> list[str]:
        """List every goal that was missed, in words."""
        found = []
        for name, parts in self.clients.items():
            goal, during = self.attack.goals[name], parts["during"]
            if goal is None:
                continue
            if during.failed:
                found.append(f"{name}: {during.failed} of {during.asked} failed")
            if during.p99_ms is None or during.p99_ms >= goal:
                seen = "no answer" if during.p99_ms is None else f"p99 {_ms(during.p99_ms)} ms"
                found.append(f"{name}: {seen}")
            if parts["after"].failed:
                found.append(f"{name}: {parts['after'].failed} failed afterwards")
        if self.peak_mb - self.before_mb > self.attack.growth_mb:
            found.append(f"{self.attack.memory_of} grew by {self.peak_mb - self.before_mb:,.0f} MB")
        found += [f"{count} worker{'s' if count > 1 else ''} of {name} died" for name, count in self.restarts.items() if count]
        if self.back_s is None:
            found.append("did not come back")
        return found

    def doubts(self) -> list[str]:
        """List clients that were slow without any attack: what they saw during it proves nothing.

        Beside busy processes a client may be slower than beside the attack; that speaks of the machine only where the goal was missed.
        """

        def slow(seen: float | None, goal: float) -> bool:
            return seen is None or seen >= goal

        found = []
        for name, parts in self.clients.items():
            goal = self.attack.goals[name]
            if goal is None:
                continue
            missed = slow(parts["during"].p99_ms, goal)
            if slow(parts["before"].p99_ms, goal) or (missed and "control" in parts and slow(parts["control"].p99_ms, goal)):
                found.append(f"busy machine: {name} was slow without an attack")
        return found

    def verdict(self) -> str:
        faults = self.faults()
        return "; ".join([*([f"MISSED: {'; '.join(faults)}"] if faults else ["kept"]), *self.doubts()])

    def as_json(self) -> dict[str, Any]:
        return {
            "attack": self.name,
            "title": self.attack.title,
            "attackers": self.attackers,
            "clients": {name: {part: asdict(one) for part, one in parts.items()} for name, parts in self.clients.items()},
            "memory_mb": {"of": self.attack.memory_of, "before": self.before_mb, "peak": self.peak_mb, "after": self.after_mb},
            "restarts": self.restarts,
            "back_s": self.back_s,
            "cut_short": self.cut_short,
            "missed": self.faults(),
            "doubts": self.doubts(),
        }


def added(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add what several processes report, as if it were one."""
    found: dict[str, Any] = {}
    for report in reports:
        for name, value in report.items():
            found[name] = added([found.get(name, {}), value]) if isinstance(value, Mapping) else found.get(name, 0) + value
    return found


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _part(share: Share | None) -> str:
    """p50 / p99 / max, and what failed."""
    if share is None:
        return "–"
    text = " / ".join(map(_ms, (share.p50_ms, share.p99_ms, share.max_ms)))
    return f"{text}; {share.failed} of {share.asked} failed" if share.failed else text


def markdown(rows: Sequence[Seen], *, control: bool) -> str:
    """Write the table. control: whether the clients were also measured beside busy processes."""
    parts = ["before", *(["control"] if control else []), "during", "after"]
    heads = [
        "attack",
        "attackers",
        "client",
        *(f"{part}: p50 / p99 / max ms" for part in parts),
        "MB before / peak / after",
        "restarts",
        "goals",
        "without the bounds",
    ]
    lines = [f"| {' | '.join(heads)} |", f"| --- | ---: | --- |{' ---: |' * len(parts)} ---: | ---: | --- | --- |"]
    for seen in rows:
        first = True
        for name, shares in seen.clients.items():
            whose = f" ({seen.attack.memory_of})" if seen.attack.memory_of != "gateway" else ""
            memory = f"{seen.before_mb:,.0f} / {seen.peak_mb:,.0f} / {seen.after_mb:,.0f}{whose}"
            cells = [
                f"{seen.attack.title} (`{seen.name}`)" if first else "",
                _count(seen) if first else "",
                name,
                *(_part(shares.get(part)) for part in parts),
                memory if first else "",
                str(sum(seen.restarts.values())) if first else "",
                seen.verdict() if first else "",
                _unbounded(seen, name, first=first),
            ]
            lines.append(f"| {' | '.join(cells)} |")
            first = False
    return "\n".join(lines)


def _unbounded(seen: Seen, client: str, *, first: bool) -> str:
    old = UNBOUNDED.get(seen.name)
    if old is None or client not in old["p99_ms"]:
        return "–"
    failed = f"; {old['failed'][client]} % failed" if old["failed"][client] else ""
    memory = f"; {old['grew_mb']:+,} MB" if first and old["grew_mb"] > 20 else ""
    return f"p99 {_ms(old['p99_ms'][client])} ms{failed}{memory}"


def _count(seen: Seen) -> str:
    """How many connections the attackers had at some time."""
    wanted, opened = seen.attackers.get("wanted", 0), seen.attackers.get("opened", 0)
    return f"{opened:,}" if opened == wanted else f"{opened:,} of {wanted:,}"


def write(path: Path, text: str) -> None:
    """Put `text` between the two markers of a file. Raises ValueError when it has none."""
    old = path.read_text()
    head, begin, rest = old.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no {BEGIN} … {END}")
    path.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}")


def summary(rows: Sequence[Seen]) -> Mapping[str, int]:
    missed = sum(bool(one.faults()) for one in rows)
    return {"kept": len(rows) - missed, "missed": missed}
