"""`./dev mobility import`: its commands and options. It speaks HTTP with a running service, as every client does.

The password comes from a file, the environment or a prompt, never from an argument: everybody on the machine can see arguments.
Exit status: 0 done, 1 refused or stopped, 2 wrong usage, 3 the service cannot be reached, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import ssl
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click

from services.common.command_line import Failure, Group, fail, show, wants_json
from services.mobility.importing.client import Client, Refused, Unreachable
from services.mobility.importing.geojson import Keys
from services.mobility.importing.problems import Problems, Stopped
from services.mobility.importing.progress import choose, printable
from services.mobility.importing.run import Options, Run

REFUSED: Final = 1
WRONG_USAGE: Final = 2
UNREACHABLE: Final = 3
_ADMINISTRATOR: Final = "admin@gatehouse.local"
_LARGEST_BATCH: Final = 10_000  # nodes; the service's limit

F = TypeVar("F", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options that both importers share."""

    url: str
    layer: str
    email: str | None
    password_file: Path | None
    ca_file: Path | None
    plain_http: bool
    create_layer: bool
    description: str
    organization: str
    category: str
    batch: int
    dry_run: bool
    resume: bool
    states: Path
    on_error: str


@click.group("import", cls=Group)
def command() -> None:
    """Write files into a layer, over the public HTTP API."""


def _shared(layer: Mapping[str, Any]) -> Callable[[F], F]:
    """Give a command the options of all importers. layer: what is particular about `--layer`."""
    path = click.Path(path_type=Path, dir_okay=False, exists=True)
    options = (
        click.option(
            "--url",
            envvar="GATEHOUSE_MOBILITY_URL",
            default="http://127.0.0.1:8080/mobility",
            show_default=True,
            help="The service, through the gateway or directly.",
        ),
        click.option("--layer", **layer),
        click.option("--email", envvar="GATEHOUSE_MOBILITY_EMAIL", help="Of the layer's owner. On this machine: its administrator."),
        click.option("--password-file", type=path, help="File with the password; else GATEHOUSE_MOBILITY_PASSWORD, else a prompt."),
        click.option("--ca-file", type=path, help="Certificates (PEM) that vouch for the service's own."),
        click.option("--plain-http", is_flag=True, help="Send the password over plain HTTP to another machine."),
        click.option("--create-layer", is_flag=True, help="Create the layer when it does not exist."),
        click.option("--description", default="", help="Of a layer that is created."),
        click.option("--organization", default="", help="Of a layer that is created."),
        click.option("--category", default="", help="Of a layer that is created, such as mobility.transit."),
        click.option("--batch", type=click.IntRange(1, _LARGEST_BATCH), default=1000, show_default=True, help="Nodes in one transaction."),
        click.option("--dry-run", is_flag=True, help="Let the service check everything and write nothing."),
        click.option("--resume", is_flag=True, help="Go on where an import of the same files to the same layer stopped."),
        click.option(
            "--states",
            envvar="GATEHOUSE_IMPORTS",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("var/mobility/imports"),
            show_default=True,
            help="Folder of what --resume reads.",
        ),
        click.option(
            "--on-error",
            type=click.Choice(["stop", "skip"]),
            default="stop",
            show_default=True,
            help="What to do about something wrong in a file: stop, or leave it out and tell.",
        ),
    )

    def decorate(decorated: F) -> F:
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


@command.command("gtfs", example="./dev mobility import gtfs services/mobility/examples/gtfs")
@click.argument("feeds", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="FILE.zip|FOLDER…")
@_shared({"default": "gtfs", "show_default": True, "help": "The layer to write."})
def import_gtfs(feeds: tuple[Path, ...], **given: Any) -> None:
    """Import stops and lines, with their timetables, from GTFS feeds.

    A stop becomes the node LAYER.stop.ID. A line becomes the node LAYER.line.AGENCY.NAME.DIRECTION: one for each route and direction,
    through the stops of all its trips.
    """
    _run(Settings(**given), lambda run: run.gtfs(feeds))


@command.command("geojson", example="./dev mobility import geojson places.geojson --layer my.places --id ref --on-error skip")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_shared({"required": True, "help": "The layer to write."})
@click.option("--id", "id_key", metavar="KEY", help="The property that is the id. Default: the feature's own `id`.")
@click.option("--name", "name_key", metavar="KEY", default="name", show_default=True, help="The property that is the name.")
@click.option("--srid", type=click.IntRange(1, 999_999), help="EPSG number of the coordinates. Default: what the file says, else 4326.")
def import_geojson(files: tuple[Path, ...], id_key: str | None, name_key: str, srid: int | None, **given: Any) -> None:
    """Import the features of GeoJSON files as nodes, their properties as the layer's data.

    FILES: FeatureCollections or single Features, of any size; or with one feature a line (.geojsonl, .ndjson).
    """
    _run(Settings(**given), lambda run: run.geojson(files, Keys(id_key, name_key), srid))


def _run(settings: Settings, work: Callable[[Run], dict[str, Any]]) -> None:
    _check(settings)
    email, password = _credentials(settings)
    progress = choose(wants_json())
    problems = Problems(settings.on_error == "skip", progress.tell)
    client = Client(settings.url, email, password, tell=progress.tell, ca_file=settings.ca_file)
    create = {"description": settings.description, "organization": settings.organization, "category": settings.category}
    options = Options(
        settings.layer, settings.batch, settings.dry_run, settings.resume, create if settings.create_layer else None, settings.states
    )
    run = Run(client, options, problems, progress)
    failure: Exception | None = None
    try:
        document = work(run)
    except (KeyboardInterrupt, Stopped, Refused, Unreachable, OSError) as error:
        failure = _failure(error, run, settings)
    finally:
        progress.close()
        client.log_out()
    if failure is not None:
        raise failure
    show(document, lambda: _tell(document, run))


def _check(settings: Settings) -> None:
    """End the program for options that cannot work together."""
    parts = urlsplit(settings.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        fail(f"`{settings.url}` is not an address; write one like http://127.0.0.1:8080/mobility", WRONG_USAGE)
    if parts.scheme == "http" and not settings.plain_http and not _is_here(settings.url):
        fail("a password must not travel in plain HTTP to another machine: write https://, or --plain-http", WRONG_USAGE)
    missing = [f"--{name}" for name in ("description", "organization", "category") if not getattr(settings, name)]
    if settings.create_layer and missing:
        fail(f"--create-layer needs {', '.join(missing)}", WRONG_USAGE)
    if settings.ca_file is not None:
        try:
            ssl.create_default_context(cafile=settings.ca_file)
        except OSError:
            fail(f"{settings.ca_file} holds no certificates in PEM", WRONG_USAGE)


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _credentials(settings: Settings) -> tuple[str, str]:
    """Return the e-mail and the password. Those of the administrator that `./dev up` made are for this machine alone."""
    administrator = os.environ.get("AUTH_ADMIN_EMAIL") or _ADMINISTRATOR
    email = settings.email or (administrator if _is_here(settings.url) else "")
    if not email:
        fail("--email is needed: who owns the layer?", WRONG_USAGE)
    if settings.password_file is not None:
        return email, _secret(settings.password_file)
    given = os.environ.get("GATEHOUSE_MOBILITY_PASSWORD")
    if given:
        return email, given
    if email == administrator and _is_here(settings.url):
        given = os.environ.get("AUTH_ADMIN_PASSWORD")
        file = Path(
            os.environ.get("AUTH_ADMIN_PASSWORD_FILE") or os.environ.get("GATEHOUSE_ADMIN_PASSWORD_FILE") or "var/auth/admin.password"
        )
        if given or file.exists():
            return email, given or _secret(file)
    if not sys.stdin.isatty():
        fail("there is no password: name its file with --password-file, or set GATEHOUSE_MOBILITY_PASSWORD", WRONG_USAGE)
    return email, click.prompt(f"Password of {email}", hide_input=True, err=True)


def _secret(file: Path) -> str:
    try:
        found = file.read_text().rstrip("\r\n")
    except OSError as error:
        fail(f"the password cannot be read from {file}: {error.strerror}", WRONG_USAGE)
    except UnicodeDecodeError:
        fail(f"{file} holds no password: it is not text", WRONG_USAGE)
    if not found:
        fail(f"{file} is empty; it should hold the password", WRONG_USAGE)
    return found


def _failure(error: BaseException, run: Run, settings: Settings) -> Exception:
    """Return what ends the program: what happened, how much is written, how to go on."""
    done = run.confirmed()
    kept = done > 0 and not settings.dry_run
    lines = [f"{done} nodes are written; the same command with --resume goes on after them"] if kept else []
    details: dict[str, Any] = {"written": done, "resume": kept}
    if isinstance(error, KeyboardInterrupt):
        click.echo("\n".join(["interrupted", *lines]), err=True)
        return click.Abort()
    if isinstance(error, Refused):
        hint = " (--create-layer creates it)" if error.status == 404 and "layer" in str(error) else ""
        return Failure(
            printable(f"the service refuses: {error}") + f" ({error.status}){hint}", REFUSED, {**details, "status": error.status}, lines
        )
    if isinstance(error, OSError):
        return Failure(f"{error.filename or 'a file'}: {error.strerror or error}", REFUSED, details, lines)
    return Failure(printable(str(error)), UNREACHABLE if isinstance(error, Unreachable) else REFUSED, details, lines)


def _tell(document: Mapping[str, Any], run: Run) -> None:
    verb = "checked" if document["dry_run"] else "imported"
    click.echo(f"{verb} into {document['layer']}: {run.totals_text()} in {document['seconds']:.1f} s")
    for kind, count in document["left_out"].items():
        click.echo(f"  left out: {count} {kind}")
    for kind, count in document["notes"].items():
        click.echo(f"  noted: {count} {kind}")
    if document["dry_run"]:
        click.echo("Nothing is written.")
