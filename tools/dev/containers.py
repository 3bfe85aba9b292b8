"""The containers that tests leave when they are cut short: `remove` takes them away, found by their label."""

from __future__ import annotations

import subprocess
import sys

LABEL = "gatehouse.tests"  # its value: the run whose they are
_GOING = ("No such container", "already in progress")  # those that are removed by their own end


def remove(run: str) -> int:
    """Remove the containers of a run with their volumes; return how many that were. What cannot be removed is told."""
    listed = _docker("ls", "--all", "--quiet", "--filter", f"label={LABEL}={run}").stdout.split()
    if listed:
        for line in _docker("rm", "--force", "--volumes", *listed).stderr.splitlines():
            if not any(one in line for one in _GOING):
                sys.stderr.write(f"dev: a container of the tests is left: {line}\n")
    return len(listed)


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", "container", *arguments], capture_output=True, text=True, check=False)
