"""`definitions lint` and `definitions apply`: definitions in files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from services.common.command_line import Command, Failure, fail, show, wants_json
from services.gateway.cli.client import REFUSED, UNREACHABLE, WRONG_USAGE, Client, path_of, place_lines, warn
from services.gateway.compiler import interpret, lint
from services.gateway.definitions.lint import unread_fields
from services.gateway.definitions.reader import Mistake, Mistakes, read_json
from services.gateway.operator_api.changes.filling import filled
from services.gateway.refusals import counted

_STDIN: Final = "-"


@dataclass(frozen=True, slots=True)
class File:
    """A definition file: the definition itself, or what `definitions show` printed. mistakes: why it cannot be read."""

    name: str
    raw: dict[str, Any]
    references: list[Any]
    mistakes: tuple[Mistake, ...] = ()


@click.command("lint", cls=Command, example="./dev gateway definitions lint deploy/apis mine.json")
@click.argument("files", nargs=-1, required=True)
@click.pass_obj
def lint_definitions(client: Client, files: tuple[str, ...]) -> None:
    """Show mistakes and warnings of definition files; nothing is stored. Status 1 when there is a mistake.

    Needs no running gateway, but asks one that it can reach: only a gateway knows whether a listen path is taken.

    FILES: files, folders (all *.json in them), or - for the standard input.
    """
    checked: dict[str, dict[str, Any]] = {}
    reason = ""
    for file in _read_all(files):
        if file.mistakes:
            checked[file.name] = {**_result(file.mistakes), "checked_by": None}
            continue
        result = None
        if not reason:
            result, reason = _asked(client, file.raw)
        checked[file.name] = {**(result or _checked_here(file.raw)), "checked_by": "gateway" if result else "here"}

    def text() -> None:
        for name, one in checked.items():
            click.echo(f"{name}: {counted(len(one['mistakes']), 'mistake')}, {counted(len(one['warnings']), 'warning')}")
            for line in place_lines(one["mistakes"]):
                click.echo(f"  {line}")
            for place in one["warnings"]:
                click.echo(f"  {place['pointer'] or '/'}: warning: {place['message']}")
        if any(one["checked_by"] == "here" for one in checked.values()):
            click.echo(f"Checked without the gateway; listen paths may be taken: {reason}")
        elif any(one["checked_by"] for one in checked.values()):
            click.echo(f"Checked by the gateway at {client.url}, with the APIs that it has.")

    show(checked, text)
    if not all(one["valid"] for one in checked.values()):
        click.get_current_context().exit(REFUSED)


def _asked(client: Client, raw: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Return what the gateway says about a definition; (None, why) when it cannot be asked."""
    try:
        return client.call("POST", "/api/gatehouse/lint", {"api_definition": raw}), ""
    except Failure as error:
        if error.exit_code in (UNREACHABLE, WRONG_USAGE) or error.details.get("code") == "operator-key-wrong":
            return None, error.summary
        raise


def _checked_here(raw: dict[str, Any]) -> dict[str, Any]:
    """Check as the gateway does, except for what only a running one knows."""
    try:
        return _result((), lint(interpret(filled(raw), _Environment(os.environ))))
    except Mistakes as error:
        return _result(error.mistakes, unread_fields(error.unread))


class _Environment(dict[str, str]):
    """The environment of a gateway that is not asked: the addresses of upstreams that are not set here may be set there."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name) or "https://upstream.invalid"


def _result(mistakes: Iterable[Mistake], warnings: Iterable[Mistake] = ()) -> dict[str, Any]:
    listed = [one._asdict() for one in mistakes]
    return {"valid": not listed, "mistakes": listed, "warnings": [one._asdict() for one in warnings]}


@click.command("apply", cls=Command, example="./dev gateway definitions apply mine.json --note 'first try'")
@click.argument("files", nargs=-1, required=True)
@click.option("--note", default="", help="Why; it appears in the history.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.pass_obj
def apply_definitions(client: Client, files: tuple[str, ...], note: str, dry_run: bool) -> None:
    """Create the APIs of definition files, or replace those with the same api_id. Nothing is sent unless all of them are valid.

    What is already there stays as it is, without a new revision.

    FILES: files, folders (all *.json in them), or - for the standard input.
    """
    read = list(_read_all(files))
    _refuse_invalid(client, read)
    applied: list[dict[str, Any]] = []
    try:
        for file in read:
            applied.append(_apply(client, file, note, dry_run))
    except Failure as error:
        # the files before this one are applied
        told = [f"  before that: {one['file']} was {one['action']}" for one in applied]
        fail(f"{read[len(applied)].name}: {error.summary}", error.exit_code, {**error.details, "applied": applied}, [*error.lines, *told])

    def text() -> None:
        for one in applied:
            would = "would be " if dry_run and one["action"] != "unchanged" else ""
            click.echo(f"{one['file']}: {would}{one['action']} {one['api_id'] or one['id']}")
            if one.get("diff"):
                click.echo(one["diff"])

    show(applied, text)


def _refuse_invalid(client: Client, read: Iterable[File]) -> None:
    """End the program with all mistakes of all files, if there are any. Raises Failure."""
    wrong: dict[str, Any] = {}
    for file in read:
        result = _result(file.mistakes) if file.mistakes else client.call("POST", "/api/gatehouse/lint", {"api_definition": file.raw})
        if not result["valid"]:
            wrong[file.name] = result["mistakes"]
    if wrong:
        lines = [line for name, mistakes in wrong.items() for line in (f"  {name}:", *(f"    {one}" for one in place_lines(mistakes)))]
        total = counted(sum(map(len, wrong.values())), "mistake")
        fail(f"nothing was applied: {total} in {counted(len(wrong), 'file')}", REFUSED, {"mistakes": wrong}, lines)


def _apply(client: Client, file: File, note: str, dry_run: bool) -> dict[str, Any]:
    body = {"api_definition": file.raw, "hook_references": file.references}
    query, headers = ("?dry_run=1" if dry_run else ""), client.noted(note)
    named = {name.lower(): value for name, value in file.raw.items()}
    key = named.get("api_id") or named.get("id")
    known = key and client.call("GET", path_of("api", "apis", str(key)), refusal=False)
    if known:
        id, api_id = (known["api_definition"][name] for name in ("id", "api_id"))
        answer = client.call("PUT", path_of("api", "apis", id) + query, body, headers)
        action = "unchanged" if answer.get("Unchanged") else "updated"
    else:
        answer = client.call("POST", "/api/apis" + query, body, headers)
        id, api_id, action = answer["Meta"], str(named.get("api_id") or ""), "created"
    if not (wants_json() or key):
        click.echo(f"warning: {file.name} has no api_id, so each apply creates another API: write one into it", err=True)
    warn(answer)
    applied = {"file": file.name, "action": action, "id": id, "api_id": api_id}
    applied |= {"warnings": answer.get("Warnings", []), "unconfirmed": answer.get("Unconfirmed", [])}
    return {**applied, "diff": answer["diff"]} if dry_run else applied


# Reading.


def _read_all(names: Iterable[str]) -> Iterator[File]:
    """Read one file after the other; one that cannot be read does not stop the next."""
    for name in names:
        if name != _STDIN and Path(name).is_dir():
            inside = sorted(Path(name).glob("*.json"))
            if not inside:
                yield _unreadable(name, "the folder holds no *.json")
            yield from (_read(str(path)) for path in inside)
        else:
            yield _read(name)


def _read(name: str) -> File:
    try:
        content = sys.stdin.buffer.read() if name == _STDIN else Path(name).read_bytes()
    except OSError as error:
        return _unreadable(name, f"cannot be read: {error.strerror}")
    name = "standard input" if name == _STDIN else name
    try:
        document = read_json(content)
        json.dumps(document, allow_nan=False)  # refuses infinite numbers, which no field can hold
    except Mistakes as error:
        return File(name, {}, [], error.mistakes)
    except ValueError:
        return _unreadable(name, "holds too large a number")
    inner = document.get("api_definition", document)
    if not isinstance(inner, Mapping):
        return File(name, {}, [], (Mistake("/api_definition", "must be an object: the definition"),))
    return File(name, dict(inner), document.get("hook_references") or [])


def _unreadable(name: str, why: str) -> File:
    return File(name, {}, [], (Mistake("", why),))
