"""The JSON of templates for bodies, which two lists of extended_paths have alike."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final, Literal

from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.templating.syntax import TemplateError, parse

Input = Literal["json", "form"]
_INPUTS: Final = ("", "json", "form")


@dataclass(frozen=True, slots=True)
class TemplateEntry:
    """The template of one endpoint. method "" = every method. with_session: whether the template sees the key's `meta_data`."""

    path: str
    method: str
    source: str
    input: Input
    with_session: bool


@dataclass(frozen=True, slots=True)
class Templates:
    """versions: those that have entries, each with them. with_context: whether templates see what is known of the request."""

    versions: tuple[tuple[Version, tuple[TemplateEntry, ...]], ...]
    with_context: bool


def read_templates(reader: DefinitionReader, name: str, further: tuple[Input, ...] = ()) -> Templates | None:
    """Read one list; None when no version has entries. further: what bodies may be besides JSON."""
    versions = reader.entries(name, lambda version, entry: _entry(version, entry, further))
    return Templates(versions, reader.flag("enable_context_vars")) if versions else None


def _entry(version: VersionReader, reader: Reader, further: tuple[Input, ...]) -> TemplateEntry:
    data = reader.object("template_data")
    given = data.text("input_type").lower()
    if given not in ("", "json", *further):
        data.mistake("input_type", f"not available: bodies of the type {given[:20]}; {' or '.join(('json', *further))} can be read")
    source = _source(data)
    try:
        parse(source)
    except TemplateError as error:
        data.mistake("template_source", f"is not a template that can be used: {error}")
        source = ""
    return TemplateEntry(
        version.path(reader), version.method(reader), source, "form" if given == "form" else "json", data.flag("enable_session")
    )


def _source(data: Reader) -> str:
    mode, given = data.text("template_mode").lower(), data.text("template_source")
    if mode == "file":
        data.mistake("template_mode", "not available: templates in files; put the text into template_source as base64, mode `blob`")
        return ""
    if mode not in ("", "blob"):
        data.mistake("template_mode", "must be `blob`")
        return ""
    try:
        source = base64.b64decode("".join(given.split()), validate=True).decode("utf-8")
    except ValueError:
        data.mistake("template_source", "is not UTF-8 text as base64")
        return ""
    if not source.strip():
        data.mistake("template_source", "is empty: the body would be, too")
    return source
