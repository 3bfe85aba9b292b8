"""What the command lines share: `--json` anywhere, errors in one line, tables, times."""

from __future__ import annotations

import datetime as dt
import json

import click
import pytest
from click.testing import CliRunner, Result

from services.common.command_line import Duration, Failure, Group, Moment, Program, moment_text, print_table, show, table, version_option


@click.group(cls=Program)
@click.option("--place", default="here")
@version_option("program", lambda: "1.2.3")
def program(place: str) -> None:
    """A program."""


@program.group("things", cls=Group)
def things() -> None:
    """Things."""


@things.command("show", example="program things show one two three four five six seven eight nine ten --with a --long line")
@click.argument("names", nargs=-1)
@click.option("--until", type=Moment())
@click.option("--for", "lasting", type=Duration())
def show_things(names: tuple[str, ...], until: dt.datetime | None, lasting: int | None) -> None:
    """Show things."""
    if "gone" in names:
        raise Failure("gone", 7, {"code": "gone"}, ["  more"])
    show({"until": until and until.isoformat(), "lasting": lasting}, lambda: print_table(("NAME",), [(name,) for name in names]))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(program, arguments)


@pytest.mark.parametrize("place", range(4))
def test_json_stands_anywhere_in_the_line(place: int) -> None:
    line = ["things", "show", "a"]
    line.insert(place, "--json")
    assert json.loads(run(*line).output) == {"until": None, "lasting": None}
    assert run("things", "show", "a").output == "NAME\na\n"


def test_errors_are_json_too() -> None:
    refused = run("things", "show", "gone", "--json")
    assert (refused.exit_code, json.loads(refused.output)) == (7, {"error": "gone", "code": "gone"})
    assert run("things", "show", "gone").output == "Error: gone\n  more\n"
    wrong = run("things", "shwo", "--json")
    assert (wrong.exit_code, "No such command" in json.loads(wrong.output)["error"]) == (2, True)
    wrong = run("things", "show", "--for", "long")
    assert (wrong.exit_code, "is not a duration" in wrong.output) == (2, True)


def test_the_version() -> None:
    assert run("--version").output == "program 1.2.3\n"
    assert json.loads(run("--json", "--version").output) == {"name": "program", "version": "1.2.3"}


def test_an_example_is_shown_in_one_line() -> None:
    shown = run("things", "show", "--help").output
    assert "  program things show one two three four five six seven eight nine ten --with a --long line\n" in shown


def test_a_table_fits_the_terminal() -> None:
    columns, rows = ("ID", "NAME", "NOTE"), [("0123456789", "a name that is long", "short"), ("1", "b", "日本語日本語")]
    assert table(columns, rows, None) == [
        "ID          NAME                 NOTE",
        "0123456789  a name that is long  short",
        "1           b                    日本語日本語",
    ]
    assert table(columns, rows, 34, whole=("ID",)) == [
        "ID          NAME        NOTE",
        "0123456789  a name th…  short",
        "1           b           日本語日 …",
    ]
    assert table(columns, rows, 3, whole=("ID",))[1] == "0123456789  a n…  sho…", "what must be whole is, and headings stay"
    assert table(("A",), [], 80) == ["A"]


def test_a_table_obeys_no_name() -> None:
    assert table(("A",), [("x\x1b[31my\nz",)], None)[1] == "x\ufffd[31my\ufffdz"


@pytest.mark.parametrize(
    ("given", "seconds"), [("0", 0), ("90", 90), ("90s", 90), ("30m", 1800), ("12h", 43200), ("90d", 7776000), ("2w", 1209600)]
)
def test_durations(given: str, seconds: int) -> None:
    assert Duration().convert(given, None, None) == seconds


@pytest.mark.parametrize("given", ["", "x", "1y", "-5", "1.5h", "999999999999d", "9" * 40, "1 d"])
def test_what_is_no_duration(given: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a duration"):
        Duration().convert(given, None, None)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2999-01-31", "2999-01-31 00:00:00 UTC"),
        ("2999-01-31T12:00Z", "2999-01-31 12:00:00 UTC"),
        ("2999-01-31T12:00+02:00", "2999-01-31 10:00:00 UTC"),
        ("2999-01-31 12:00", "2999-01-31 12:00:00 UTC"),
        ("29990131", "2999-01-31 00:00:00 UTC"),
        ("32503680000", "3000-01-01 00:00:00 UTC"),
        ("never", "never"),
        ("0", "never"),
    ],
)
def test_moments(given: str, shown: str) -> None:
    assert moment_text(Moment().convert(given, None, None)) == shown


def test_a_moment_from_now() -> None:
    before = dt.datetime.now(dt.UTC)
    moment = Moment().convert("90d", None, None)
    assert moment is not None
    assert dt.timedelta(0) <= moment - before + dt.timedelta(seconds=1) - dt.timedelta(days=90) < dt.timedelta(minutes=5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("2001-02-03", "2001-02-03 00:00:00 UTC has passed"),
        ("2030", "is not a moment"),
        ("90", "is not a moment"),
        ("1500000000", "2017-07-14 02:40:00 UTC has passed"),
        ("soon", "is not a moment"),
        ("2030-02-31", "is not a moment"),
        ("9" * 30, "is not a moment"),
        ("9999-12-31T23:00-05:00", "is not a moment"),
    ],
)
def test_what_is_no_moment(given: str, said: str) -> None:
    with pytest.raises(click.BadParameter, match=said):
        Moment().convert(given, None, None)
