"""The lists of paths of a version: paths that need no key (ignored), closed paths (black) and the only open ones (white); and replies.

The lists are tried in this order, and the first entry whose path and method match decides. A `reply` is sent at once, whatever list it is
in. When there is a white list, a request that matches no entry is refused. Lists are asked before the key, so a reply and an ignored path
need none. Some servers read `%2F` or `%5C` as a slash: a path with one of these is looked up in all of its readings, and the strictest
answer counts.

Fields:
* `versions.*.paths.ignored` (1.3): Patterns of paths that need no key, whatever the method. `paths` applies without `use_extended_paths`.
  Differs: In all lists a pattern is searched for in the path below the listen path; Tyk searches in the whole path.
* `versions.*.paths.black_list` (1.3): Patterns of closed paths.
* `versions.*.paths.white_list` (1.3): Patterns of the only open paths.
* `versions.*.extended_paths.ignored` (1.3): Entries for paths that need no key. `extended_paths` applies with `use_extended_paths`.
* `versions.*.extended_paths.black_list` (1.3): Entries for closed paths, with the same fields as in `ignored`.
* `versions.*.extended_paths.white_list` (1.3): Entries for the only open paths, with the same fields as in `ignored`.
* `versions.*.extended_paths.ignored[].path` (1.3, required): A regular expression in RE2's syntax, in which `{name}` stands for one
  segment.
* `versions.*.extended_paths.ignored[].ignore_case` (3.0): Upper and lower case are the same in this pattern.
* `versions.*.extended_paths.ignored[].method` (4.1): The method that the entry applies to; empty = every method.
* `versions.*.extended_paths.ignored[].disabled` (4.1): Leaves the entry out.
* `versions.*.extended_paths.ignored[].method_actions` (1.3): What to do, by method; it outranks `method`. Absent = as `method` says, an
  empty object = for no method. Differs: When the path matches and the method does not, the search goes on, as in 3.1; in 1.4 and 2.3 it
  ends.
* `versions.*.extended_paths.ignored[].method_actions.*.action` (1.3, required): `no_action` does what the list is for, `reply` sends the
  answer below. Differs: Another value is a mistake; Tyk refuses the request.
* `versions.*.extended_paths.ignored[].method_actions.*.code` (1.3): The status of a reply, 200 to 599. A reply needs it.
* `versions.*.extended_paths.ignored[].method_actions.*.data` (1.3): The body of a reply. Differs: It is sent as it is; 1.4 and 2.3
  interpret `%` in it.
* `versions.*.extended_paths.ignored[].method_actions.*.headers` (1.3): Header fields of a reply. Differs: Without Content-Type it is
  `text/plain; charset=utf-8`; Tyk guesses one.
Refusals: endpoint-forbidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from services.common.remembered import Remembered
from services.gateway.definitions import field_names, values
from services.gateway.definitions.checking import read_headers
from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Mistake, Reader, join
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.definitions.version_schema import VersionReader
from services.gateway.exchange import Exchange, Reply
from services.gateway.ports import Ports
from services.gateway.refusals import ENDPOINT_FORBIDDEN, Refusal, counted
from services.gateway.routing.endpoints import REMEMBERED, Endpoint, EndpointTable
from services.gateway.routing.overlaps import Line, taken
from services.gateway.routing.paths import matching_forms
from services.gateway.routing.patterns import PatternList, translate

Action = Literal["no_action", "reply"]
_ACTIONS: Final[tuple[Action, ...]] = ("no_action", "reply")
_SAMPLES: Final = ("/", "/a", "/b1/C", "/x.y/z_/~", "/%C3%A9")
_BODILESS: Final = (204, 205, 304)
# What a pattern of a list does to a path in which it is found.
_EFFECTS: Final = {"ignored": "opens, without a key,", "black_list": "closes", "white_list": "opens"}


@dataclass(frozen=True, slots=True)
class MethodAction:
    """What an entry of an extended path list does for one method. code, data and headers count for `reply` only."""

    action: Action
    code: int
    data: str
    headers: tuple[tuple[str, str], ...]


_NO_ACTION: Final = MethodAction("no_action", 200, "", ())


@dataclass(frozen=True, slots=True)
class PathEntry:
    """A line of a path list. method_actions None = every method, as in the legacy lists; empty = no method."""

    path: str
    method_actions: Mapping[str, MethodAction] | None = None
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists in use (legacy or extended), in the order in which they are tried."""

    ignored: tuple[PathEntry, ...] = ()
    black: tuple[PathEntry, ...] = ()
    white: tuple[PathEntry, ...] = ()


_NONE: Final = Lists()


@dataclass(frozen=True, slots=True)
class Spec:
    """versions: those in use that have lists. versioned: whether requests name their version."""

    versions: tuple[tuple[Version, Lists], ...]
    versioned: bool


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the lists; None when no version in use has any. The lists of other versions are also checked."""
    definition = reader.definition
    lists = {one.version.name: _read(one) for one in reader.versions}
    found = tuple([(version, own) for version in definition.in_use() if (own := lists.get(version.name, _NONE)) is not _NONE])
    return Spec(found, not definition.not_versioned) if found else None


def _read(version: VersionReader) -> Lists:
    if version.extended:
        ignored, black, white = (
            tuple([_entry(version, entry) for entry in version.entries(name)]) for name in ("ignored", "black_list", "white_list")
        )
    else:
        paths = version.reader.object("paths", field_names.PATHS)
        ignored, black, white = (_legacy(version, paths, name) for name in ("ignored", "black_list", "white_list"))
    return Lists(ignored, black, white) if ignored or black or white else _NONE


def _legacy(version: VersionReader, paths: Reader, name: str) -> tuple[PathEntry, ...]:
    found = []
    for text, pointer in paths.texts(name):
        version.check_pattern(text, pointer)
        found.append(PathEntry(text, ignore_case=version.version.ignore_endpoint_case))
    return tuple(found)


def _entry(version: VersionReader, reader: Reader) -> PathEntry:
    """Read an entry. `method` is how later releases of Tyk name one method without an action; `method_actions` outranks it."""
    ignore_case = reader.flag("ignore_case") or version.version.ignore_endpoint_case
    path = version.path(reader, ignore_case)
    method = version.method(reader)
    actions = {method: _NO_ACTION} if method else None
    if "method_actions" in reader:
        actions = {method: _action(method, reader.member(value, pointer)) for method, value, pointer in reader.mapping("method_actions")}
    reader.value("method_actions")
    return PathEntry(path, actions, ignore_case)


def _action(method: str, reader: Reader) -> MethodAction:
    if not values.is_method(method):
        reader.report.add(reader.pointer, values.NO_METHOD)
    if "action" not in reader:
        reader.mistake("action", "action is missing; no_action or reply is expected")
    action = reader.choice("action", _ACTIONS, "no_action")
    for name in ("code", "data", "headers"):
        reader.value(name)
    if action == "no_action":
        return _NO_ACTION
    code = reader.integer("code", 0, -(2**53))
    if not 200 <= code <= 599:
        reader.mistake("code", f"code {code} cannot be the status of a reply; 200 to 599 is expected")
    return MethodAction(action, code, reader.text("data"), read_headers(reader, "headers", values.reply_header))


def warnings(reader: DefinitionReader) -> Iterator[Mistake]:
    """Warn of entries that match more or less than they seem to, or never decide; and of replies that need no key where others do."""
    for version in reader.versions:
        lists = _read(version)
        placed = [
            (name, entry, place)
            for name, entries in (("ignored", lists.ignored), ("black_list", lists.black), ("white_list", lists.white))
            for entry, place in zip(entries, _places(version, name), strict=True)
        ]
        for _, entry, place in placed:
            yield from _warnings(entry, version.version, place)
        if version.version.path_matching == "search":
            yield from _unanchored(placed)
        lines = [Line(entry.path, entry.method_actions, entry.ignore_case) for _, entry, _ in placed]
        for index, other in taken(lines, version.version.path_matching):
            yield Mistake(placed[index][2], f"never decides: `{lines[other].path}` ({placed[other][2]}) takes all of its requests before")
        yield from _replies(reader, placed)


def _places(version: VersionReader, name: str) -> list[str]:
    """Return the pointers of the entries of a list, as `_read` has them."""
    if version.extended:
        return [entry.pointer for entry in version.entries(name)]
    return [pointer for _, pointer in version.reader.object("paths", field_names.PATHS).texts(name)]


def _unanchored(placed: Sequence[tuple[str, PathEntry, str]]) -> Iterator[Mistake]:
    """Warn, once for each list, of patterns that are found anywhere in a path."""
    for name, effect in _EFFECTS.items():
        found = [(entry, place) for listed, entry, place in placed if listed == name and _is_found_anywhere(entry.path)]
        if found:
            path, place = found[0][0].path, found[0][1]
            others = f", like {counted(len(found) - 1, 'other pattern')} of this list" if len(found) > 1 else ""
            yield Mistake(place, f"`{path}` is found anywhere in a path{others}: it also {effect} /x{path}; begin it with ^")


def _is_found_anywhere(path: str) -> bool:
    return path.startswith("/") and len(path) > 1


def _replies(reader: DefinitionReader, placed: Sequence[tuple[str, PathEntry, str]]) -> Iterator[Mistake]:
    """Warn of a reply behind an IP filter in an API that asks for keys: only the filter guards it."""
    definition = reader.definition
    filters = [name for name in ("enable_ip_whitelisting", "enable_ip_blacklisting") if reader.flag(name)]
    if definition.use_keyless or not filters or reader.flag("ip_access_control_disabled"):
        return
    whom = "every address in allowed_ips" if filters[0] == "enable_ip_whitelisting" else "every address that is not blocked"
    for _, entry, place in placed:
        if any(action.action == "reply" for action in (entry.method_actions or {}).values()):
            yield Mistake(place, f"the reply needs no key, unlike the rest of the API: {whom} gets it")
            return


def _warnings(entry: PathEntry, version: Version, place: str) -> Iterator[Mistake]:
    pattern = PatternList([translate(entry.path, version.path_matching, entry.ignore_case)])
    if all(pattern.first(sample) == 0 for sample in _SAMPLES):
        yield Mistake(place, f"`{entry.path}` matches every path; did you mean ^{entry.path}$ ?")
    if entry.method_actions is not None and not entry.method_actions:
        yield Mistake(place, "method_actions is empty, so the entry matches no method")
    for method, action in (entry.method_actions or {}).items():
        if action.action == "reply" and action.code in _BODILESS and action.data:
            yield Mistake(join(join(place, "method_actions"), method), f"a {action.code} has no body: data is not sent")


def build(spec: Spec, ports: Ports) -> PathLists:
    """Build one table of its lists for each version."""
    return PathLists({version.name: _table(version, lists, spec.versioned) for version, lists in spec.versions})


class Verdict:
    """What an entry decides. reply: the answer that it sends, None = it sends none. forbidden: which list refuses, "" = none does."""

    __slots__ = ("forbidden", "reply")

    def __init__(self, reply: tuple[int, tuple[tuple[bytes, bytes], ...], bytes] | None = None, forbidden: str = "") -> None:
        self.reply = reply
        self.forbidden = forbidden


PASS: Final = Verdict()
IGNORED: Final = Verdict()


class PathLists:
    """The lists of all versions, each as one table. It remembers its verdicts by path (with its escapes), method and version."""

    __slots__ = ("_found", "_tables")

    def __init__(self, tables: dict[str, EndpointTable[Verdict]]) -> None:
        self._tables = tables
        self._found: Remembered[tuple[str, str, str], Verdict] = Remembered(*REMEMBERED)

    def on_request(self, exchange: Exchange) -> Reply | None:
        asked = (exchange.relative, exchange.method, exchange.version_name)
        verdict = self._found.get(asked)
        if verdict is None:
            verdict = self._look(*asked)
        if verdict is PASS:
            return None
        if verdict is IGNORED:
            exchange.ignored = True
            return None
        if verdict.reply is None:
            raise Refusal(ENDPOINT_FORBIDDEN, detail=verdict.forbidden)
        status, headers, body = verdict.reply
        return Reply(status, list(headers), body)

    def _look(self, relative: str, method: str, version: str) -> Verdict:
        table = self._tables.get(version)
        if table is None:
            verdict = PASS
        elif "%" in relative:
            verdict = _careful(table, method, relative)
        else:
            verdict = table.look(method, relative)
        return self._found.keep((relative, method, version), verdict, len(relative) + len(method))


def _careful(table: EndpointTable[Verdict], method: str, relative: str) -> Verdict:
    path, *readings = matching_forms(relative)
    verdict = table.look(method, path)
    for reading in readings:
        other = table.look(method, reading)
        if other.forbidden:
            return other
        if verdict is IGNORED and other is not IGNORED:
            verdict = PASS
    return verdict


def _table(version: Version, lists: Lists, versioned: bool) -> EndpointTable[Verdict]:
    whose = f"of the version `{version.name}`" if versioned else "of the API"
    closed = Verdict(forbidden=f"The black list {whose} closes this path for this method.")
    not_open = Verdict(forbidden=f"The white list {whose} has no entry for this path with this method.")
    endpoints = [
        endpoint
        for entries, verdict in ((lists.ignored, IGNORED), (lists.black, closed), (lists.white, PASS))
        for entry in entries
        for endpoint in _endpoints(entry, verdict, version)
    ]
    return EndpointTable(endpoints, default=not_open if lists.white else PASS)


def _endpoints(entry: PathEntry, verdict: Verdict, version: Version) -> list[Endpoint[Verdict]]:
    pattern = translate(entry.path, version.path_matching, entry.ignore_case)
    if entry.method_actions is None:
        return [Endpoint(pattern, None, verdict)]
    return [
        Endpoint(pattern, (method,), _reply(action) if action.action == "reply" else verdict)
        for method, action in entry.method_actions.items()
    ]


def _reply(action: MethodAction) -> Verdict:
    headers = [(name.encode("latin-1"), value.encode("utf-8")) for name, value in action.headers]
    if action.data and not any(name.lower() == b"content-type" for name, _ in headers):
        headers.append((b"Content-Type", b"text/plain; charset=utf-8"))
    bodiless = action.code in _BODILESS
    return Verdict((action.code, tuple(headers), b"" if bodiless else action.data.encode("utf-8", "replace")))
