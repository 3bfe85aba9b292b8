"""`definitions import` and `export`: APIs from documents of other formats, and back."""

from __future__ import annotations

import codecs
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from services.common.command_line import Command, Group, fail, show
from services.gateway.cli.client import WRONG_USAGE, Client, path_of, warn
from services.gateway.cli.yaml_documents import ENDINGS, read_yaml
from services.gateway.definitions.reader import Mistake, Mistakes, read_json


@click.group("import", cls=Group)
def import_definitions() -> None:
    """Create APIs from documents of other formats."""


@import_definitions.command(
    "openapi", cls=Command, example="./dev gateway definitions import openapi petstore.json --listen-path /pets/ --dry-run"
)
@click.argument("file")
@click.option("--listen-path", default="", help="Where the API listens; by default the title of the document.")
@click.option("--target", default="", help="Where its requests go; by default the first server of the document.")
@click.option("--mock", is_flag=True, help="Answer with the examples of the document.")
@click.option("--dry-run", is_flag=True, help="Only show the definition.")
@click.option("--note", default="", help="Why; it appears in the history.")
@click.pass_obj
def import_openapi(client: Client, file: str, listen_path: str, target: str, mock: bool, dry_run: bool, note: str) -> None:
    """Create an API from an OpenAPI document (3.0 or 3.1; JSON, or YAML with PyYAML): its paths and methods are the only open ones.

    FILE: the document, or - for the standard input.
    """
    try:
        document = _document(file, sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}", WRONG_USAGE)
    except Mistakes as error:
        fail(f"{file} {error}", WRONG_USAGE)
    given = {"listen_path": listen_path, "target": target, "mock": "1" if mock else "", "dry_run": "1" if dry_run else ""}
    query = urlencode({name: value for name, value in given.items() if value})
    answer = client.call("POST", f"/api/gatehouse/import/openapi?{query}", document, client.noted(note))
    warn(answer)

    def text() -> None:
        for place in answer["Notes"]:
            click.echo(f"note: {place['pointer']}: {place['message']}", err=True)
        if dry_run:
            click.echo(json.dumps(answer["api_definition"], ensure_ascii=False, indent=2))
        else:
            click.echo(f"{file}: created {answer['api_definition']['api_id']}")

    show(answer, text)


def _document(file: str, content: bytes) -> dict[str, Any]:
    """Read a document. What is not named as YAML and begins like JSON is JSON. Raises Mistakes."""
    if not file.lower().endswith(ENDINGS) and content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return read_json(content.removeprefix(codecs.BOM_UTF8))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Mistakes([Mistake("", "is not UTF-8")]) from None
    documents = list(read_yaml(text, core=True, otherwise="convert the document to JSON"))
    if len(documents) != 1:
        raise Mistakes([Mistake("", f"holds {len(documents)} documents, and one is expected")])
    return read_json(documents[0])


@click.group("export", cls=Group)
def export_definitions() -> None:
    """Write APIs as documents of other formats."""


@export_definitions.command("openapi", cls=Command, example="./dev gateway definitions export openapi orders > orders.json")
@click.argument("api")
@click.pass_obj
def export_openapi(client: Client, api: str) -> None:
    """Write one API (its id or api_id) as an OpenAPI document, for its clients: what its white list opens."""
    click.echo(json.dumps(client.call("GET", path_of("api", "apis", api, "openapi")), ensure_ascii=False, indent=2))
