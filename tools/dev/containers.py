"""What tests leave at the Docker engine when they are cut short: `remove` takes it away, found by its label."""

from __future__ import annotations

import subprocess
import sys

LABEL = "gatehouse.tests"  # its value: the run whose they are
# kind → how it is removed, in the order in which they can go
_REMOVING = {"container": ("rm", "--force", "--volumes"), "volume": ("rm", "--force"), "network": ("rm",)}


def remove(run: str) -> int:
    """Remove the containers, volumes and networks of a run; return how many that were. What cannot be removed is told."""
    removed = 0
    for kind, removing in _REMOVING.items():
        everything = ("--all",) if kind == "container" else ()
        listed = _docker(kind, "ls", "--quiet", *everything, "--filter", f"label={LABEL}={run}").stdout.split()
        if not listed:
            continue
        removed += len(listed)
        done = _docker(kind, *removing, *listed)
        for line in done.stderr.splitlines():
            if "No such" not in line and "already in progress" not in line:  # of one that goes by itself
                sys.stderr.write(f"dev: a {kind} of the tests is left: {line}\n")
    return removed


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
