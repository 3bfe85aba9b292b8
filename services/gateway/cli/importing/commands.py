"""`import tyk`: takes a Tyk's definitions, policies and keys along. A dry run first; `--apply` does what it says."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from services.common.command_line import Group, fail, print_table, show, wants_json
from services.gateway.cli.client import REFUSED, WRONG_USAGE, Client
from services.gateway.cli.importing.folder import items, read_folder
from services.gateway.cli.importing.items import Found, Unread
from services.gateway.cli.importing.running import is_url, read_running, unencrypted
from services.gateway.cli.importing.storing import Happens, Outcome, Storing
from services.gateway.refusals import counted

_ORDER: Final[tuple[Happens, ...]] = ("creates", "updates", "is the same", "refused")
_KINDS: Final = {"api": "API", "policy": "policy", "key": "key"}


@click.group("import", cls=Group)
def importing() -> None:
    """Take along what another gateway has."""


@importing.command("tyk", example="./dev gateway import tyk /etc/tyk --apply")
@click.argument("source")
@click.option("--apply", "applies", is_flag=True, help="Do it; without it, nothing is written.")
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the secret of the running Tyk; the variable TYK_SECRET takes precedence.",
)
@click.option("--plain-keys", is_flag=True, help="The Tyk does not hash its keys: names that look like hashes are secrets.")
@click.option("--note", default="", help="Why; it appears in the history of the definitions.")
@click.pass_obj
def import_tyk(client: Client, source: str, applies: bool, secret_file: Path | None, plain_keys: bool, note: str) -> None:
    """Take along the definitions, policies and keys of a Tyk; says of each what happens, what differs and what is missing.

    Status 1 when something is refused; the rest is taken along all the same. Running it again changes nothing more.

    SOURCE: a folder (apps, policies, keys, dumps of its Redis, resources of its Operator), or the URL of a running Tyk gateway.
    """
    found = _read(source, secret_file, plain_keys)
    if not items(found):
        lines = [f"  {one.source}: {one.why}" for one in found.unread]
        fail(f"{source} holds no definition, policy or key of a Tyk", REFUSED, {"unread": _unread(found.unread)}, lines)
    outcomes = list(Storing(client, note or f"taken along from {source}", dry=not applies).all(items(found)))
    document = {"applied": applies, "items": [_shown(one) for one in outcomes], "unread": _unread(found.unread)}
    show(document, lambda: _print(outcomes, found.unread, applies))
    if any(one.happens == "refused" for one in outcomes):
        click.get_current_context().exit(REFUSED)


def _read(source: str, secret_file: Path | None, plain_keys: bool) -> Found:
    if is_url(source):
        host = unencrypted(source)
        if host and not wants_json():
            click.echo(f"warning: the secret and the keys come from {host} unencrypted (http)", err=True)
        return read_running(source, _secret(secret_file))
    try:
        return read_folder(Path(source), plain_names=plain_keys)
    except NotADirectoryError:
        fail(f"{source} is a file; name the folder that it is in, or the URL of a running Tyk", WRONG_USAGE)
    except OSError as error:
        fail(f"{source} cannot be read: {error.strerror}; name a folder, or the URL of a running Tyk", WRONG_USAGE)


def _secret(file: Path | None) -> str:
    """Read Tyk's secret: never from an argument, which everybody on the machine can see."""
    secret = os.environ.get("TYK_SECRET", "")
    if secret:
        return secret
    if file is None:
        fail("the secret of the Tyk is not given: name its file with --secret-file, or set TYK_SECRET", WRONG_USAGE)
    try:
        return file.read_text().strip()
    except OSError as error:
        fail(f"the secret cannot be read from {file}: {error.strerror}", WRONG_USAGE)
    except UnicodeDecodeError:
        fail(f"{file} holds no secret: it is not text", WRONG_USAGE)


def _shown(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome for `--json`; the name of a key is its secret, and is not in it."""
    item = outcome.item
    return {
        "kind": item.kind,
        "id": item.shown if item.kind == "key" else item.id,
        "name": item.shown,
        "source": item.source,
        "happens": outcome.happens,
        "differs": list(item.differs),
        "missing": list(item.missing),
        "refused": list(item.refused),
        "diff": outcome.diff,
    }


def _unread(unread: Sequence[Unread]) -> list[dict[str, str]]:
    return [{"source": one.source, "why": one.why} for one in unread]


def _print(outcomes: Sequence[Outcome], unread: Sequence[Unread], applied: bool) -> None:
    rows = [(_KINDS[one.item.kind], one.item.shown, one.happens, _brief(one.item.differs), _brief(one.item.missing)) for one in outcomes]
    print_table(("KIND", "NAME", "HAPPENS", "DIFFERS", "MISSING"), rows, whole=("KIND", "HAPPENS"))
    for one in outcomes:
        said = [*one.item.refused, *(f"differs: {line}" for line in one.item.differs), *(f"missing: {line}" for line in one.item.missing)]
        if said:
            click.echo(f"\n{_KINDS[one.item.kind]} {one.item.shown} ({one.item.source}), {one.happens}:")
            for line in said:
                click.echo(f"  {line}")
        if one.happens == "updates" and one.diff:
            click.echo(f"\n{_KINDS[one.item.kind]} {one.item.shown} would change:\n{one.diff}")
    if unread:
        click.echo("\nNot taken along:")
        for left in unread:
            click.echo(f"  {left.source}: {left.why}")
    counts = Counter(one.happens for one in outcomes)
    summary = ", ".join(f"{counts[happens]} {happens}" for happens in _ORDER if counts[happens])
    click.echo(f"\n{counted(len(outcomes), 'item')}: {summary}.")
    click.echo("Applied." if applied else "Dry run: nothing was written. --apply does it.")


def _brief(lines: Sequence[str]) -> str:
    return "" if not lines else lines[0] if len(lines) == 1 else f"{lines[0]} (and {len(lines) - 1} more)"
