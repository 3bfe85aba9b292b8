"""Sends requests to some endpoints to another path, with another query, or to another upstream.

The first entry whose path and method match is asked. Its `match_pattern` is searched in the path and query as the client sent them, with
the listen path; what does not match goes on unchanged. `$1` is what the first group in parentheses has matched, and variables are those of
docs/transforms.md. The first trigger that fires puts its `rewrite_to` in place of the entry's. What is matched in the path and put into a
query begins no parameter of its own. Values cannot choose the host, and a path that they make climb (`..`) is refused.

Fields:
* `versions.*.extended_paths.url_rewrites` (1.8): Entries for single paths, with `use_extended_paths`.
* `versions.*.extended_paths.url_rewrites[].path` (1.8, required): A pattern, as in path_lists.
* `versions.*.extended_paths.url_rewrites[].method` (1.8): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.url_rewrites[].match_pattern` (1.8, required): A regular expression in RE2's syntax.
* `versions.*.extended_paths.url_rewrites[].rewrite_to` (1.8, required): The path and query that the upstream gets below its own path, or a
  URL with its host, or `tyk://API/path` (see looping). A listen path at its beginning is taken off, with `strip_listen_path`. Differs: The
  host, or the API, must stand here literally.
* `versions.*.extended_paths.url_rewrites[].triggers` (2.4): Other targets, with the conditions for each.
* `versions.*.extended_paths.url_rewrites[].triggers[].on` (2.4): Whether all conditions must hold, or any one.
* `versions.*.extended_paths.url_rewrites[].triggers[].rewrite_to` (2.4, required): The target. `$tyk_context.trigger-0-NAME-0` is what the
  first trigger has matched in the first value of `NAME`, and `$tyk_context.trigger-0-NAME-0-0` its first group.
* `versions.*.extended_paths.url_rewrites[].triggers[].options.header_matches.*` (2.4): A condition on a header of this name: `match_rx`, a
  regular expression in RE2's syntax; with `reverse` the value must be there and not match. Differs: A trigger without conditions is a
  mistake.
* `versions.*.extended_paths.url_rewrites[].triggers[].options.query_val_matches.*` (2.4): The same for a query parameter.
* `versions.*.extended_paths.url_rewrites[].triggers[].options.path_part_matches.*` (2.4): The same for any segment of the path.
* `versions.*.extended_paths.url_rewrites[].triggers[].options.session_meta_matches.*` (2.4): The same for a text in the key's `meta_data`;
  the variables of what it matches have no `-0` for the value.
* `versions.*.extended_paths.url_rewrites[].triggers[].options.request_context_matches.*` (2.8): The same for a `$tyk_context` variable,
  also without `-0`.
* `versions.*.extended_paths.url_rewrites[].triggers[].options.payload_matches.match_rx` (2.4): A regular expression in RE2's syntax that is
  searched in the body, which is read for it.
* `versions.*.extended_paths.url_rewrites[].triggers[].options.payload_matches.reverse` (2.8): The body must not match.
* `versions.*.extended_paths.url_rewrites[].disabled` (4.1): Leaves the entry out.
Refusals: bad-path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from services.common.remembered import Remembered
from services.gateway.definitions.endpoint_tables import endpoint_table
from services.gateway.definitions.model import TargetUrl, Version
from services.gateway.definitions.reader import Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.exchange import Exchange, Target
from services.gateway.ports import Ports
from services.gateway.refusals import BAD_PATH, Refusal
from services.gateway.rewriting import Condition, Kind, Template, Trigger, check_target
from services.gateway.routing.endpoints import REMEMBERED, EndpointTable
from services.gateway.routing.paths import matching_form
from services.gateway.routing.patterns import PatternError, expression
from services.gateway.targets import target

_ON: Final[tuple[Literal["all", "any"], ...]] = ("all", "any")
_NAMED: Final[tuple[tuple[str, Kind], ...]] = (
    ("header_matches", "header"),
    ("query_val_matches", "query"),
    ("path_part_matches", "path_part"),
    ("session_meta_matches", "session_meta"),
    ("request_context_matches", "context"),
)
# A body above this size is searched in a thread: a pattern with groups takes some 20 ms for a megabyte.
_LARGE: Final = 64 * 1024
# Characters, as of what a client may send.
_LONGEST: Final = 16 * 1024

Goal = tuple[TargetUrl | None, str]
_NOWHERE: Final[Goal] = (None, "/")


@dataclass(frozen=True, slots=True)
class TriggerSpec:
    """every: whether all conditions must hold. goal: the upstream (None = that of the API), and the path and query."""

    every: bool
    conditions: tuple[Condition, ...]
    goal: Goal


@dataclass(frozen=True, slots=True)
class Entry:
    """The rewriting of one endpoint. method "" = every method. goal: as in a trigger."""

    path: str
    method: str
    match_pattern: str
    goal: Goal
    triggers: tuple[TriggerSpec, ...]


@dataclass(frozen=True, slots=True)
class Spec:
    """versions: those that have entries, each with them. stripped: the listen path that is taken off, "" = none."""

    versions: tuple[tuple[Version, tuple[Entry, ...]], ...]
    stripped: str


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the entries; None when no version has any."""
    versions = reader.entries("url_rewrites", _entry)
    proxy = reader.definition.proxy
    return Spec(versions, proxy.listen_path if proxy.strip_listen_path else "") if versions else None


def _entry(version: VersionReader, reader: Reader) -> Entry:
    pattern, groups = _pattern(reader, "match_pattern")
    triggers = []
    for value, pointer in reader.items("triggers"):
        trigger = reader.member(value, pointer)
        every = trigger.choice("on", _ON, "all") == "all" if trigger.text("on") else True
        conditions = _conditions(trigger.object("options"))
        if not conditions:
            trigger.mistake("options", "options has no conditions; without any the trigger would always fire, or never")
        triggers.append(TriggerSpec(every, conditions, _goal(trigger, groups)))
    return Entry(version.path(reader), version.method(reader), pattern, _goal(reader, groups), tuple(triggers))


def _pattern(reader: Reader, name: str) -> tuple[str, int]:
    """Read a regular expression; return it and the number of its groups."""
    text = reader.text(name)
    if not text:
        reader.mistake(name, f"{name} is empty; a regular expression is expected, such as (.*)")
        return "", 0
    try:
        return text, expression(text).groups
    except PatternError as error:
        reader.mistake(name, f"{name} is not a regular expression in RE2's syntax: {error}")
        return "", 0


def _goal(reader: Reader, groups: int) -> Goal:
    try:
        return check_target(reader.text("rewrite_to"), groups)
    except ValueError as error:
        reader.mistake("rewrite_to", str(error))
        return _NOWHERE


def _conditions(options: Reader) -> tuple[Condition, ...]:
    found = []
    for field, kind in _NAMED:
        for name, value, pointer in options.mapping(field):
            one = options.member(value, pointer)
            found.append(Condition(kind, name, _pattern(one, "match_rx")[0], one.flag("reverse")))
    payload = options.object("payload_matches")
    reverse = payload.flag("reverse")
    if payload.text("match_rx"):
        found.append(Condition("payload", "payload", _pattern(payload, "match_rx")[0], reverse))
    return tuple(found)


def build(spec: Spec, ports: Ports) -> UrlRewrite:
    """Build, for each version, a table of its endpoints."""
    return UrlRewrite(
        {
            version.name: endpoint_table(version, [(one.path, one.method, Rewriting(one, spec.stripped)) for one in entries], None)
            for version, entries in spec.versions
        },
        ports.bodies,
    )


class UrlRewrite:
    """Sets `exchange.upstream_path`, `upstream_query` and, for another upstream, `target`. threads: where large bodies are searched."""

    __slots__ = ("_tables", "_threads")

    def __init__(self, tables: dict[str, EndpointTable[Rewriting | None]], threads: Executor) -> None:
        self._tables = tables
        self._threads = threads

    def on_request(self, exchange: Exchange) -> Awaitable[None] | None:
        table = self._tables.get(exchange.version_name)
        rewriting = None if table is None else table.find_any(exchange.method, exchange.relative)
        if rewriting is None:
            return None
        if rewriting.needs_body:
            return self._with_body(rewriting, exchange)
        rewriting.apply(exchange, b"")
        return None

    async def _with_body(self, rewriting: Rewriting, exchange: Exchange) -> None:
        body = await exchange.read_body()
        if len(body) > _LARGE:
            await asyncio.get_running_loop().run_in_executor(self._threads, rewriting.apply, exchange, body)
        else:
            rewriting.apply(exchange, body)


class Rewritten(NamedTuple):
    """Where a request goes. upstream: None = that of the API."""

    path: str
    query: str
    upstream: Target | None


class Rewriting:
    """One entry, ready. needs_body: whether a trigger looks into the body."""

    __slots__ = ("_found", "_goal", "_pattern", "_stripped", "_triggers", "needs_body")

    def __init__(self, entry: Entry, stripped: str) -> None:
        self._pattern = expression(entry.match_pattern)
        self._goal = _ready(entry.goal)
        self._triggers = [(Trigger(number, one.every, one.conditions), _ready(one.goal)) for number, one in enumerate(entry.triggers)]
        self._stripped = stripped
        follows = self._goal[1].follows and not entry.triggers
        self._found: Remembered[tuple[str, str], Rewritten | None] | None = Remembered(*REMEMBERED) if follows else None
        self.needs_body = any(condition.kind == "payload" for one in entry.triggers for condition in one.conditions)

    def apply(self, exchange: Exchange, body: bytes) -> None:
        """Rewrite a request whose path and query match. Raises Refusal(bad-path)."""
        if self._found is None:
            rewritten = self._rewritten(exchange, body)
        else:
            asked = exchange.path, exchange.query
            try:
                rewritten = self._found[asked]
            except KeyError:
                rewritten = self._found.keep(asked, self._rewritten(exchange, body), len(asked[0]) + len(asked[1]))
        if rewritten is not None:
            exchange.upstream_path, exchange.upstream_query, upstream = rewritten
            if upstream is not None:
                exchange.target = upstream

    def _rewritten(self, exchange: Exchange, body: bytes) -> Rewritten | None:
        path, query = exchange.path, f"?{exchange.query}" if exchange.query else ""
        match = self._pattern.search(path + query)
        decoded = match is None and "%" in path
        if decoded:
            # A `?` that was escaped must not begin a query.
            path = matching_form(path).replace("?", "%3F").replace("#", "%23")
            match = self._pattern.search(path + query)
        if match is None:
            return None
        found: dict[str, str] = {}
        upstream, template = next((goal for trigger, goal in self._triggers if trigger.holds(exchange, body, found)), self._goal)
        path, query = template.fill(exchange, match, len(path), decoded, found)
        if upstream is None and self._stripped and f"{path}/".startswith(self._stripped):
            path = path[len(self._stripped) - 1 :] or "/"
        if len(path) + len(query) > _LONGEST:
            raise Refusal(BAD_PATH, detail=f"The path and query are longer than {_LONGEST} characters when they are rewritten.")
        return Rewritten(path, query, upstream)


def _ready(goal: Goal) -> tuple[Target | None, Template]:
    upstream, text = goal
    return None if upstream is None else target(upstream), Template(text)
