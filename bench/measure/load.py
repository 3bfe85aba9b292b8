"""One run of a load generator: wrk where the machine has it, else autocannon from the peers' folder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure.processes import PINNED

VARIED = Path(__file__).parent / "varied.lua"
INGEST = Path(__file__).parent / "ingest.lua"
AUTOCANNON = Path(__file__).parents[1] / "peers/node_modules/.bin/autocannon"


@dataclass(frozen=True, slots=True)
class Load:
    """What one run saw. Times in milliseconds; `failed` counts non-2xx answers and socket errors."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


def generator() -> str | None:
    """Name the load generator that this machine has, or None."""
    if shutil.which("wrk"):
        return "wrk"
    return "autocannon" if AUTOCANNON.exists() else None


def run(url: str, *, connections: int, seconds: int, headers: Mapping[str, str], core: int | None = 1, varied: bool = False) -> Load:
    """Keep `connections` kept-alive connections busy with GET `url` for `seconds`.

    varied: no request is like another, in its query and in a header (wrk only).

    Raises RuntimeError when there is no load generator or its report cannot be read.
    """
    pin = ["taskset", "-c", str(core)] if core is not None and PINNED else []
    fields = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    kind = generator()
    if kind is None:
        raise RuntimeError("no load generator: install wrk (Debian) or run npm install in bench/peers")
    if kind == "autocannon":
        command = [*pin, str(AUTOCANNON), "-j", "-c", str(connections), "-d", str(seconds), *fields, url]
        report = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout)
        return Load(
            report["requests"]["total"],
            report["requests"]["average"],
            report["latency"]["p50"],
            report["latency"]["p99"],
            report["non2xx"] + report["errors"] + report["timeouts"],
        )
    threads = "1" if pin else "2"
    script = ["-s", str(VARIED)] if varied else []
    command = [*pin, "wrk", "-t", threads, "-c", str(connections), "-d", f"{seconds}s", "--latency", *script, *fields, url]
    text = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    return parse_wrk(text)


def post(url: str, files: Sequence[str], *, connections: int, seconds: int) -> Load:
    """Keep connections busy with POST `url`. files: those that `ingest.lua` takes. Raises RuntimeError as `run`."""
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "20s", "--latency", "-s", str(INGEST), url, "--"]
    return parse_wrk(subprocess.run([*command, *files], capture_output=True, text=True, timeout=seconds + 60, check=True).stdout)


def parse_wrk(text: str) -> Load:
    """Read wrk's report."""

    def number(pattern: str) -> float:
        found = re.search(pattern, text)
        return float(found[1]) if found else 0.0

    def milliseconds(share: int) -> float:
        found = re.search(rf"{share}%\s+([\d.]+)(us|ms|s|m)\b", text)
        if not found:
            raise RuntimeError(f"no {share} % latency in the load generator's report:\n{text}")
        return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}[found[2]]

    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return Load(
        int(number(r"(\d+) requests in")),
        number(r"Requests/sec:\s+([\d.]+)"),
        milliseconds(50),
        milliseconds(99),
        int(number(r"Non-2xx or 3xx responses: (\d+)")) + (sum(map(int, socket_errors.groups())) if socket_errors else 0),
    )
