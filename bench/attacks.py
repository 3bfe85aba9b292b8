"""Attack a whole house and measure an ordinary client beside it: `./dev bench attacks`.

For each attack gateway, auth and tokens are started in a temporary folder. Ordinary clients from 127.0.0.1 ask at a fixed rate before,
during and after it; attackers come from other loopback addresses, in processes of their own, and take only processor time that nobody else
wants. The gateway has one core for itself, everything else shares the other. Nothing leaves this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gc
import itertools
import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.attackers import table
from bench.attackers.attacks import ATTACKS, Attack
from bench.attackers.flood import BUSY
from bench.attackers.house import OTHER_CORE, ROOT, House, Running
from bench.attackers.ordinary import TIMEOUT_S, Client, Sample, share
from bench.attackers.table import Seen
from bench.measure import report
from bench.measure.processes import PINNED

OPENING_S = 8.0  # what 10,000 connections may take to be there
BACK_S = 45.0  # gunicorn ends a worker that is silent for 30
TOO_MUCH_MB = 3_000.0
SPARE_FILES = 500
_STEP_S = 0.05


class Watch:
    """The memory and the process ids of the workers while an attack runs."""

    def __init__(self, running: Running, attack: Attack) -> None:
        self._running, self._attack = running, attack
        self._known = {name: set(running.workers(name)) for name in running.pids}
        self._new: dict[str, set[int]] = {name: set() for name in running.pids}
        self.peak_mb = 0.0

    def look(self) -> float:
        """Read the memory now."""
        now = self._running.memory_mb(self._attack.memory_of)
        self.peak_mb = max(self.peak_mb, now)
        for name, known in self._known.items():
            self._new[name] |= set(self._running.workers(name)) - known
        return now

    def restarts(self) -> dict[str, int]:
        return {name: len(new) for name, new in self._new.items()}


class Attackers:
    """The processes of one attack, or as many that only keep the processor busy."""

    def __init__(self, house: House, running: Running, name: str, seconds: float, processes: int) -> None:
        self._reports: list[Path] = []
        self._ready: list[Path] = []
        self._children = []
        for number in range(processes):
            self._reports.append(house.folder / f"{name}-{number}.json")
            self._ready.append(house.folder / f"{name}-{number}.ready")
            for file in (self._reports[-1], self._ready[-1]):
                file.unlink(missing_ok=True)
            command = [sys.executable, "-m", "bench.attackers.flood", name, "--seconds", str(seconds)]
            command += ["--places", json.dumps(dataclasses.asdict(house.places)), "--report", str(self._reports[-1])]
            self._children.append(running.group.start([*command, "--ready", str(self._ready[-1])], core=OTHER_CORE, cwd=ROOT))

    def ready(self) -> bool:
        return all(file.exists() for file in self._ready)

    async def stop(self) -> dict[str, Any]:
        """Stop all; return the sum of what they report."""
        for child in self._children:
            child.terminate()
        deadline = time.monotonic() + 5
        while not all(file.exists() for file in self._reports) and time.monotonic() < deadline:
            await asyncio.sleep(_STEP_S)
        return table.added([json.loads(file.read_text()) for file in self._reports if file.exists()])


def answered(samples: list[Sample], since: float) -> bool:
    """Say whether a client that came later was answered within a second."""
    return any(one.error is None and one.due >= since and one.ms < 1000 for one in samples)


async def one_attack(house: House, name: str, seconds: float, *, control: bool) -> Seen:
    """Before, beside busy processes when `control`, during, after.

    seconds: of the attack once all attackers are there; before and after it take half as long, at most 5 seconds.
    """
    attack, quiet = ATTACKS[name], min(5.0, seconds / 2)
    seen = Seen(name, attack)
    with house.running() as running:
        clients = [house.client(one) for one in attack.goals]
        stop = asyncio.Event()
        asking = [asyncio.create_task(client.ask_until(stop)) for client in clients]
        try:
            await asyncio.wait_for(_until_all_answered(clients), 20)
            moments = {"before": time.monotonic()}
            watch = Watch(running, attack)
            await _watched(watch, quiet)
            seen.before_mb = watch.look()
            if control:
                busy = Attackers(house, running, BUSY, seconds + 60, attack.processes)
                await _until_ready(busy, watch)
                moments["control"] = time.monotonic()
                await _watched(watch, seconds)
                await busy.stop()
                moments["rest"] = time.monotonic()
            moments["during"] = time.monotonic()
            attackers = Attackers(house, running, name, seconds + OPENING_S + 2, attack.processes)
            await _until_ready(attackers, watch)
            seen.cut_short = not await _watched(watch, seconds, TOO_MUCH_MB)
            seen.attackers = await attackers.stop()
            moments["after"] = ended = time.monotonic()
            while not all(answered(one.samples, ended) for one in clients) and time.monotonic() < ended + BACK_S:
                await _watched(watch, _STEP_S)
            if all(answered(one.samples, ended) for one in clients):
                seen.back_s = time.monotonic() - ended
            await _watched(watch, quiet)
            seen.after_mb = watch.look()
            moments["end"] = time.monotonic()
            stop.set()
            await asyncio.wait_for(asyncio.gather(*asking), TIMEOUT_S + 5)
        finally:
            for task in asking:
                task.cancel()
        seen.peak_mb, seen.restarts = watch.peak_mb, watch.restarts()
    order = list(moments)
    for client in clients:
        seen.clients[client.name] = {
            part: share(client.samples, moments[part], moments[after]) for part, after in itertools.pairwise(order) if part != "rest"
        }
    return seen


async def _until_all_answered(clients: list[Client]) -> None:
    """Until the first good answers are there, and what is made with them (connections, caches) is left behind."""
    while not all(len([one for one in client.samples if one.error is None]) >= 3 for client in clients):
        await asyncio.sleep(_STEP_S)


async def _until_ready(attackers: Attackers, watch: Watch) -> None:
    deadline = time.monotonic() + OPENING_S
    while not attackers.ready() and time.monotonic() < deadline:
        await _watched(watch, _STEP_S)


async def _watched(watch: Watch, seconds: float, too_much: float = float("inf")) -> bool:
    """Wait, and look every now and then. False as soon as there is too much memory."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if watch.look() > too_much:
            return False
        await asyncio.sleep(min(_STEP_S, left))
    return True


def allowed_scale(wanted: float) -> float:
    """Raise the limit of open files as far as it goes; what 10,000 connections must shrink to for it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, max(0.01, (hard - SPARE_FILES) / 10_000)) if hard != resource.RLIM_INFINITY else wanted


def chosen(only: str) -> list[str]:
    """Choose the names that begin as one of the comma-separated words. Raises SystemExit when there is none."""
    words = [one for one in only.split(",") if one]
    found = [name for name in ATTACKS if not words or any(name.startswith(one) for one in words)]
    if not found:
        sys.exit(f"bench: no attack begins with {only!r}; there are: {', '.join(ATTACKS)}")
    return found


def run(arguments: argparse.Namespace, rows: list[Seen]) -> None:
    names, scale = chosen(arguments.only), allowed_scale(arguments.scale)
    if scale < arguments.scale:
        say(f"the hard limit of open files allows no 10,000 connections: everything is scaled by {scale:.2f}")
        arguments.scale = scale
    sources = [f"127.0.0.{number}" for number in range(2, 2 + arguments.addresses)]
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as folder:
        house = House(Path(folder), sources, scale)
        say("preparing")
        house.prepare()
        gc.freeze()
        for number, name in enumerate(names, 1):
            begun = time.monotonic()
            seen = asyncio.run(one_attack(house, name, arguments.seconds, control=arguments.control))
            rows.append(seen)
            say(f"{number} of {len(names)}: {name}: {seen.verdict()} ({time.monotonic() - begun:.0f} s)")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def conditions(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "seconds": arguments.seconds,
        "scale": arguments.scale,
        "addresses": arguments.addresses,
        "pinned": PINNED,
        "attackers": "idle class" if hasattr(os, "SCHED_IDLE") else "nice 19",
    }


def heading(arguments: argparse.Namespace) -> str:
    addresses = f"{arguments.addresses} addresses attack" if arguments.addresses > 1 else "one address attacks"
    scaled = f", everything scaled by {arguments.scale:g}" if arguments.scale != 1 else ""
    return f"{report.machine()}; {arguments.seconds:g} seconds an attack, {addresses}{scaled}."


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench attacks", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each attack (default 3); before and after it take half, at most 5")
    parser.add_argument("--only", default="", metavar="NAMES", help="comma-separated beginnings of names")
    parser.add_argument("--list", action="store_true", help="only show the names")
    parser.add_argument("--control", action="store_true", help="also measure beside processes that are busy and touch nobody")
    parser.add_argument("--addresses", type=int, default=1, help="addresses the attackers share among them (default 1)")
    parser.add_argument("--scale", type=float, default=1.0, help="of numbers of connections and sizes; below 1 for a try")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="the figures as JSON, to the standard output or to a file")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the markers of this file")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{name:24} {one.title}" for name, one in ATTACKS.items()))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows: list[Seen] = []
    status = 0
    try:
        run(arguments, rows)
    except KeyboardInterrupt:
        say("stopped; everything that was started has ended")
        status = 130
    text = f"{heading(arguments)}\n\n{table.markdown(rows, control=arguments.control)}"
    if arguments.json != "-":
        print(text)
    if arguments.json:
        figures = json.dumps(
            {"machine": report.machine(), "conditions": conditions(arguments), "attacks": [one.as_json() for one in rows]}, indent=1
        )
        if arguments.json == "-":
            print(figures)
        else:
            Path(arguments.json).write_text(figures + "\n")
    if arguments.write and not status:
        table.write(arguments.write, text)
    count = table.summary(rows)
    say(f"goals kept beside {count['kept']} attacks, missed beside {count['missed']}")
    return status or (1 if count["missed"] else 0)


if __name__ == "__main__":
    sys.exit(main())
