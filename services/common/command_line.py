"""What the command lines of the services share: `--json` anywhere in the line, errors in one line, tables that fit the terminal, times.

A program is a `Program`, its groups and commands are made by it, so that all of them behave alike. Exit status: 0 done, 2 wrong usage,
130 interrupted; the rest is the program's own.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar

import click

from services.common.clock import UTC

F = TypeVar("F", bound=Callable[..., Any])

_JSON: Final = "gatehouse.json"
_INTERRUPTED: Final = 130
_GAP: Final = 2
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION: Final = re.compile(r"(\d{1,12})([smhdw])")
_LONGEST_S: Final = 1000 * 366 * 86400
_NEVER: Final = "never"
_SHORTEST_EPOCH: Final = 10  # digits of seconds since 1970 that may still come; fewer are a year, a date or a slip


class Failure(click.ClickException):
    """Ends the program with one line that says what happened and what to do. details: what `--json` shows beside the message."""

    def __init__(self, message: str, status: int, details: Mapping[str, Any] | None = None, lines: Sequence[str] = ()) -> None:
        super().__init__("\n".join([message, *lines]))
        self.exit_code = status  # type: ignore[misc]
        self.summary = message
        self.lines = tuple(lines)
        self.details = dict(details or {})


def fail(message: str, status: int, details: Mapping[str, Any] | None = None, lines: Sequence[str] = ()) -> NoReturn:
    """End the program. lines: more than the message, for people. Raises Failure."""
    raise Failure(message, status, details, lines)


def wants_json() -> bool:
    """Say whether `--json` was given, wherever in the line."""
    return bool(click.get_current_context().meta.get(_JSON))


def show(document: Any, text: str | Callable[[], None]) -> None:
    """Print the document with `--json`, else the text, or what it prints."""
    if wants_json():
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    elif isinstance(text, str):
        click.echo(text)
    else:
        text()


def _json_option() -> click.Option:
    def note(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.meta[_JSON] = True  # one for all contexts of the line

    return click.Option(["--json"], is_flag=True, expose_value=False, is_eager=True, callback=note, help="Answers and errors as JSON.")


def version_option(name: str, version: Callable[[], str]) -> Callable[[F], F]:
    """Give a program `--version`. version: asked only then, because what knows it may be slow to import."""

    def tell(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            number = version()
            show({"name": name, "version": number}, f"{name} {number}")
            context.exit()

    return click.option("--version", is_flag=True, expose_value=False, callback=tell, help="The version of this program.")


class Command(click.Command):
    """A command that takes `--json`. example: a line that its help shows."""

    def __init__(self, *args: Any, example: str = "", **options: Any) -> None:
        # \b: not wrapped, so that it can be copied
        super().__init__(*args, **{"epilog": f"\b\nExample:\n  {example}" if example else None, **options})
        self.params.append(_json_option())


class Group(click.Group):
    """A group that takes `--json`, as all its commands do."""

    command_class = Command
    group_class: type[click.Group] | type[type] | None = type

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params.append(_json_option())


class Program(Group):
    """The whole command line."""

    group_class = Group

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run the program and end the process; errors are one line, or one JSON object with `--json`."""
        given = list(sys.argv[1:] if args is None else args)
        try:
            status = super().main(given, prog_name, **{**extra, "standalone_mode": False})
        except click.ClickException as error:
            _show_error(error, as_json="--json" in given)
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("Aborted!", err=True)
            sys.exit(_INTERRUPTED)
        sys.exit(status if isinstance(status, int) else 0)


def _show_error(error: click.ClickException, as_json: bool) -> None:
    if not as_json:
        error.show()
        return
    details = error.details if isinstance(error, Failure) else {}
    message = error.summary if isinstance(error, Failure) else error.format_message()
    click.echo(json.dumps({"error": message, **details}, ensure_ascii=False), err=True)


# Tables.


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], whole: Collection[str] = ()) -> None:
    """Print a table that fits the terminal; nothing is shortened where there is none. whole: columns that are never shortened."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table(columns, rows, width, whole):
        click.echo(line)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, whole: Collection[str] = ()) -> list[str]:
    """Lay out the lines of a table. width: in cells; None: no limit. The widest cells are shortened first, with `…` at their end."""
    from rich.cells import cell_len, set_cell_size  # here: it would make every start of the program slower

    shown = [[_printable(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(cell_len(row[index]) for row in shown) for index in range(len(columns))]
    if width is not None:
        flexible = [index for index, name in enumerate(columns) if name not in whole]
        _shrink(widths, flexible, sum(widths) + _GAP * (len(widths) - 1) - width, [cell_len(name) for name in columns])
    lines = []
    for row in shown:
        cells = (cell if cell_len(cell) <= size else set_cell_size(cell, size - 1) + "…" for cell, size in zip(row, widths, strict=True))
        lines.append((" " * _GAP).join(set_cell_size(cell, size) for cell, size in zip(cells, widths, strict=True)).rstrip())
    return lines


def _shrink(widths: list[int], flexible: Sequence[int], excess: int, least: Sequence[int]) -> None:
    """Take `excess` cells from the widest columns, never below the width of their heading."""
    while excess > 0:
        shrinkable = [index for index in flexible if widths[index] > least[index]]
        if not shrinkable:
            return
        widths[max(shrinkable, key=lambda index: widths[index])] -= 1
        excess -= 1


def _printable(text: str) -> str:
    """One line without control characters: names are written by others, and a terminal obeys what it is sent."""
    return "".join(character if character.isprintable() else "�" for character in text)


# Times.


class Duration(click.ParamType[int]):
    """Seconds: a whole number of them, or one with a unit: 90s, 30m, 12h, 90d, 2w."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read seconds. Raises click.BadParameter."""
        if isinstance(value, int):
            return value
        seconds = _seconds(str(value))
        if seconds is None:
            self.fail(f"`{value}` is not a duration; write seconds, or 90s, 30m, 12h, 90d, 2w", param, ctx)
        return seconds


def _seconds(text: str) -> int | None:
    match = _DURATION.fullmatch(text if not text.isdecimal() else text + "s")
    if match is None:
        return None
    seconds = int(match[1]) * _SECONDS[match[2]]
    return seconds if seconds <= _LONGEST_S else None


class Moment(click.ParamType[dt.datetime | None]):
    """A moment to come: a date, a date with a time (UTC unless it names a zone), a duration from now, epoch seconds, or `never` (None)."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime | None:
        """Read a moment. Raises click.BadParameter, also for one that has passed."""
        text = str(value).strip()
        if text in (_NEVER, "0"):
            return None
        now = dt.datetime.now(UTC)
        try:
            moment = _moment(text, now)
        except (ValueError, OverflowError):
            self.fail(f"`{value}` is not a moment; write 2030-01-31, 2030-01-31T12:00Z, 12h, 90d or never", param, ctx)
        if moment <= now:
            self.fail(f"{moment_text(moment)} has passed; it is {moment_text(now)} now", param, ctx)
        return moment


def _moment(text: str, now: dt.datetime) -> dt.datetime:
    """Raises ValueError, OverflowError."""
    if text.isdecimal() and len(text) >= _SHORTEST_EPOCH:
        return dt.datetime.fromtimestamp(int(text), UTC)
    seconds = None if text.isdecimal() else _seconds(text)  # a bare number would be seconds from now here, and since 1970 above
    if seconds is not None:
        return (now + dt.timedelta(seconds=seconds)).replace(microsecond=0)
    moment = dt.datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def moment_text(moment: dt.datetime | None) -> str:
    """Write a moment for people: `2030-01-31 12:00:00 UTC`, or `never`."""
    return _NEVER if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def time_of(text: str | None) -> str:
    """Write a moment of an answer (ISO 8601) for a table: `2030-01-31 12:00Z`; `never` for none."""
    return _NEVER if text is None else table_time(dt.datetime.fromisoformat(text))


def table_time(moment: dt.datetime | None) -> str:
    """Write a moment for a table: `2030-01-31 12:00Z`, or `never`."""
    return _NEVER if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
