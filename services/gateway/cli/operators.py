"""`operators …`: create, list, rotate and remove those who call the operator API; `audit`: what they changed."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

import click

from services.common.clock import UTC
from services.common.command_line import Command, Duration, Group, print_table, show, time_of
from services.gateway.cli.client import Client, path_of

_ROLES = ("reader", "editor", "admin")


class Past(click.ParamType[dt.datetime]):
    """A moment: a date, a date with a time (UTC unless it names a zone), or a duration before now."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """Read a moment. Raises click.BadParameter."""
        text = str(value).strip()
        try:
            if text[-1:].isalpha() and text[:-1].isdecimal():
                return dt.datetime.now(UTC) - dt.timedelta(seconds=Duration().convert(text, param, ctx))
            moment = dt.datetime.fromisoformat(text)
        except (ValueError, OverflowError):
            self.fail(f"`{value}` is not a moment; write 2030-01-31, 2030-01-31T12:00Z, 12h or 7d", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.group(cls=Group)
def operators() -> None:
    """Operators, their roles and their access keys."""


@operators.command("list", example="./dev gateway operators list")
@click.pass_obj
def list_operators(client: Client) -> None:
    """List operators, one line each, by e-mail address; access keys cannot be shown again."""
    found = client.call("GET", "/api/users?p=-1")["users"]
    rows = [
        (
            one["id"],
            one["email_address"],
            f"{one['first_name']} {one['last_name']}".strip(),
            one["org_id"] or "all",
            one["role"],
            "active" if one["active"] else "inactive",
        )
        for one in found
    ]
    show(found, lambda: print_table(("ID", "EMAIL", "NAME", "ORGANISATION", "ROLE", "STATE"), rows, whole=("ID", "ROLE", "STATE")))


@operators.command("create", example="./dev gateway operators create --email ada@example.org --org acme --role editor")
@click.option("--email", default="", help="E-mail address.")
@click.option("--first-name", default="", help="First name.")
@click.option("--last-name", default="", help="Last name.")
@click.option("--org", default="", help="The organisation that the operator sees and changes; none = all of them.")
@click.option(
    "--role",
    type=click.Choice(_ROLES),
    default="reader",
    show_default=True,
    help="reader: reads; editor: also changes APIs, keys, webhooks, policies; admin: also operators, organisations, audit.",
)
@click.pass_obj
def create_operator(client: Client, email: str, first_name: str, last_name: str, org: str, role: str) -> None:
    """Create an operator. The access key is shown only now."""
    if not (email or first_name or last_name):
        raise click.UsageError("name the operator with --email, --first-name or --last-name")
    body = {"email_address": email, "first_name": first_name, "last_name": last_name, "org_id": org, "role": role}
    _show_key(client.call("POST", "/api/users", body))


@operators.command("rotate", example="./dev gateway operators rotate 495837d4977d74133c08626e --overlap 1h")
@click.argument("id")
@click.option("--overlap", type=Duration(), default="1d", show_default=True, help="How long the present access key still works.")
@click.pass_obj
def rotate_key(client: Client, id: str, overlap: int) -> None:
    """Create another access key for an operator. It is shown only now."""
    _show_key(client.call("POST", path_of("api", "users", id, "rotate"), {"overlap": overlap}))


def _show_key(answer: dict[str, Any]) -> None:
    shown = {"id": answer["Meta"], "access_key": answer["access_key"]}
    show(shown, f"id:          {shown['id']}\naccess key:  {shown['access_key']}\nThe access key is not shown again.")


@operators.command("remove", example="./dev gateway operators remove 495837d4977d74133c08626e")
@click.argument("id")
@click.pass_obj
def remove_operator(client: Client, id: str) -> None:
    """Delete an operator; when the command ends, the access key opens nothing."""
    client.call("DELETE", path_of("api", "users", id))
    show({"removed": id}, f"removed {id}")


@click.command("audit", cls=Command, example="./dev gateway audit --who ada@example.org --since 2030-01-31")
@click.option("--who", default="", help="Only of this operator (id or name) or stated author.")
@click.option("--kind", default="", help="Only of this kind: api, key, hook, policy, delivery, organisation, operator.")
@click.option("--id", "item", default="", help="Only what concerns this id.")
@click.option("--since", type=Past(), help="Not before this date or moment (2030-01-31, 2030-01-31T12:00Z), or in the last 12h, 7d.")
@click.option("--until", type=Past(), help="Before this date or moment.")
@click.option("--last", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@click.pass_obj
def audit(
    client: Client, who: str, kind: str, item: str, since: dt.datetime | None, until: dt.datetime | None, last: int
) -> None:  # fmt: skip
    """Show who changed what and when, newest first, and which attempts were refused; `--json` has what was there before and after."""
    query = {"who": who, "kind": kind, "id": item, "since": _text(since), "until": _text(until), "page_size": last}
    answer = client.call("GET", f"/api/gatehouse/audit?{urlencode(query)}")
    rows = [
        (time_of(one["at"]), _who(one), one["address"], one["method"], one["kind"], one["item"], one["org_id"], one["result"])
        for one in answer["records"]
    ]

    def text() -> None:
        print_table(("AT", "WHO", "FROM", "METHOD", "KIND", "ID", "ORGANISATION", "RESULT"), rows, whole=("METHOD", "KIND", "RESULT"))
        if answer["total"] > len(rows):
            click.echo(f"{len(rows)} of {answer['total']}; --last shows more", err=True)

    show(answer["records"], text)


def _text(moment: dt.datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _who(record: dict[str, Any]) -> str:
    return f"{record['operator']} ({record['author']})" if record["author"] else str(record["operator"])
