"""The JSON of templates for bodies, which two lists of extended_paths have alike."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Mistake, Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.script_names import script_path
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.templating.syntax import Branch, Node, TemplateError, Text, parse

Input = Literal["json", "form", "xml"]
_MODES: Final = ("", "blob", "file")
_VARIABLE: Final = re.compile(r"\$tyk_(?:context|meta)\.\w+")


@dataclass(frozen=True, slots=True)
class TemplateEntry:
    """The template of one endpoint. method "" = every method. source: the template, when it is not in a file. file: its path, "" = it is
    in none. with_session: whether the template sees the key's `meta_data`. pointer: of what names the template, for mistakes.
    """

    path: str
    method: str
    source: str
    file: str
    input: Input
    with_session: bool
    pointer: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Templates:
    """versions: those that have entries, each with them. with_context: whether templates see what is known of the request."""

    versions: tuple[tuple[Version, tuple[TemplateEntry, ...]], ...]
    with_context: bool


def read_templates(reader: DefinitionReader, name: str, inputs: tuple[Input, ...]) -> Templates | None:
    """Read one list; None when no version has entries. inputs: what bodies may be; without an `input_type` they are the first of these."""
    versions = reader.entries(name, lambda version, entry: _entry(version, entry, inputs))
    return Templates(versions, reader.flag("enable_context_vars")) if versions else None


def _entry(version: VersionReader, reader: Reader, inputs: tuple[Input, ...]) -> TemplateEntry:
    data = reader.object("template_data")
    given = data.text("input_type").lower() or inputs[0]
    kind = next((one for one in inputs if one == given), inputs[0])
    if given != kind:
        data.mistake("input_type", f"not available: bodies of the type {given[:20]}; {', '.join(inputs)} can be read")
    mode = data.text("template_mode").lower()
    if mode not in _MODES:
        data.mistake("template_mode", "must be `blob` or `file`")
    file = script_path(data, "template_source") if mode == "file" else ""
    source = "" if mode == "file" else _blob(data)
    return TemplateEntry(
        version.path(reader), version.method(reader), source, file, kind, data.flag("enable_session"), data.at("template_source")
    )


def _blob(data: Reader) -> str:
    try:
        source = base64.b64decode("".join(data.text("template_source").split()), validate=True).decode("utf-8")
    except ValueError:
        data.mistake("template_source", "is not UTF-8 text as base64")
        return ""
    wrong = fault(source)
    if wrong:
        data.mistake("template_source", wrong)
    return source if not wrong else ""


def fault(source: str) -> str:
    """Return what is wrong with a template, "" = nothing."""
    if not source.strip():
        return "is empty: the body would be, too"
    try:
        parse(source)
    except TemplateError as error:
        return f"is not a template that can be used: {error}"
    return ""


def sent_variables(templates: Templates | None) -> Iterator[Mistake]:
    """Warn of variables in the texts of templates. Tyk fills them in, also where a client has sent them; here they are texts."""
    for _, entries in templates.versions if templates is not None else ():
        for entry in entries:
            found = next((found for text in _texts(parse(entry.source)) if (found := _VARIABLE.search(text))), None)
            if found is not None:
                of_context = found[0].startswith("$tyk_context.")
                instead, needs = ("_tyk_context", "enable_context_vars") if of_context else ("_tyk_meta", "enable_session")
                said = f"`{found[0][:50]}` is sent as it stands here; write {{{{.{instead}.NAME}}}}, with {needs}"
                yield Mistake(entry.pointer, said)


def _texts(nodes: Iterable[Node]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Text):
            yield node.text
        elif isinstance(node, Branch):
            yield from _texts((*node.then, *node.otherwise))
