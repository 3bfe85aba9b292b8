"""`definitions …`"""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import quote

import click

from services.gateway.cli.client import REFUSED, Client, path_of, print_places, print_table, stop, warn
from services.gateway.definitions.reader import Mistakes, read_json


@click.group()
def definitions() -> None:
    """API definitions."""


@definitions.command("list")
@click.option("--search", default="", help="A part of the name, an id or the address.")
@click.pass_obj
def list_definitions(client: Client, search: str) -> None:
    """One line an API."""
    answer = client.call("GET", f"/api/apis/search?p=-1&q={quote(search, safe='')}")

    def text() -> None:
        rows = [("API ID", "NAME", "LISTEN PATH", "STATE")]
        for one in answer["apis"]:
            raw = one["api_definition"]
            place = str(raw.get("domain") or "") + str((raw.get("proxy") or {}).get("listen_path", ""))
            state = "broken" if one.get("mistakes") else "active" if raw.get("active") else "inactive"
            rows.append((raw["api_id"], str(raw.get("name") or ""), place, state))
        print_table(rows)

    client.show(answer["apis"], text)


@definitions.command("show")
@click.argument("api")
@click.option("--revision", type=int, help="A former revision, with what it changed.")
@click.pass_obj
def show_definition(client: Client, api: str, revision: int | None) -> None:
    """One API (its id or api_id) as JSON."""
    if revision is None:
        click.echo(json.dumps(client.call("GET", path_of("api", "apis", api)), ensure_ascii=False, indent=2))
        return
    answer = client.call("GET", path_of("api", "gatehouse", "apis", api, "revisions", str(revision)))
    client.show(
        answer,
        lambda: click.echo(
            f"revision {revision}, {answer['action']} {answer['at']} by {answer['who']}: {answer['note']}\n{answer['diff']}"
        ),
    )


@definitions.command("history")
@click.argument("api")
@click.pass_obj
def list_revisions(client: Client, api: str) -> None:
    """The revisions of an API, newest first; also of a deleted one."""
    found = client.call("GET", path_of("api", "gatehouse", "apis", api, "revisions"))["revisions"]

    def text() -> None:
        rows = [("NUMBER", "ACTION", "AT", "WHO", "NOTE")]
        print_table([*rows, *((str(one["number"]), one["action"], one["at"], one["who"], one["note"]) for one in found)])

    client.show(found, text)


@definitions.command("lint")
@click.argument("files", type=click.File("rb"), nargs=-1, required=True)
@click.pass_obj
def lint_definitions(client: Client, files: tuple[Any, ...]) -> None:
    """Mistakes and warnings of definition files; nothing is stored. Status 1 when there is a mistake."""
    found = {file.name: client.call("POST", "/api/gatehouse/lint", {"api_definition": _read(file)[0]}) for file in files}

    def text() -> None:
        for name, answer in found.items():
            click.echo(f"{name}: {len(answer['mistakes'])} mistakes, {len(answer['warnings'])} warnings")
            print_places(answer["mistakes"])
            print_places({**place, "message": f"warning: {place['message']}"} for place in answer["warnings"])

    client.show(found, text)
    if not all(answer["valid"] for answer in found.values()):
        sys.exit(REFUSED)


@definitions.command("apply")
@click.argument("files", type=click.File("rb"), nargs=-1, required=True)
@click.option("--note", default="", help="Why; it stands in the history.")
@click.pass_obj
def apply_definitions(client: Client, files: tuple[Any, ...], note: str) -> None:
    """Create the APIs of definition files, or replace those with the same api_id. Nothing is sent unless all of them are valid."""
    read = [(file.name, *_read(file)) for file in files]
    for name, raw, _ in read:
        checked = client.call("POST", "/api/gatehouse/lint", {"api_definition": raw})
        if not checked["valid"]:
            click.echo(f"error: {name}: {len(checked['mistakes'])} mistakes; nothing was applied", err=True)
            print_places(checked["mistakes"], err=True)
            sys.exit(REFUSED)
    applied = []
    for name, raw, references in read:
        body = {"api_definition": raw, "hook_references": references}
        known = raw.get("api_id") and client.call("GET", path_of("api", "apis", str(raw["api_id"])), refusal=False)
        if known:
            answer = client.call("PUT", path_of("api", "apis", known["api_definition"]["id"]), body, _noted(note))
        else:
            answer = client.call("POST", "/api/apis", body, _noted(note))
        warn(answer)
        applied.append(
            {"file": name, "action": "updated" if known else "created", "id": known["api_definition"]["id"] if known else answer["Meta"]}
        )
    client.show(applied, "\n".join(f"{one['file']}: {one['action']} {one['id']}" for one in applied))


@definitions.command("delete")
@click.argument("api")
@click.option("--note", default="", help="Why; it stands in the history.")
@click.pass_obj
def delete_definition(client: Client, api: str, note: str) -> None:
    """Delete an API (its id or api_id); `undo` brings it back."""
    answer = client.call("DELETE", path_of("api", "apis", api), headers=_noted(note))
    warn(answer)
    client.show(answer, f"{api}: deleted")


@definitions.command("undo")
@click.argument("api")
@click.option("--to", "number", type=click.IntRange(min=1), help="The revision to restore; the one before the newest unless given.")
@click.pass_obj
def undo(client: Client, api: str, number: int | None) -> None:
    """Make a former revision the newest one; brings back a deleted API."""
    seen = {}
    if number is None:
        found = client.call("GET", path_of("api", "gatehouse", "apis", api, "revisions"))["revisions"]
        earlier = [one["number"] for one in found[1:] if one["action"] != "deleted"]
        if not earlier:
            stop("there is no earlier revision", REFUSED)
        number = earlier[0]
        seen = {"If-Match": f'"{found[0]["number"]}"'}  # what somebody else changes meanwhile is not what is undone
    answer = client.call("POST", path_of("api", "gatehouse", "apis", api, "revisions", str(number), "restore"), headers=seen)
    warn(answer)
    client.show({**answer, "restored": number}, lambda: click.echo(f"{api}: restored from revision {number}"))


def _noted(note: str) -> dict[str, str]:
    text = " ".join(note.split())  # a header has one line
    return {"X-Gatehouse-Note": text} if text else {}


def _read(file: Any) -> tuple[dict[str, Any], list[Any]]:
    """A definition file: the definition itself, or what `definitions show --json` gave. Ends the program when it is neither."""
    try:
        document = read_json(file.read())
    except Mistakes as error:
        click.echo(f"error: {file.name} cannot be used:", err=True)
        print_places((one._asdict() for one in error.mistakes), err=True)
        sys.exit(REFUSED)
    inner = document.get("api_definition", document)
    if not isinstance(inner, dict):
        stop(f"{file.name} holds no API definition", REFUSED)
    return inner, document.get("hook_references") or []
