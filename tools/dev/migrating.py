"""The migrations of all services at once, before any of them starts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

from tools.dev.plan import ROOT, Program


@dataclass
class Migration:
    """One that runs, in a process group of its own: Ctrl-C reaches it through us alone. What it writes goes to a file."""

    program: Program
    keep: Sequence[int]
    process: subprocess.Popen[bytes] = field(init=False)
    _output: IO[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  closed in `text`
        command = [sys.executable, "-m", "services.common.migrate", self.program.name]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.program.env,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
            pass_fds=tuple(self.keep),
        )

    def text(self) -> str:
        with self._output:
            self._output.seek(0)
            return self._output.read().decode(errors="replace").strip()

    def kill(self) -> None:
        """Kill it; the store rolls its transaction back."""
        if self.process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def run(
    programs: Sequence[Program],
    keep: Sequence[int],
    stopped: Callable[[], None],
    started: Callable[[str, int], None],
    ended: Callable[[int], None],
) -> list[tuple[Program, int, str]]:
    """Run all; return program, exit status and what it wrote for each.

    keep: descriptors that they inherit. stopped: raises when the user wants to stop; they are killed then. started, ended: hear of the
    process groups.
    """
    running: list[Migration] = []
    try:
        for program in programs:
            if (ROOT / "services" / program.name / "migrations").is_dir():
                running.append(Migration(program, keep))
                started(program.name, running[-1].process.pid)
        while any(one.process.poll() is None for one in running):
            stopped()
            time.sleep(0.02)
        return [(one.program, one.process.returncode, one.text()) for one in running]
    finally:
        for one in running:
            one.kill()
            ended(one.process.pid)
