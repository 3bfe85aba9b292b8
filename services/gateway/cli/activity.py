"""`activity …`: how many requests there were, by API, key, endpoint, version and status."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from urllib.parse import urlencode

import click

from services.common.clock import UTC
from services.common.command_line import Command, print_table, show, time_of
from services.gateway.cli.client import Client, path_of
from services.gateway.cli.operators import Past

_WHAT: Final = ("apis", "versions", "codes", "errors", "keys", "endpoints", "oauthids")
_OF_API: Final = {"apis": "api", "versions": "versions", "codes": "codes", "errors": "errors", "endpoints": "endpoint"}


@click.command("activity", cls=Command, example="./dev gateway activity keys --since 30d --by month")
@click.argument("what", type=click.Choice(_WHAT))
@click.option("--api", default="", help="Only of this API (api_id).")
@click.option("--key", default="", help="Only of this key (its public id); with `apis`.")
@click.option("--by", type=click.Choice(("hour", "day", "month")), default="day", show_default=True, help="How requests are added up.")
@click.option("--since", type=Past(), default="7d", show_default=True, help="From the day of this date or moment (2030-01-31, 7d).")
@click.option("--until", type=Past(), help="To the day of this date or moment; today when it is left out.")
@click.option("--last", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many rows.")
@click.pass_obj
def activity(
    client: Client, what: str, api: str, key: str, by: str, since: dt.datetime, until: dt.datetime | None, last: int
) -> None:  # fmt: skip
    """Count requests by API, version, status, key, endpoint or OAuth2 client (UTC)."""
    if key and what != "apis":
        raise click.UsageError("--key goes with `apis`: the APIs that it was used for")
    dates = [f"{day.astimezone(UTC):%d/%m/%Y}" for day in (since, until or dt.datetime.now(UTC))]
    query = urlencode({"res": by, "page_size": last, "api_id": api})
    place = ("key", key) if key else (_OF_API[what], api) if api and what in _OF_API else (what,)
    answer = client.call("GET", f"{path_of('api', 'activity', *place, *'/'.join(dates).split('/'))}?{query}")
    rows = [_row(one, by) for one in answer["data"]]

    def text() -> None:
        print_table(("WHEN", "WHAT", "HITS", "ERRORS", "AVERAGE MS", "LAST"), rows, whole=("WHEN", "HITS", "ERRORS", "AVERAGE MS"))
        if answer["total"] > len(rows):
            click.echo(f"{len(rows)} of {answer['total']}; --last shows more", err=True)
        if not answer["recording"]:
            click.echo("requests are not recorded now; GATEWAY_ANALYTICS=on switches it on", err=True)

    show(answer["data"], text)


def _row(one: dict[str, Any], by: str) -> tuple[str, ...]:
    id = one["id"]
    when = f"{id['year']:04}-{id['month']:02}"
    if by != "month":
        when += f"-{id['day']:02}"
    if by == "hour":
        when += f" {id['hour']:02}h"
    what = [id["api_id"], id["version"], id["path"], id["key"], id["alias"], id["oauth_id"], str(id["code"] or "")]
    return (
        when,
        " ".join(filter(None, what)) or "(no key)",
        str(one["hits"]),
        str(one["error"]),
        str(one["request_time"]),
        time_of(one["last_hit"]),
    )
