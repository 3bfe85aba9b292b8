"""The command line of an operator: the operator API over HTTP. `python -m services.gateway.cli --help`

The key comes from a file or the environment, never from an argument: arguments are seen by everybody on the machine.
Exit status: 0 done, 1 refused (the mistakes are on the standard error), 2 wrong usage, 3 the gateway cannot be reached.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote

import click
import requests

_TIMEOUT: Final = 30.0
_REFUSED: Final = 1
_UNREACHABLE: Final = 3


@dataclass(frozen=True)
class Client:
    """Calls the operator API. as_json: the answers go out as they came."""

    url: str
    key: str
    as_json: bool

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, refusal: bool = True) -> Any:
        """The decoded answer. refusal: whether an error ends the program (with its mistakes); else None stands for 404."""
        sent = {"authorization": self.key, **(headers or {})}
        try:
            answer = requests.request(method, self.url + path, json=body, headers=sent, timeout=_TIMEOUT)
        except requests.RequestException as error:
            stop(f"the gateway cannot be reached at {self.url}: {type(error).__name__}", _UNREACHABLE)
        if answer.status_code == 404 and not refusal:
            return None
        try:
            document = answer.json()
        except ValueError:
            stop(f"{self.url} answered {answer.status_code} with something that is not JSON; is it the operator port?", _UNREACHABLE)
        if not answer.ok:
            stop_refused(answer.status_code, document)
        return document

    def show(self, document: Any, text: str | Callable[[], None]) -> None:
        """The document with --json, else the text, or what it prints."""
        if self.as_json:
            click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        elif isinstance(text, str):
            click.echo(text)
        else:
            text()


def stop(message: str, status: int) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    sys.exit(status)


def stop_refused(status: int, document: Any) -> NoReturn:
    body = document if isinstance(document, Mapping) else {}
    errors = body.get("Errors") or []
    if not errors:
        stop(f"{body.get('Message') or body.get('error') or 'refused'} ({status})", _REFUSED)
    click.echo(f"error: refused ({status}), {len(errors)} mistake{'s' if len(errors) > 1 else ''}:", err=True)
    _print_places(errors, err=True)
    sys.exit(_REFUSED)


def _print_places(places: Any, err: bool = False) -> None:
    for place in places:
        click.echo(f"  {place['pointer'] or '/'}: {place['message']}", err=err)


def _path(*parts: str) -> str:
    return "".join("/" + quote(part, safe="") for part in parts)


def _read(file: Any) -> tuple[dict[str, Any], list[Any]]:
    """A definition file: the definition itself, or what `definitions show --json` gave. Ends the program when it is neither."""
    try:
        document = json.load(file)
    except ValueError as error:
        stop(f"{file.name} is not valid JSON: {error}", _REFUSED)
    inner = document.get("api_definition", document) if isinstance(document, dict) else None
    if not isinstance(inner, dict):
        stop(f"{file.name} holds no API definition", _REFUSED)
    return inner, document.get("hook_references") or []


def _unconfirmed(answer: Mapping[str, Any]) -> None:
    if answer.get("Unconfirmed"):
        click.echo(f"warning: not confirmed yet by {', '.join(answer['Unconfirmed'])}", err=True)


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@click.group()
@click.option("--url", envvar="GATEHOUSE_URL", default="http://127.0.0.1:8081", show_default=True, help="The operator port.")
@click.option(
    "--key-file",
    envvar="GATEHOUSE_KEY_FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("var/gateway/operator.key"),
    show_default=True,
    help="File with the operator key; the variable GATEHOUSE_KEY outranks it.",
)
@click.option("--json", "as_json", is_flag=True, help="Answers as JSON.")
@click.pass_context
def main(context: click.Context, url: str, key_file: Path, as_json: bool) -> None:
    """Definitions and keys of a running gateway."""
    key = os.environ.get("GATEHOUSE_KEY", "")
    if not key:
        try:
            key = key_file.read_text().strip()
        except OSError as error:
            stop(f"the operator key cannot be read from {key_file}: {error.strerror}", 2)
    context.obj = Client(url.rstrip("/"), key, as_json)


@main.group()
def definitions() -> None:
    """API definitions."""


@definitions.command("list")
@click.option("--search", default="", help="A part of the name, an id or the address.")
@click.pass_obj
def list_definitions(client: Client, search: str) -> None:
    """One line an API."""
    answer = client.call("GET", f"/api/apis/search?p=-1&q={quote(search, safe='')}")

    def text() -> None:
        rows = [("API ID", "NAME", "LISTEN PATH", "ACTIVE")]
        for one in answer["apis"]:
            raw = one["api_definition"]
            place = str(raw.get("domain") or "") + str((raw.get("proxy") or {}).get("listen_path", ""))
            rows.append((raw["api_id"], str(raw.get("name") or ""), place, "yes" if raw.get("active") else "no"))
        _table(rows)

    client.show(answer["apis"], text)


@definitions.command("show")
@click.argument("api")
@click.option("--revision", type=int, help="A former revision, with what it changed.")
@click.pass_obj
def show_definition(client: Client, api: str, revision: int | None) -> None:
    """One API (its id or api_id) as JSON."""
    if revision is None:
        click.echo(json.dumps(client.call("GET", _path("api", "apis", api)), ensure_ascii=False, indent=2))
        return
    answer = client.call("GET", _path("api", "gatehouse", "apis", api, "revisions", str(revision)))
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
    found = client.call("GET", _path("api", "gatehouse", "apis", api, "revisions"))["revisions"]

    def text() -> None:
        rows = [("NUMBER", "ACTION", "AT", "WHO", "NOTE")]
        _table([*rows, *((str(one["number"]), one["action"], one["at"], one["who"], one["note"]) for one in found)])

    client.show(found, text)


@definitions.command("lint")
@click.argument("files", type=click.File("r", encoding="utf-8"), nargs=-1, required=True)
@click.pass_obj
def lint_definitions(client: Client, files: tuple[Any, ...]) -> None:
    """Mistakes and warnings of definition files; nothing is stored. Status 1 when there is a mistake."""
    found = {file.name: client.call("POST", "/api/gatehouse/lint", {"api_definition": _read(file)[0]}) for file in files}

    def text() -> None:
        for name, answer in found.items():
            click.echo(f"{name}: {len(answer['mistakes'])} mistakes, {len(answer['warnings'])} warnings")
            _print_places(answer["mistakes"])
            _print_places({**place, "message": f"warning: {place['message']}"} for place in answer["warnings"])

    client.show(found, text)
    if not all(answer["valid"] for answer in found.values()):
        sys.exit(_REFUSED)


@definitions.command("apply")
@click.argument("files", type=click.File("r", encoding="utf-8"), nargs=-1, required=True)
@click.option("--note", default="", help="Why; it stands in the history.")
@click.pass_obj
def apply_definitions(client: Client, files: tuple[Any, ...], note: str) -> None:
    """Create the APIs of definition files, or replace those with the same api_id. Nothing is sent unless all of them are valid."""
    read = [(file.name, *_read(file)) for file in files]
    for name, raw, _ in read:
        checked = client.call("POST", "/api/gatehouse/lint", {"api_definition": raw})
        if not checked["valid"]:
            click.echo(f"error: {name}: {len(checked['mistakes'])} mistakes; nothing was applied", err=True)
            _print_places(checked["mistakes"], err=True)
            sys.exit(_REFUSED)
    headers = {"X-Gatehouse-Note": note} if note else {}
    applied = []
    for name, raw, references in read:
        body = {"api_definition": raw, "hook_references": references}
        known = raw.get("api_id") and client.call("GET", _path("api", "apis", str(raw["api_id"])), refusal=False)
        if known:
            answer = client.call("PUT", _path("api", "apis", known["api_definition"]["id"]), body, headers)
        else:
            answer = client.call("POST", "/api/apis", body, headers)
        _unconfirmed(answer)
        applied.append(
            {"file": name, "action": "updated" if known else "created", "id": known["api_definition"]["id"] if known else answer["Meta"]}
        )
    client.show(applied, "\n".join(f"{one['file']}: {one['action']} {one['id']}" for one in applied))


@definitions.command("undo")
@click.argument("api")
@click.option("--to", "number", type=int, help="The revision to restore; the one before the newest unless given.")
@click.pass_obj
def undo(client: Client, api: str, number: int | None) -> None:
    """Make a former revision the newest one; brings back a deleted API."""
    if number is None:
        found = client.call("GET", _path("api", "gatehouse", "apis", api, "revisions"))["revisions"]
        earlier = [one["number"] for one in found[1:] if one["action"] != "deleted"]
        if not earlier:
            stop("there is no earlier revision", _REFUSED)
        number = earlier[0]
    answer = client.call("POST", _path("api", "gatehouse", "apis", api, "revisions", str(number), "restore"))
    _unconfirmed(answer)
    client.show({**answer, "restored": number}, lambda: click.echo(f"{api}: restored from revision {number}"))


@main.group()
def keys() -> None:
    """Keys of clients."""


@keys.command("list")
@click.option("--api", help="Only the keys of this API.")
@click.pass_obj
def list_keys(client: Client, api: str | None) -> None:
    """One line a key; secrets are not known any more."""
    found = client.call("GET", (_path("api", "apis", api, "keys") if api else "/api/keys") + "?p=-1")["data"]["details"]

    def text() -> None:
        rows = [("ID", "ALIAS", "OWNER", "APIS", "LAST USED", "STATE")]
        for one in found:
            state = "inactive" if one["is_inactive"] else "active"
            rows.append((one["id"], one["alias"], one["owner"], ",".join(one["apis"]) or "all", one["last_used_at"] or "never", state))
        _table(rows)

    client.show(found, text)


@keys.command("create")
@click.option("--api", "apis", multiple=True, help="An API the key may reach (may be repeated).")
@click.option("--all-apis", is_flag=True, help="The key may reach every API.")
@click.option("--version", "versions", multiple=True, default=("Default",), show_default=True, help="A version of these APIs.")
@click.option("--alias", default="", help="A name for the key.")
@click.option("--owner", default="", help="Whose key it is.")
@click.option("--tag", "tags", multiple=True)
@click.option("--rate", type=float, default=0, help="Requests in `--per` seconds; 0 = no limit.")
@click.option("--per", type=float, default=0, help="Seconds.")
@click.option("--quota", type=int, default=-1, help="Requests in `--quota-renewal` seconds; -1 = no limit.")
@click.option("--quota-renewal", type=int, default=0, help="Seconds; 0 = never renewed.")
@click.option("--expires", type=int, default=0, help="Epoch seconds; 0 = never.")
@click.pass_obj
def create_key(
    client: Client, apis: tuple[str, ...], all_apis: bool, versions: tuple[str, ...], alias: str, owner: str, tags: tuple[str, ...],
    rate: float, per: float, quota: int, quota_renewal: int, expires: int,
) -> None:  # fmt: skip
    """Make a key. Its secret is shown this once."""
    if bool(apis) == all_apis:
        raise click.UsageError("name the APIs with --api, or say --all-apis")
    if (rate > 0) != (per > 0):
        raise click.UsageError("--rate and --per go together")
    session = {
        "access_rights": {api: {"api_id": api, "versions": list(versions)} for api in apis},
        "alias": alias, "owner": owner, "tags": list(tags), "rate": rate, "per": per,
        "quota_max": quota, "quota_renewal_rate": quota_renewal, "expires": expires,
    }  # fmt: skip
    answer = client.call("POST", "/api/keys", session)
    _unconfirmed(answer)
    client.show(answer, lambda: click.echo(f"id:     {answer['id']}\nsecret: {answer['key_id']}\nThe secret is not shown again."))


@keys.command("revoke")
@click.argument("ids", nargs=-1, required=True)
@click.pass_obj
def revoke_keys(client: Client, ids: tuple[str, ...]) -> None:
    """Delete keys by their ids; they open nothing any more when this ends."""
    for id in ids:
        _unconfirmed(client.call("DELETE", _path("api", "keys", id)))
    client.show({"revoked": list(ids)}, "\n".join(f"revoked {id}" for id in ids))


@keys.command("rotate")
@click.argument("id")
@click.option("--overlap", type=int, default=86400, show_default=True, help="Seconds for which the present secret still works.")
@click.pass_obj
def rotate_key(client: Client, id: str, overlap: int) -> None:
    """Make another secret for a key. It is shown this once."""
    answer = client.call("POST", _path("api", "keys", id, "rotate"), {"overlap": overlap})
    _unconfirmed(answer)
    client.show(answer, lambda: click.echo(f"id:     {answer['id']}\nsecret: {answer['key_id']}\nThe secret is not shown again."))


if __name__ == "__main__":
    main(prog_name="gatehouse")
