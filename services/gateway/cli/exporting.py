"""`export tyk`: definitions and policies as files that a Tyk reads."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from services.common.command_line import Group, fail, show
from services.gateway.cli.client import REFUSED, Client

# What Tyk does not know. It ignores most of it; what it cannot even read is left out.
_OWN: Final = ("error_template",)
_OWN_OF_PROXY: Final = ("timeouts", "pass_headers", "pass_trailers")
_NO_KEYS: Final = "Keys are not written: only the hashes of their secrets are stored here."


@click.group("export", cls=Group)
def exporting() -> None:
    """Write what the gateway has as files of another one."""


@exporting.command("tyk", example="./dev gateway export tyk backup/tyk")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def export_tyk(client: Client, folder: Path) -> None:
    """Write definitions (`apps/*.json`) and policies (`policies.json`) as a Tyk reads them. Keys are not written.

    FOLDER: where to; files of the same names are replaced, others stay.
    """
    apis = sorted(client.call("GET", "/tyk/apis"), key=lambda one: str(one["api_id"]))
    policies = {one["id"]: one for one in client.call("GET", "/tyk/policies")}
    written: list[str] = []
    unknown: dict[str, list[str]] = {}
    try:
        apps = folder / "apps"
        apps.mkdir(parents=True, exist_ok=True)
        for raw in apis:
            document, own = _for_tyk(raw)
            written.append(_write(folder, f"apps/{raw['api_id']}.json", document))
            if own:
                unknown[str(raw["api_id"])] = own
        written.append(_write(folder, "policies.json", dict(sorted(policies.items()))))
        others = sorted(path.name for path in apps.glob("*.json") if f"apps/{path.name}" not in written)
    except OSError as error:
        fail(f"{error.filename or folder} cannot be written: {error.strerror}", REFUSED)

    def text() -> None:
        click.echo(f"{folder}: APIs in apps: {len(apis)}; policies in policies.json: {len(policies)}")
        for api_id, own in unknown.items():
            click.echo(f"warning: {api_id}: Tyk does not know {', '.join(own)}")
        if others:
            click.echo(f"warning: apps also holds files of no API that is here: {', '.join(others)}")
        click.echo(_NO_KEYS)

    show({"folder": str(folder), "files": written, "unknown_to_tyk": unknown, "other_files": others, "keys": _NO_KEYS}, text)


def _for_tyk(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a definition that Tyk can decode, and the fields in it, or of it, that mean something here only."""
    document = dict(raw)
    own = [name for name in _OWN if document.get(name)]
    proxy = document.get("proxy")
    own += [f"proxy.{name}" for name in _OWN_OF_PROXY if isinstance(proxy, Mapping) and proxy.get(name)]
    data = document.get("version_data")
    versions = data.get("versions") if isinstance(data, Mapping) else None
    if isinstance(versions, Mapping) and any(isinstance(one, Mapping) and one.get("path_matching") for one in versions.values()):
        own.append("path_matching")
    overrides = document.get("error_overrides")
    if isinstance(overrides, Mapping) and any(isinstance(one, Mapping) for one in overrides.values()):
        own.append("error_overrides by error code (left out)")
        del document["error_overrides"]
        if by_status := {status: rules for status, rules in overrides.items() if not isinstance(rules, Mapping)}:
            document["error_overrides"] = by_status
    return document, own


def _write(folder: Path, name: str, document: Any) -> str:
    """Write a file whole or not at all."""
    path = folder / name
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    os.replace(part, path)
    return name
