"""Run steps one after another and say how each went and how long it took."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Step:
    """One command. `quiet`: its output is shown only when it fails. `good`: exit statuses that count as passed."""

    name: str
    command: Sequence[str]
    quiet: bool = True
    good: tuple[int, ...] = (0,)
    env: Mapping[str, str] | None = None


def run(steps: Sequence[Step]) -> int:
    """Run all of them, also after a failure, so that one run shows everything; 0 when all passed."""
    failed = []
    rows = []
    for step in steps:
        if not step.quiet:
            print(f"── {step.name}", flush=True)
        began = time.monotonic()
        done = subprocess.run(
            step.command,
            cwd=ROOT,
            env=step.env,
            stdout=subprocess.PIPE if step.quiet else None,
            stderr=subprocess.STDOUT if step.quiet else None,
            text=True,
            check=False,
        )
        spent = time.monotonic() - began
        passed = done.returncode in step.good
        if not passed:
            failed.append(step.name)
            if step.quiet:
                print(f"── {step.name}: {' '.join(step.command)}\n{done.stdout.rstrip()}\n", flush=True)
        if step.quiet:
            print(f"  {'ok    ' if passed else 'FAILED'} {step.name} ({spent:.1f} s)", flush=True)
        rows.append((step.name, "ok" if passed else "FAILED", spent))
    width = max(len(name) for name, _, _ in rows)
    print("\n" + "\n".join(f"  {name:<{width}}  {state:<6}  {spent:7.1f} s" for name, state, spent in rows))
    print(f"  {'together':<{width}}  {'FAILED' if failed else 'ok':<6}  {sum(spent for _, _, spent in rows):7.1f} s", flush=True)
    return 1 if failed else 0


def tool(name: str) -> str:
    """A program of the environment that runs this."""
    return str(BIN / name)
