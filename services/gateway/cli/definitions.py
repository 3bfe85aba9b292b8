"""`definitions …`: list, show, delete, undo and redo; `lint` and `apply` are in `definition_files.py`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import click

from services.common.command_line import Group, print_table, show, time_of
from services.gateway.cli.client import Client, path_of, warn
from services.gateway.cli.definition_files import apply_definitions, lint_definitions
from services.gateway.cli.imports import export_definitions, import_definitions


@click.group(cls=Group)
def definitions() -> None:
    """API definitions."""


definitions.add_command(lint_definitions)
definitions.add_command(apply_definitions)
definitions.add_command(import_definitions)
definitions.add_command(export_definitions)


@definitions.command("list", example="./dev gateway definitions list --search orders")
@click.option("--search", default="", help="A part of the name, an id or the address.")
@click.pass_obj
def list_definitions(client: Client, search: str) -> None:
    """List APIs, one line each, by name."""
    answer = client.call("GET", f"/api/apis/search?p=-1&q={quote(search, safe='')}")
    apis = sorted(answer["apis"], key=lambda one: (_name(one).casefold(), one["api_definition"]["api_id"]))

    def text() -> None:
        rows = []
        for one in apis:
            raw = one["api_definition"]
            place = str(raw.get("domain") or "") + str((raw.get("proxy") or {}).get("listen_path", ""))
            state = "broken" if one.get("mistakes") else "inactive" if raw.get("active") is False else "active"
            rows.append((raw["api_id"], _name(one), place, state))
        print_table(("API ID", "NAME", "LISTEN PATH", "STATE"), rows, whole=("API ID", "STATE"))

    show(apis, text)


def _name(api: dict[str, Any]) -> str:
    return str(api["api_definition"].get("name") or "")


@definitions.command("show", example="./dev gateway definitions show orders --revision 3")
@click.argument("api")
@click.option("--revision", type=click.IntRange(min=1), help="A former revision, with what it changed.")
@click.pass_obj
def show_definition(client: Client, api: str, revision: int | None) -> None:
    """Show one API (its id or api_id) as JSON."""
    if revision is None:
        click.echo(json.dumps(client.call("GET", path_of("api", "apis", api)), ensure_ascii=False, indent=2))
        return
    answer = client.call("GET", path_of("api", "gatehouse", "apis", api, "revisions", str(revision)))
    head = f"revision {revision}, {_action(answer)}, {time_of(answer['at'])}, by {answer['who']}"
    note = f": {answer['note']}" if answer["note"] else ""
    show(answer, f"{head}{note}\n{answer['diff'] or _NOTHING_DIFFERS}")


_NOTHING_DIFFERS = "(nothing differs)"


def _action(revision: dict[str, Any]) -> str:
    return f"{revision['action']} to revision {revision['to']}" if revision.get("to") else str(revision["action"])


@definitions.command("history", example="./dev gateway definitions history orders")
@click.argument("api")
@click.pass_obj
def list_revisions(client: Client, api: str) -> None:
    """List the revisions of an API, newest first; also those of a deleted one."""
    found = client.call("GET", path_of("api", "gatehouse", "apis", api, "revisions"))["revisions"]
    rows = [(str(one["number"]), _action(one), time_of(one["at"]), one["who"], one["note"]) for one in found]
    columns = ("REVISION", "ACTION", "AT", "WHO", "NOTE")
    show(found, lambda: print_table(columns, rows, whole=("REVISION", "ACTION", "AT")))


_note_option = click.option("--note", default="", help="Why; it appears in the history.")
_dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would change.")


@definitions.command("delete", example="./dev gateway definitions delete orders --note 'moved to the new shop'")
@click.argument("api")
@_note_option
@click.pass_obj
def delete_definition(client: Client, api: str, note: str) -> None:
    """Delete an API (its id or api_id); `undo` brings it back."""
    answer = client.call("DELETE", path_of("api", "apis", api), headers=client.noted(note))
    warn(answer)
    show(answer, f"{api}: deleted")


@definitions.command("undo", example="./dev gateway definitions undo orders --dry-run")
@click.argument("api")
@click.option("--to", "number", type=click.IntRange(min=1), help="Save this revision again, instead of one step back.")
@_dry_run_option
@_note_option
@click.pass_obj
def undo(client: Client, api: str, number: int | None, dry_run: bool, note: str) -> None:
    """Go one step back in the history of an API; again: one more. `redo` is the way back.

    Brings back a deleted API. The creation of an API cannot be undone: `delete` removes it.
    """
    if number is None:
        _step(client, api, ("undo",), "undone", dry_run, note)
    else:
        _step(client, api, ("revisions", str(number), "restore"), "restored", dry_run, note)


@definitions.command("redo", example="./dev gateway definitions redo orders")
@click.argument("api")
@_dry_run_option
@_note_option
@click.pass_obj
def redo(client: Client, api: str, dry_run: bool, note: str) -> None:
    """Take the last undo back, one step each time, until something else is saved."""
    _step(client, api, ("redo",), "redone", dry_run, note)


def _step(client: Client, api: str, call: tuple[str, ...], done: str, dry_run: bool, note: str) -> None:
    query = "?dry_run=1" if dry_run else ""
    answer = client.call("POST", path_of("api", "gatehouse", "apis", api, *call) + query, headers=client.noted(note))
    warn(answer)
    if answer.get("Unchanged"):
        head = f"{api}: unchanged, it is as revision {answer['to']} was"
    elif dry_run:
        head = f"{api}: would be {done} to revision {answer['to']}; nothing was written"
    else:
        head = f"{api}: {done} to revision {answer['to']}, as revision {answer['revision']}"
    show(answer, f"{head}\n{answer['diff'] or _NOTHING_DIFFERS}")
