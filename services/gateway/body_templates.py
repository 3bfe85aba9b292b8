"""What templates for bodies see and do, for requests and answers alike."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.definitions.template_schema import Input, TemplateEntry, Templates, fault
from services.gateway.exchange import Exchange
from services.gateway.routing.endpoints import EndpointTable
from services.gateway.scripts import files
from services.gateway.templating import xml_documents
from services.gateway.templating.templates import MOST_STEPS, Template, TooLarge, TooManySteps
from services.gateway.variables import Context, meta_data

# Larger bodies, and templates that take more steps, are worked on in a thread.
_AT_ONCE: Final = 16 * 1024
_STEPS_AT_ONCE: Final = 3000
_LARGEST: Final = 4 * 1024 * 1024  # characters of a filled template
_MOST_FIELDS: Final = 1000


class BodyTemplate(NamedTuple):
    """One template, ready, with what it reads and sees."""

    template: Template
    input: Input
    with_session: bool
    with_context: bool


class Tables(NamedTuple):
    """by_version: a table of endpoints for each version. files: that were read for them."""

    by_version: Mapping[str, EndpointTable[BodyTemplate | None]]
    files: tuple[files.ReadFile, ...]

    def find(self, exchange: Exchange) -> BodyTemplate | None:
        """Return the template of a request's endpoint."""
        table = self.by_version.get(exchange.version_name)
        return None if table is None else table.find_any(exchange.method, exchange.relative)


def tables(templates: Templates, folder: Path) -> Tables:
    """Read and build the templates. folder: where the files among them lie. Raises Mistakes."""
    read: list[files.ReadFile] = []
    mistakes: list[Mistake] = []
    by_version = {}
    for version, entries in templates.versions:
        found = []
        for entry in entries:
            try:
                source = _source(entry, folder, read)
            except files.BadFile as error:
                mistakes.append(Mistake(entry.pointer, f"`{entry.file[:100]}` {error}"))
                continue
            template = BodyTemplate(Template(source), entry.input, entry.with_session, templates.with_context)
            found.append((entry.path, entry.method, template))
        by_version[version.name] = endpoint_table(version, found, None)
    if mistakes:
        raise Mistakes(mistakes)
    return Tables(by_version, tuple(read))


def _source(entry: TemplateEntry, folder: Path, read: list[files.ReadFile]) -> str:
    """Return the text of a template. read: gets the file that was read. Raises BadFile."""
    if not entry.file:
        return entry.source
    source, file = files.read(folder, entry.file)
    wrong = fault(source)
    if wrong:
        raise files.BadFile(wrong)
    read.append(file)
    return source


def context(exchange: Exchange, used: BodyTemplate) -> dict[str, Any]:
    """Return what a template sees besides the body: `_tyk_meta` and `_tyk_context`."""
    found: dict[str, Any] = {}
    if used.with_session:
        found["_tyk_meta"] = meta_data(exchange)
    if used.with_context:
        found["_tyk_context"] = Context(exchange)
    return found


def _read(body: bytes, kind: Input) -> Any:
    """Return what a body holds. Raises ValueError, RecursionError."""
    if kind == "xml":
        return xml_documents.read(body)
    if kind == "form":
        found = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
    return json.loads(body) if body.strip() else {}


async def filled(body: bytes, used: BodyTemplate, seen: Mapping[str, Any], threads: Executor) -> bytes:
    """Return the new body. seen: of `context`. Raises ValueError, RecursionError, NotXml, TooLarge."""
    if len(body) <= _AT_ONCE:
        with contextlib.suppress(TooManySteps):
            return _fill(body, used, seen, _STEPS_AT_ONCE)
    return await asyncio.get_running_loop().run_in_executor(threads, _fill, body, used, seen, MOST_STEPS)


def _fill(body: bytes, used: BodyTemplate, seen: Mapping[str, Any], steps: int) -> bytes:
    data = _read(body, used.input)
    if isinstance(data, dict):
        data = {**data, **seen}
    elif seen:
        data = {"array": data, **seen}
    try:
        return used.template.fill(data, _LARGEST, steps).encode("utf-8", "replace")
    except RecursionError:
        raise TooLarge from None
