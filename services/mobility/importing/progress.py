"""How far an import is: a bar with rate and remaining time on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import click

_EVERY_S: Final = 5.0


class Progress(Protocol):
    """total: None when it is not known. unit: plural, such as `nodes`."""

    def begin(self, title: str, total: int | None, unit: str) -> None: ...
    def advance(self, count: int) -> None: ...
    def tell(self, line: str) -> None: ...
    def close(self) -> None: ...


class Quiet:
    """Shows nothing: for programs that read JSON."""

    def begin(self, title: str, total: int | None, unit: str) -> None: ...
    def advance(self, count: int) -> None: ...
    def tell(self, line: str) -> None: ...
    def close(self) -> None: ...


class Lines:
    """Prints a line every few seconds on the standard error. clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._title, self._unit = "", ""
        self._total: int | None = None
        self._done, self._begun, self._shown = 0, 0.0, 0.0

    def begin(self, title: str, total: int | None, unit: str) -> None:
        self._title, self._unit, self._total = title, unit, total
        self._done, self._begun = 0, self._clock()
        self._shown = self._begun
        self.tell(title)

    def advance(self, count: int) -> None:
        self._done += count
        now = self._clock()
        if now - self._shown >= _EVERY_S:
            self._shown = now
            self.tell(f"{self._title}: {self._amount(now - self._begun)}")

    def _amount(self, passed_s: float) -> str:
        rate = self._done / passed_s if passed_s > 0 else 0.0
        told = f"{self._done:,} {self._unit}, {rate:,.0f} a second"
        if self._total is None or rate <= 0:
            return told
        left = max(0, self._total - self._done) / rate
        share = 100 * min(self._done, self._total) // max(1, self._total)
        return f"{share} %, {told}, {int(left) // 60}:{int(left) % 60:02d} left"

    def tell(self, line: str) -> None:
        click.echo(printable(line), err=True)

    def close(self) -> None: ...


class Bar:
    """A bar on the standard error."""

    def __init__(self) -> None:
        from rich.console import Console  # here: it would make every start of the program slower
        from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
        from rich.text import Text

        class Rate(ProgressColumn):
            """Units a second."""

            def render(self, task: Any) -> Text:
                speed = task.finished_speed or task.speed
                return Text(f"{task.completed:,.0f} {task.fields['unit']}" + (f", {speed:,.0f}/s" if speed else ""))

        self._console = Console(stderr=True)
        title = TextColumn("{task.description}", markup=False)  # a file's name is not markup
        self._bars = Bars(title, BarColumn(), Rate(), TimeRemainingColumn(), console=self._console, transient=False)
        self._task: Any = None
        self._bars.start()

    def begin(self, title: str, total: int | None, unit: str) -> None:
        if self._task is not None:
            self._bars.stop_task(self._task)
        self._task = self._bars.add_task(printable(title), total=total, unit=unit)

    def advance(self, count: int) -> None:
        if self._task is not None:
            self._bars.advance(self._task, count)

    def tell(self, line: str) -> None:
        self._console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._bars.stop()


def choose(as_json: bool) -> Progress:
    """Return what fits the standard error."""
    if as_json:
        return Quiet()
    return Bar() if sys.stderr.isatty() else Lines()


def printable(text: str) -> str:
    """One line without control characters: files are written by others, and a terminal obeys what it is sent."""
    return "".join(character if character.isprintable() else "�" for character in text)
