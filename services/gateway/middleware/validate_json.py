"""Refuses JSON bodies that do not fit the schema that a version has for their endpoint.

The whole body is read, so it may have `GATEWAY_BODY_READ_LIMIT` bytes. A large one is read and checked in a thread. Patterns in a schema
take linear time, as those of paths, and a schema loads no other one. What two readers understand in two ways is not taken for JSON,
because the upstream might see what the schema does not: a name that an object has twice, a number too large for a 64-bit float, `NaN`, half
of a surrogate pair. A path with `%2F` or `%5C`, which some servers read as a slash, is
checked where any of its readings is.

Fields:
* `versions.*.extended_paths.validate_json` (2.6): Entries for single paths, with `use_extended_paths`.
* `versions.*.extended_paths.validate_json[].path` (2.6, required): A pattern, as in path_lists.
* `versions.*.extended_paths.validate_json[].method` (2.6): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.validate_json[].schema` (2.6): A JSON Schema (draft 4 to 2020-12, by its `$schema`; without one, 2020-12).
* `versions.*.extended_paths.validate_json[].schema_b64` (2.6): The same as base64, where there is no `schema`.
* `versions.*.extended_paths.validate_json[].error_response_code` (2.6): The status for a body that does not fit; 0 = 422.
* `versions.*.extended_paths.validate_json[].disabled` (5.3): Leaves the entry out.
Refusals: body-not-json, body-invalid.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import math
import re
from collections.abc import Awaitable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.exchange import Exchange
from services.gateway.ports import Ports
from services.gateway.refusals import BODY_INVALID, BODY_NOT_JSON, Refusal
from services.gateway.routing.endpoints import EndpointTable
from services.gateway.routing.paths import matching_forms

_USUAL_STATUS: Final = 422
# Larger bodies are read in a thread.
_READ_AT_ONCE: Final = 64 * 1024
_SURROGATE: Final = re.compile(rb"\\u[dD][89A-Fa-f]").search
_MOST_FAULTS: Final = 5
_LONGEST_FAULT: Final = 200


class _ReadInTwoWays(ValueError):
    """The upstream might read the document in another way. The text says what it is."""


class Rule(NamedTuple):
    """schema: the library's validator."""

    schema: Any
    status: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What bodies for one endpoint must fit. method "" = every method. document: of the schema, by which two entries are the same."""

    path: str
    method: str
    document: str
    rule: Rule = field(compare=False)


@dataclass(frozen=True, slots=True)
class Spec:
    """versions: those that have entries, each with them."""

    versions: tuple[tuple[Version, tuple[Entry, ...]], ...]


def fields(reader: DefinitionReader) -> Spec | None:
    """Read and compile the schemas; None when no version has any."""
    versions = reader.entries("validate_json", _entry)
    return Spec(versions) if versions else None


def _entry(version: VersionReader, reader: Reader) -> Entry:
    path, method = version.path(reader), version.method(reader)
    status = reader.integer("error_response_code", 0, 0, 599) or _USUAL_STATUS
    if status < 400:
        reader.mistake("error_response_code", "must be a status from 400 to 599: it answers a body that does not fit")
    document = _document(reader)
    return Entry(path, method, json.dumps(document, sort_keys=True), Rule(_compiled(reader, document), status))


def _document(reader: Reader) -> Any:
    given, encoded = reader.value("schema"), reader.text("schema_b64")
    if given is not None or not encoded:
        return given
    try:
        return json.loads(base64.b64decode("".join(encoded.split()), validate=True))
    except (ValueError, RecursionError):
        reader.mistake("schema_b64", "is not JSON as base64")
        return {}


def _compiled(reader: Reader, document: Any) -> Any:
    import jsonschema_rs  # its library costs each worker 5 MB

    place = "schema" if "schema" in reader else "schema_b64"
    if not isinstance(document, dict):
        reader.mistake("schema", "must be a JSON Schema, an object; without one nothing would be checked")
        return None
    try:
        return jsonschema_rs.validator_for(
            document, mask="the value", offline=True, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions()
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        where = "/".join(map(str, getattr(error, "instance_path", ())))
        message = str(getattr(error, "message", error))[:_LONGEST_FAULT]
        reader.mistake(place, f"is not a JSON Schema that can be used{f', at {where}' if where else ''}: {message}")
        return None


def build(spec: Spec, ports: Ports) -> ValidateJson:
    """Build a table of endpoints for each version."""
    return ValidateJson({version.name: _table(version, entries) for version, entries in spec.versions}, ports.bodies)


class ValidateJson:
    """By version: the table of single paths. threads: where large bodies are read."""

    __slots__ = ("_tables", "_threads")

    def __init__(self, tables: dict[str, EndpointTable[Rule | None]], threads: Executor) -> None:
        self._tables = tables
        self._threads = threads

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        table = self._tables.get(exchange.version_name)
        if table is None:
            return None
        relative, method = exchange.relative, exchange.method
        if "%" not in relative:
            rule = table.find_matching(method, relative)
        else:
            rule = next(filter(None, (table.find_matching(method, form) for form in matching_forms(relative))), None)
        return None if rule is None else self._check(exchange, rule)

    async def _check(self, exchange: Exchange, rule: Rule) -> None:
        body = await exchange.read_body()
        if len(body) <= _READ_AT_ONCE:
            refusal = _refusal(body, rule)
        else:
            refusal = await asyncio.get_running_loop().run_in_executor(self._threads, _refusal, body, rule)
        if refusal is not None:
            raise refusal


def _refusal(body: bytes, rule: Rule) -> Refusal | None:
    try:
        document = json.loads(body, parse_float=_finite, parse_constant=_finite, object_pairs_hook=_object)
        if _SURROGATE(body):
            json.dumps(document, ensure_ascii=False).encode()  # two halves make a character; one alone is none
        fits = rule.schema.is_valid(document)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        if isinstance(error, _ReadInTwoWays):
            where = f": {error}"
        return Refusal(BODY_NOT_JSON, detail=f"The body is not valid JSON{where}.")
    if fits:
        return None
    faults = [_fault(error) for error in itertools.islice(rule.schema.iter_errors(document), _MOST_FAULTS)]
    return Refusal(BODY_INVALID, status=rule.status, detail="; ".join(faults))


def _finite(text: str) -> float:
    """Return a number. Raises _ReadInTwoWays for NaN, and for what is larger than any float: no schema can be compared with them."""
    number = float(text)
    if not math.isfinite(number):
        raise _ReadInTwoWays("a number is too large, or is none")
    return number


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Raises _ReadInTwoWays when it has a name twice: some readers take the first, others the last."""
    made = dict(members)
    if len(made) != len(members):
        raise _ReadInTwoWays("an object has a name twice")
    return made


def _fault(error: Any) -> str:
    where = "".join(f"/{part}" for part in error.instance_path)
    return f"{where[:_LONGEST_FAULT] or 'the body'}: {error.message[:_LONGEST_FAULT]}"


def _table(version: Version, entries: tuple[Entry, ...]) -> EndpointTable[Rule | None]:
    return endpoint_table(version, [(entry.path, entry.method, entry.rule) for entry in entries], None)
