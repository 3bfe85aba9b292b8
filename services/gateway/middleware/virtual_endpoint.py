"""Answers single endpoints with what a function in JavaScript returns, in place of the upstream.

The function gets the request, the session and the definition's `config_data`, and returns `TykJsResponse({Body, Headers, Code},
session.meta_data)`. A path with `%2F` or `%5C`, which some servers read as a slash, is answered where any of its readings is.

Fields:
* `versions.*.extended_paths.virtual` (1.9): Entries for single paths, with `use_extended_paths`.
* `versions.*.extended_paths.virtual[].path` (1.9, required): A pattern, as in path_lists.
* `versions.*.extended_paths.virtual[].method` (1.9): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.virtual[].response_function_name` (1.9, required): The function in the file.
* `versions.*.extended_paths.virtual[].function_source_type` (1.9): `file` or `blob`.
* `versions.*.extended_paths.virtual[].function_source_uri` (1.9, required): The file, below `GATEWAY_MIDDLEWARE_PATH`, or the source as
  base64.
* `versions.*.extended_paths.virtual[].use_session` (1.9): The function gets the session of the key, and what it returns as the second
  argument of `TykJsResponse` becomes the `meta_data` of the key.
* `versions.*.extended_paths.virtual[].proxy_on_error` (1.9): Sends the request to the upstream when the function fails.
* `versions.*.extended_paths.virtual[].disabled` (5.3): Leaves the entry out.
Refusals: script-failed, script-timeout, scripts-busy.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import NamedTuple

from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import Script, ScriptSet, Version
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange, Reply
from services.gateway.ports import Ports
from services.gateway.refusals import SCRIPT_FAILED, SCRIPT_TIMEOUT, Refusal
from services.gateway.routing.endpoints import EndpointTable
from services.gateway.routing.paths import matching_forms
from services.gateway.scripts.request_objects import answer, changed_meta, headers_of_answer, request_json, session_json, unusable
from services.gateway.scripts.scripts import Out, Running, Scripts


@dataclass(frozen=True, slots=True)
class Virtual:
    """One endpoint. method "" = every method."""

    path: str
    method: str
    script: Script
    proxy_on_error: bool


@dataclass(frozen=True, slots=True)
class Spec:
    """scripts: all of the API. versions: those that have entries, each with them."""

    scripts: ScriptSet
    versions: tuple[tuple[Version, tuple[Virtual, ...]], ...]


class Line(NamedTuple):
    """A line of a table. place: by which the scripts of the API know the function."""

    place: int
    script: Script
    proxy_on_error: bool


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the entries; None when no version has any."""
    versions = tuple(
        (
            one.version,
            tuple([Virtual(one.path(entry), one.method(entry), script, entry.flag("proxy_on_error")) for entry, script in entries]),
        )
        for one in reader.versions
        if (entries := reader.virtual.get(one.version.name))
    )
    return Spec(reader.definition.scripts, versions) if versions else None


def build(spec: Spec, ports: Ports) -> VirtualEndpoint:
    """Load the files, and build a table of endpoints for each version. Raises Mistakes."""
    running = ports.scripts.load(spec.scripts)
    assert running is not None  # it has the scripts of the versions
    return VirtualEndpoint(ports.scripts, running, {version.name: _table(version, entries, running) for version, entries in spec.versions})


def _table(version: Version, entries: tuple[Virtual, ...], running: Running) -> EndpointTable[Line | None]:
    return endpoint_table(
        version,
        [(entry.path, entry.method, Line(running.place(entry.script), entry.script, entry.proxy_on_error)) for entry in entries],
        None,
    )


class VirtualEndpoint:
    """By version: the table of single paths."""

    __slots__ = ("_scripts", "_tables", "running")

    def __init__(self, scripts: Scripts, running: Running, tables: dict[str, EndpointTable[Line | None]]) -> None:
        self._scripts = scripts
        self._tables = tables
        self.running = running

    def on_request(self, exchange: Exchange) -> Reply | Awaitable[Reply | None] | None:
        table = self._tables.get(exchange.version_name)
        if table is None:
            return None
        if "%" not in exchange.relative:
            line = table.find_matching(exchange.method, exchange.relative)
        else:
            forms = matching_forms(exchange.relative)
            line = next(filter(None, (table.find_matching(exchange.method, form) for form in forms)), None)
        if line is None:
            return None
        if exchange.body is None and exchange.body_length == 0:
            return self._call(exchange, line, b"")
        return self._with_body(exchange, line)

    async def _with_body(self, exchange: Exchange, line: Line) -> Reply | None:
        found = self._call(exchange, line, await exchange.read_body())
        return found if found is None or isinstance(found, Reply) else await found

    def _call(self, exchange: Exchange, line: Line, body: bytes) -> Reply | Awaitable[Reply | None] | None:
        request = request_json(exchange, body, before_authentication=False)
        session = session_json(exchange.key) if line.script.with_session else ""
        try:
            out = self.running.run(line.place, request, session)
            return self._answer(exchange, out) if isinstance(out, dict) else self._later(exchange, out, line)
        except Refusal as refusal:
            _check_goes_on(refusal, line)
            return None

    async def _later(self, exchange: Exchange, out: Awaitable[Out], line: Line) -> Reply | None:
        try:
            return self._answer(exchange, await out)
        except Refusal as refusal:
            _check_goes_on(refusal, line)
            return None

    def _answer(self, exchange: Exchange, out: Out) -> Reply:
        given = out["answer"]
        try:
            code = int(given.get("code") or 200)
            if not 200 <= code <= 599:
                raise ValueError(f"Code is {code}, not a status from 200 to 599")
            headers = headers_of_answer(given.get("headers") or {})
        except (TypeError, ValueError) as error:
            raise unusable(exchange, str(error)) from None
        meta = changed_meta(exchange, out)
        if meta is not None and exchange.key is not None:
            self._scripts.save_meta(exchange.key, meta)
        return answer(code, headers, str(given.get("body") or ""))


def _check_goes_on(refusal: Refusal, line: Line) -> None:
    """Let the request go on to the upstream where the definition says so. Raises the refusal otherwise."""
    if not line.proxy_on_error or refusal.kind not in (SCRIPT_FAILED, SCRIPT_TIMEOUT):
        raise refusal
