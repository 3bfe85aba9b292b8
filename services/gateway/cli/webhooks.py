"""`hooks …` and `deliveries …`: the webhooks, and what became of their calls."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import click

from services.common.command_line import Failure, Group, fail, print_table, show, time_of
from services.gateway.cli.client import Client, path_of
from services.gateway.refusals import counted

_STATES = ("pending", "delivered", "dead")


@click.group(cls=Group)
def hooks() -> None:
    """Webhooks.

    They are created through the API, because a secret does not belong on the command line.
    """


@hooks.command("list", example="./dev gateway hooks list")
@click.pass_obj
def list_hooks(client: Client) -> None:
    """List webhooks, one line each, by name."""
    found = sorted(client.call("GET", "/api/hooks?p=-1")["hooks"], key=lambda one: (one["name"].casefold(), one["id"]))
    rows = [(one["id"], one["name"], one["method"], one["target_path"], "yes" if one.get("signed") else "no") for one in found]
    show(found, lambda: print_table(("ID", "NAME", "METHOD", "TARGET", "SIGNED"), rows, whole=("ID", "METHOD")))


@click.group(cls=Group)
def deliveries() -> None:
    """Calls of webhooks."""


@deliveries.command("list", example="./dev gateway deliveries list --state dead")
@click.option("--state", type=click.Choice(_STATES), help="Only these.")
@click.option("--hook", default="", help="Only those of this webhook (its id).")
@click.option("--last", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@click.pass_obj
def list_deliveries(client: Client, state: str | None, hook: str, last: int) -> None:
    """List calls, one line each, newest first, with the reason of a failure."""
    query = f"?page_size={last}&state={state or ''}&hook_id={quote(hook, safe='')}"
    answer = client.call("GET", f"/api/gatehouse/deliveries{query}")
    columns = ("ID", "EVENT", "API", "URL", "STATE", "TRIES", "AT", "ERROR")
    rows = [
        (
            one["id"],
            one["event"],
            one["api_id"],
            one["url"],
            one["state"],
            str(one["attempts"]),
            time_of(one["created_at"]),
            one["last_error"] or "",
        )
        for one in answer["deliveries"]
    ]

    def text() -> None:
        print_table(columns, rows, whole=("ID", "STATE", "TRIES"))
        if answer["total"] > len(rows):
            click.echo(f"{len(rows)} of {answer['total']}; --last shows more", err=True)

    show(answer["deliveries"], text)


@deliveries.command("replay", example="./dev gateway deliveries replay msg_5f2b")
@click.argument("ids", nargs=-1)
@click.option("--hook", default="", help="All dead calls of this webhook (its id).")
@click.option("--all", "all_dead", is_flag=True, help="All dead calls of every webhook.")
@click.pass_obj
def replay(client: Client, ids: tuple[str, ...], hook: str, all_dead: bool) -> None:
    """Repeat calls, by their ids, or all that are dead."""
    if sum((bool(ids), bool(hook), all_dead)) != 1:
        raise click.UsageError("name calls by their ids, or a webhook with --hook, or say --all")
    if ids:
        count = _replay_each(client, ids)
    else:
        query = "?all=1" if all_dead else f"?hook_id={quote(hook, safe='')}"
        count = client.call("POST", f"/api/gatehouse/deliveries/replay{query}")["Meta"]
    show({"scheduled": count}, f"{counted(count, 'call')} scheduled")


def _replay_each(client: Client, ids: Sequence[str]) -> int:
    """Schedule each call and return their number. Raises Failure, which names those that were scheduled before the one that failed."""
    for number, id in enumerate(ids):
        try:
            client.call("POST", path_of("api", "gatehouse", "deliveries", id, "replay"))
        except Failure as error:
            before = list(ids[:number])
            told = [f"  before that: {one} was scheduled" for one in before]
            fail(f"{id}: {error.summary}", error.exit_code, {**error.details, "scheduled": before}, [*error.lines, *told])
    return len(ids)
