"""`policies …` and `organisations …`: the limits that many keys, or all APIs of an owner, have in common."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import click

from services.common.command_line import Group, fail, print_table, show
from services.gateway.cli.client import REFUSED, Client, every_page, path_of, place_lines, warn
from services.gateway.definitions.reader import Mistakes, read_json

_STDIN: Final = "-"


@click.group(cls=Group)
def policies() -> None:
    """Policies: rights and limits that many keys have in common."""


@policies.command("list", example="./dev gateway policies list")
@click.pass_obj
def list_policies(client: Client) -> None:
    """List policies, one line each, by name."""
    found = every_page(client, "/api/portal/policies", lambda answer: answer["Data"], "Pages")
    rows = [
        (
            one["id"], one.get("name") or "", one.get("org_id") or "", ",".join(sorted(one.get("access_rights") or ())), *_limits(one),
            "inactive" if one.get("is_inactive") or one.get("active") is False else "active",
        )
        for one in found
    ]  # fmt: skip
    columns = ("ID", "NAME", "ORGANISATION", "APIS", "RATE", "QUOTA", "STATE")
    show(found, lambda: print_table(columns, rows, whole=("ID", "STATE")))


@policies.command("show", example="./dev gateway policies show gold")
@click.argument("id")
@click.pass_obj
def show_policy(client: Client, id: str) -> None:
    """Show one policy as JSON."""
    policy = client.call("GET", path_of("api", "portal", "policies", id))
    click.echo(json.dumps({name: value for name, value in policy.items() if name != "_id"}, ensure_ascii=False, indent=2))


@policies.command("put", example="./dev gateway policies put gold.json")
@click.argument("file")
@click.pass_obj
def put_policy(client: Client, file: str) -> None:
    """Create a policy, or replace the one with the same id. When the command ends, all keys that name it have it.

    FILE: JSON as `policies show` prints it, or - for the standard input.
    """
    policy = _read(file)
    named = {name.lower(): value for name, value in policy.items()}
    id = str(named.get("id") or named.get("_id") or "")
    known = client.call("GET", path_of("api", "portal", "policies", id), refusal=False) if id else None
    if known:
        answer = client.call("PUT", path_of("api", "portal", "policies", id), policy)
    else:
        answer = client.call("POST", "/api/portal/policies", policy)
        id = answer["Meta"]
    warn(answer)
    done = "replaced" if known else "created"
    show({"id": id, "action": done, "unconfirmed": answer.get("Unconfirmed", [])}, f"{id}: {done}")


@policies.command("delete", example="./dev gateway policies delete gold --force")
@click.argument("id")
@click.option("--force", is_flag=True, help="Also when keys name it; they are switched off by that.")
@click.pass_obj
def delete_policy(client: Client, id: str, force: bool) -> None:
    """Delete a policy that no key names."""
    answer = client.call("DELETE", path_of("api", "portal", "policies", id) + ("?force=1" if force else ""))
    warn(answer)
    show(answer, f"{id}: deleted")


@click.group(cls=Group)
def organisations() -> None:
    """Organisations, which own APIs: limits for all of them together."""


@organisations.command("list", example="./dev gateway organisations list")
@click.pass_obj
def list_organisations(client: Client) -> None:
    """List the organisations that have a session, one line each."""
    ids = client.call("GET", "/tyk/org/keys")["keys"]
    found = [client.call("GET", path_of("tyk", "org", "keys", id)) for id in ids]
    rows = [(one["org_id"], *_limits(one), "inactive" if one.get("is_inactive") else "active") for one in found]
    show(found, lambda: print_table(("ID", "RATE", "QUOTA", "STATE"), rows, whole=("ID", "STATE")))


@organisations.command("show", example="./dev gateway organisations show acme")
@click.argument("id")
@click.pass_obj
def show_organisation(client: Client, id: str) -> None:
    """Show the session of an organisation as JSON."""
    click.echo(json.dumps(client.call("GET", path_of("tyk", "org", "keys", id)), ensure_ascii=False, indent=2))


@organisations.command("put", example="./dev gateway organisations put acme acme.json --reset-quota")
@click.argument("id")
@click.argument("file")
@click.option("--reset-quota", is_flag=True, help="Begin its quota again.")
@click.pass_obj
def put_organisation(client: Client, id: str, file: str, reset_quota: bool) -> None:
    """Store the session of an organisation. When the command ends, all its APIs have it.

    FILE: JSON as `organisations show` prints it, or - for the standard input.
    """
    answer = client.call("PUT", path_of("tyk", "org", "keys", id) + ("?reset_quota=1" if reset_quota else ""), _read(file))
    warn({"Unconfirmed": answer.get("unconfirmed")})
    show(answer, f"{id}: {'created' if answer['action'] == 'added' else 'replaced'}")


@organisations.command("delete", example="./dev gateway organisations delete acme")
@click.argument("id")
@click.pass_obj
def delete_organisation(client: Client, id: str) -> None:
    """Delete the session of an organisation, which then has no limits. Its APIs stay."""
    answer = client.call("DELETE", path_of("tyk", "org", "keys", id))
    warn({"Unconfirmed": answer.get("unconfirmed")})
    show(answer, f"{id}: deleted")


def _limits(session: dict[str, Any]) -> tuple[str, str]:
    """Write rate and quota for a table."""
    rate, per, quota, renewal = (session.get(name) or 0 for name in ("rate", "per", "quota_max", "quota_renewal_rate"))
    every = f" in {renewal:g} s" if renewal > 0 else ""
    return f"{rate:g} in {per:g} s" if rate > 0 and per > 0 else "none", f"{quota:g}{every}" if quota > 0 else "none"


def _read(file: str) -> dict[str, Any]:
    try:
        content = sys.stdin.buffer.read() if file == _STDIN else Path(file).read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", REFUSED)
    try:
        return read_json(content)
    except Mistakes as error:
        listed = [one._asdict() for one in error.mistakes]
        fail(f"{file} is not used", REFUSED, {"mistakes": listed}, [f"  {line}" for line in place_lines(listed)])
