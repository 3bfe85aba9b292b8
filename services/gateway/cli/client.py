"""How the command line calls the operator API and shows what comes back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from urllib.parse import quote

import click
import requests

from services.common import http_client

_TIMEOUT: Final = 30.0
REFUSED: Final = 1
_WRONG_USAGE: Final = 2
_UNREACHABLE: Final = 3


@dataclass(frozen=True)
class Client:
    """Calls the operator API. as_json: the answers go out as they came."""

    url: str
    key: Callable[[], str]
    as_json: bool

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, refusal: bool = True) -> Any:
        """The decoded answer. refusal: whether an error ends the program (with its mistakes); else None stands for 404."""
        # as bytes: notes are in any language, and text would have to be Latin-1
        sent = {name: value.encode(errors="surrogateescape") for name, value in {"authorization": self.key(), **(headers or {})}.items()}
        try:
            # takes no proxy and no other credential of the environment: the key is for this address alone
            with http_client.Client(read=_TIMEOUT, retries=0) as connection:
                answer = connection.request(method, self.url + path, json=body, headers=sent)
        except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL, requests.exceptions.MissingSchema):
            stop(f"`{self.url}` is no address of an operator port; one like http://127.0.0.1:8081 is expected", _WRONG_USAGE)
        except requests.exceptions.InvalidJSONError:
            stop("infinite numbers cannot be sent", _WRONG_USAGE)
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
        stop(f"{body.get('Message') or body.get('error') or 'refused'} ({status})", REFUSED)
    click.echo(f"error: refused ({status}), {len(errors)} mistake{'s' if len(errors) > 1 else ''}:", err=True)
    print_places(errors, err=True)
    sys.exit(REFUSED)


def print_places(places: Any, err: bool = False) -> None:
    for place in places:
        click.echo(f"  {place['pointer'] or '/'}: {place['message']}", err=err)


def path_of(*parts: str) -> str:
    return "".join("/" + quote(part, safe="") for part in parts)


def warn(answer: Mapping[str, Any]) -> None:
    """What an operator should know of a write that was done."""
    for place in answer.get("Warnings", ()):
        click.echo(f"warning: {place['pointer']}: {place['message']}", err=True)
    if answer.get("Unconfirmed"):
        click.echo(f"warning: not confirmed yet by {', '.join(answer['Unconfirmed'])}", err=True)


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
