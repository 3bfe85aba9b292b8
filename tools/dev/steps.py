"""Run steps and say how each went and how long it took; whatever happens, nothing that they started is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tools.dev.environment import heeded

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
STOP_DEADLINE_S = 30.0


@dataclass(frozen=True)
class Step:
    """One command.

    quiet: its output is shown only when it fails. beside: it runs beside the others from the beginning, and its turn is when it is told.
    Only what is quiet can run beside others.
    """

    name: str
    command: Sequence[str]
    quiet: bool = True
    beside: bool = False


def run(steps: Sequence[Step]) -> int:
    """Run all of them, also after a failure, so that one run shows everything; 0 when all passed."""
    began = time.monotonic()
    results: list[tuple[str, bool, float]] = []
    with _ended_together() as start:
        beside = [start(step) for step in steps if step.beside]
        for step in steps:
            if not step.beside:
                if not step.quiet:
                    print(f"── {step.name}", flush=True)
                results.append(start(step).result())
        results.extend(one.result() for one in beside)
    width = max(len(name) for name, _, _ in results)
    print("\n" + "\n".join(f"  {name:<{width}}  {_word(passed)}  {spent:7.1f} s" for name, passed, spent in results))
    everything = all(passed for _, passed, _ in results)
    print(f"  {'all':<{width}}  {_word(everything)}  {time.monotonic() - began:7.1f} s", flush=True)
    return 0 if everything else 1


def become(command: Sequence[str]) -> NoReturn:
    """Run one command in the place of this program: it has the terminal, the signals and the exit status."""
    os.chdir(ROOT)
    os.execve(command[0], list(command), environment())


def tool(name: str) -> str:
    """Return the path of a program of the environment that runs this."""
    return str(BIN / name)


class _Running:
    """A step that was started. What a quiet one writes goes to a file: nobody reads it before the step is over."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self._began = time.monotonic()
        self._output = tempfile.TemporaryFile("w+", errors="replace") if step.quiet else None  # noqa: SIM115  closed in `result`
        into = self._output and self._output.fileno()
        # a group of its own: of Ctrl-C it hears from us, once, since a second time would cut its tidying short
        self._process = subprocess.Popen(
            step.command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=into, stderr=into, process_group=0
        )
        self._spent = 0.0
        self._clock = threading.Thread(target=self._measure, daemon=True)
        self._clock.start()

    def _measure(self) -> None:
        self._process.wait()
        self._spent = time.monotonic() - self._began

    def result(self) -> tuple[str, bool, float]:
        """Wait for its end and report it: name, whether it passed, seconds."""
        self._clock.join()
        passed, spent = self._process.returncode == 0, self._spent
        if self._output is not None:
            with self._output as output:
                if not passed:
                    output.seek(0)
                    print(f"── {self.step.name}: {' '.join(self.step.command)}\n{output.read().rstrip()}\n", flush=True)
            print(f"  {_word(passed)} {self.step.name} ({spent:.1f} s)", flush=True)
        return self.step.name, passed, spent

    def interrupt(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def end(self, seconds: float) -> None:
        """Wait for it as long, then kill what is left of it and its children."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _word(passed: bool) -> str:
    return "ok    " if passed else "FAILED"


def environment() -> dict[str, str]:
    """Python may keep what it compiles (git does not see it): a run has dozens of processes, each would compile the same files again."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextlib.contextmanager
def _ended_together() -> Iterator[Callable[[Step], _Running]]:
    """Gives what starts a step. Ctrl-C, TERM and HUP end all of them, after each has put away what it started; who is late is killed."""
    running: list[_Running] = []
    told = starting = False

    def stop(*_: object) -> None:
        nonlocal told
        told = True
        if not starting:
            raise KeyboardInterrupt

    def start(step: Step) -> _Running:
        nonlocal starting
        starting = True  # so that no child is lost between its start and our knowing of it
        running.append(_Running(step))
        starting = False
        if told:
            raise KeyboardInterrupt
        return running[-1]

    before = {number: signal.signal(number, stop) for number in heeded()}
    try:
        yield start
    except KeyboardInterrupt:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        sys.stderr.write("\ndev: stopping\n")
        for one in running:
            one.interrupt()
        deadline = time.monotonic() + STOP_DEADLINE_S
        for one in running:
            one.end(max(deadline - time.monotonic(), 0.1))
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
