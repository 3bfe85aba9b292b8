"""Sets and removes header fields of the upstream's answers.

First the fields of the first entry whose path and method match, then those of the version, then those of a `header_injector` among
`response_processors`; each removes, then sets. The path and the method are the client's, whatever goes on to the upstream. A value may have
variables, which docs/transforms.md lists. Answers of the gateway itself (refusals, replies) stay as they are.

Fields:
* `versions.*.global_response_headers` (3.0): Header fields to set in every answer.
* `versions.*.global_response_headers_remove` (3.0): Names of header fields to remove from every answer.
* `versions.*.global_response_headers_disabled` (5.2): Switches these two off, and the options of a `header_injector` with them.
* `versions.*.extended_paths.transform_response_headers` (1.9): Entries for single paths, with `use_extended_paths`.
* `versions.*.extended_paths.transform_response_headers[].path` (1.9, required): A pattern, as in path_lists.
* `versions.*.extended_paths.transform_response_headers[].method` (1.9): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.transform_response_headers[].add_headers` (1.9): Header fields to set.
* `versions.*.extended_paths.transform_response_headers[].delete_headers` (1.9): Names of header fields to remove.
* `versions.*.extended_paths.transform_response_headers[].act_on` (1.9): Has no effect, as in Tyk.
* `versions.*.extended_paths.transform_response_headers[].disabled` (4.1): Leaves the entry out.
* `response_processors` (1.9): What changes answers: a `header_injector` with options, and a `header_transform` (see answer_urls). Differs:
  The fields of versions and paths, templates and scripts always count; in Tyk up to 5.0 some only with a processor in this list.
* `response_processors[].name` (1.9): `header_injector` or `header_transform`. `response_body_transform` and `custom_mw_res_hook` need not
  be here; others have no effect.
* `response_processors[].options.add_headers` (1.9): Of a `header_injector`: header fields to set in every answer.
* `response_processors[].options.remove_headers` (1.9): Of a `header_injector`: names of header fields to remove from every
  answer.
Refusals: none of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.gateway.definitions import values
from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Mistake, Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.header_changes import HeaderChanges, HeaderTexts, read_rule
from services.gateway.ports import Ports
from services.gateway.routing.endpoints import EndpointTable

Changes = HeaderChanges | None
_KNOWN: Final = ("header_injector", "header_transform", "response_body_transform")
_OF_SCRIPTS: Final = ("custom_mw_res_hook", "custom_mw_js_res_hook")


@dataclass(frozen=True, slots=True)
class Entry:
    """The rule of one endpoint. method "" = every method."""

    path: str
    method: str
    rule: HeaderTexts


@dataclass(frozen=True, slots=True)
class Spec:
    """versions: those that change something, each with its rules for all paths and its entries."""

    versions: tuple[tuple[Version, tuple[HeaderTexts, ...], tuple[Entry, ...]], ...]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the rules; None when there are none."""
    injected = _processors(reader)
    versions = [
        (one.version, _overall(one, injected), tuple([_entry(one, each) for each in one.entries("transform_response_headers")]))
        for one in reader.versions
    ]
    used = tuple([one for one in versions if any(map(any, one[1])) or any(any(entry.rule) for entry in one[2])])
    return Spec(used) if used else None


def _processors(reader: DefinitionReader) -> tuple[HeaderTexts, ...]:
    """Read the header injectors."""
    found = []
    for value, pointer in reader.items("response_processors"):
        processor = reader.member(value, pointer)
        name = processor.text("name")
        options = processor.opaque("options")
        if name == "header_injector":
            found.append(_rule(options, "remove_headers", "add_headers"))
    return tuple(found)


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of processors that do nothing."""
    with_scripts = bool(reader.definition.scripts.of("response"))
    for value, pointer in reader.items("response_processors"):
        processor = reader.member(value, pointer)
        name = processor.text("name")
        if name in _OF_SCRIPTS and not with_scripts:
            yield Mistake(processor.at("name"), f"{name} has no effect: name the scripts in custom_middleware.response")
        elif name not in _OF_SCRIPTS and name not in _KNOWN:
            yield Mistake(processor.at("name"), f"`{name[:50]}` has no effect: it is not a processor of answers that is known here")


def _overall(version: VersionReader, injected: tuple[HeaderTexts, ...]) -> tuple[HeaderTexts, ...]:
    reader = version.reader
    if reader.flag("global_response_headers_disabled"):
        reader.value("global_response_headers")
        reader.value("global_response_headers_remove")
        return ()
    return (_rule(reader, "global_response_headers_remove", "global_response_headers"), *injected)


def _entry(version: VersionReader, reader: Reader) -> Entry:
    reader.value("act_on")
    return Entry(version.path(reader), version.method(reader), _rule(reader, "delete_headers", "add_headers"))


def _rule(reader: Reader, removing: str, adding: str) -> HeaderTexts:
    return read_rule(reader, removing, adding, values.dropped_answer_header, values.answer_header)


def build(spec: Spec, ports: Ports) -> ResponseHeaders:
    """Build, for each version, one set of changes for each of its endpoints."""
    rules = [rule for _, overall, entries in spec.versions for rule in (*overall, *(entry.rule for entry in entries))]
    return ResponseHeaders(
        {version.name: _table(version, overall, entries) for version, overall, entries in spec.versions},
        steady=not any(HeaderChanges([rule]).filled for rule in rules),
    )


class ResponseHeaders:
    """By version: what changes everywhere, or the table of its endpoints. steady: whether no value has variables."""

    __slots__ = ("_versions", "steady")

    def __init__(self, versions: dict[str, Changes | EndpointTable[Changes]], *, steady: bool) -> None:
        self._versions = versions
        self.steady = steady

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:
        changes = self._versions.get(exchange.version_name)
        if isinstance(changes, EndpointTable):
            changes = changes.find_any(exchange.method, exchange.relative)
        if changes is not None:
            head.headers = changes.changed(head.headers, exchange)


def _table(version: Version, overall: tuple[HeaderTexts, ...], entries: tuple[Entry, ...]) -> Changes | EndpointTable[Changes]:
    everywhere = HeaderChanges(overall) if any(map(any, overall)) else None
    if not entries:
        return everywhere
    changes = [(one.path, one.method, HeaderChanges((one.rule, *overall))) for one in entries]
    return endpoint_table(version, changes, everywhere)
