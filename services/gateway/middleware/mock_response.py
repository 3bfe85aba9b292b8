"""Answers some endpoints itself, with an answer that the definition holds.

It comes before path lists and keys, as in Tyk, which exports a `reply` of a path list as a mock: it needs no
key and is not charged. The address list and the organisation still count.

Fields:
* `versions.*.extended_paths.mock_response` (4.1): Entries for single paths, with `use_extended_paths`.
* `versions.*.extended_paths.mock_response[].path` (4.1, required): A pattern, as in path_lists.
* `versions.*.extended_paths.mock_response[].method` (4.1): The method that the entry applies to; empty = every method. Differs: In Tyk an
  entry without a method matches nothing.
* `versions.*.extended_paths.mock_response[].ignore_case` (4.1): Upper and lower case are the same in this pattern.
* `versions.*.extended_paths.mock_response[].code` (4.1): The status, 200 to 599.
* `versions.*.extended_paths.mock_response[].body` (4.1): The body.
* `versions.*.extended_paths.mock_response[].headers` (4.1): Header fields. Differs: Without Content-Type it is `text/plain; charset=utf-8`;
  Tyk guesses one.
* `versions.*.extended_paths.mock_response[].from_oas_examples` (own): A mistake when it is on: there are no OpenAPI documents here.
* `versions.*.extended_paths.mock_response[].disabled` (4.1): Leaves the entry out.
Refusals: none of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.gateway.definitions import values
from services.gateway.definitions.checking import read_headers
from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.exchange import Exchange, Reply
from services.gateway.ports import Ports
from services.gateway.routing.endpoints import Endpoint, EndpointTable
from services.gateway.routing.patterns import translate
from services.gateway.wire.heads.grammar import Header

_BODILESS: Final = (204, 205, 304)

Answer = tuple[int, tuple[Header, ...], bytes]


@dataclass(frozen=True, slots=True)
class Entry:
    """The answer of one endpoint. method "" = every method."""

    path: str
    method: str
    ignore_case: bool
    answer: Answer


@dataclass(frozen=True, slots=True)
class Spec:
    """versions: those that have entries, each with them."""

    versions: tuple[tuple[Version, tuple[Entry, ...]], ...]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the entries; None when no version has any."""
    versions = reader.entries("mock_response", _entry)
    return Spec(versions) if versions else None


def _entry(version: VersionReader, reader: Reader) -> Entry:
    ignore_case = reader.flag("ignore_case") or version.version.ignore_endpoint_case
    examples = reader.value("from_oas_examples")
    if examples is True or (isinstance(examples, dict) and examples.get("enabled")):
        reader.mistake("from_oas_examples", "not available yet: answers from the examples of an OpenAPI document; write code and body")
    code = reader.integer("code", 200, -(2**53))
    if not 200 <= code <= 599:
        reader.mistake("code", f"code {code} cannot be the status of an answer; 200 to 599 is expected")
    headers = [(name.encode("ascii"), value.encode()) for name, value in read_headers(reader, "headers", values.reply_header)]
    body = b"" if code in _BODILESS else reader.text("body").encode("utf-8", "replace")
    reader.value("body")
    if body and not any(name.lower() == b"content-type" for name, _ in headers):
        headers.append((b"Content-Type", b"text/plain; charset=utf-8"))
    return Entry(version.path(reader, ignore_case), version.method(reader), ignore_case, (code, tuple(headers), body))


def build(spec: Spec, ports: Ports) -> MockResponse:
    """Build a table of endpoints for each version."""
    return MockResponse({version.name: _table(version, entries) for version, entries in spec.versions})


class MockResponse:
    """Answers what an entry matches."""

    __slots__ = ("_tables",)

    def __init__(self, tables: dict[str, EndpointTable[Answer | None]]) -> None:
        self._tables = tables

    def on_request(self, exchange: Exchange) -> Reply | None:
        table = self._tables.get(exchange.version_name)
        answer = None if table is None else table.find_any(exchange.method, exchange.relative)
        return None if answer is None else Reply(answer[0], list(answer[1]), answer[2])


def _table(version: Version, entries: tuple[Entry, ...]) -> EndpointTable[Answer | None]:
    return EndpointTable(
        [
            Endpoint(
                translate(one.path, version.path_matching, one.ignore_case or version.ignore_endpoint_case),
                (one.method,) if one.method else None,
                one.answer,
            )
            for one in entries
        ],
        None,
    )
