"""The lists of paths of a version: what needs no key (ignored), what is closed (black), what alone is open (white); and
replies.

Fields: `versions.*.paths`, `.extended_paths` (the one that `use_extended_paths` names), `.path_matching`. The lists
are tried in this order, the first entry whose path and method match decides, wherever it stands a `reply` answers at
once, and what matches nothing is refused when there is a white list. Lists are asked before the key, so a reply and
an ignored path need none. A path with `%2F` or `%5C` is asked for in all of its readings, and the strictest answer counts:
an upstream that takes them for slashes must not serve what a list closes.
Refusals: endpoint-forbidden.
"""

from __future__ import annotations

from typing import Final

from services.common.remembered import Remembered
from services.gateway.definitions.model import Definition, MethodAction, PathEntry, Version
from services.gateway.exchange import Exchange, Reply
from services.gateway.ports import Ports
from services.gateway.refusals import ENDPOINT_FORBIDDEN, Refusal
from services.gateway.routing.endpoints import REMEMBERED, Endpoint, EndpointTable
from services.gateway.routing.paths import matching_forms
from services.gateway.routing.patterns import translate


class Verdict:
    """What an entry says. reply: the canned answer, for replies only. forbidden: which list refuses, "" = none does."""

    __slots__ = ("forbidden", "reply")

    def __init__(self, reply: tuple[int, tuple[tuple[bytes, bytes], ...], bytes] | None = None, forbidden: str = "") -> None:
        self.reply = reply
        self.forbidden = forbidden


PASS: Final = Verdict()
IGNORED: Final = Verdict()


class PathLists:
    """The lists of all versions, each as one table; what they say of a path is remembered here, escapes and version included."""

    __slots__ = ("_found", "_tables")

    def __init__(self, tables: dict[str, EndpointTable[Verdict]]) -> None:
        self._tables = tables
        self._found: Remembered[tuple[str, str, str], Verdict] = Remembered(*REMEMBERED)

    @classmethod
    def from_definition(cls, definition: Definition, ports: Ports) -> PathLists | None:
        versions = (definition.unversioned(),) if definition.not_versioned else definition.versions.values()
        tables = {version.name: _table(version, not definition.not_versioned) for version in versions if _used(version)}
        return cls(tables) if tables else None

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


def _used(version: Version) -> bool:
    return bool(version.lists.ignored or version.lists.black or version.lists.white)


def _table(version: Version, versioned: bool) -> EndpointTable[Verdict]:
    lists = version.lists
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
    bodiless = action.code in (204, 205, 304)
    return Verdict((action.code, tuple(headers), b"" if bodiless else action.data.encode("utf-8", "replace")))
