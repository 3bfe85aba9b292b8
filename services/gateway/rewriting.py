"""Where rewritten requests go: targets with values of the request in them, and the conditions on which one of them is chosen.

A target is a path with a query, or a whole URL whose host stands there literally: a request cannot choose the host, nor climb above the
path that it is sent below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import parse_qsl, quote

from services.gateway.definitions import values
from services.gateway.definitions.model import TargetUrl
from services.gateway.exchange import Exchange
from services.gateway.refusals import BAD_PATH, Refusal, counted
from services.gateway.routing.paths import canonical, matching_form
from services.gateway.routing.patterns import expression
from services.gateway.variables import Text, meta_data, parse

Kind = Literal["header", "query", "path_part", "session_meta", "context", "payload"]

_PLACEHOLDER: Final = re.compile(r"\$(\d+)|\$tyk_context\.(trigger-\d+-[A-Za-z0-9_.\-]+)")
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)")
_UNSENDABLE: Final = re.compile(r"[\x00-\x20\x7f#]")
_CLIMBS: Final = re.compile(r"(?:^|/|\\|%2F|%5C)(?:\.|%2E){2}(?=/|\\|%2F|%5C|$)", re.IGNORECASE)
# What stays as it is in a value that was matched in a decoded path; what is escaped in it still has its `%`.
_OF_PATHS: Final = "/%!$'()*,:=@~"
_OF_URLS: Final = "?&+;" + _OF_PATHS
# They would begin another parameter, or mean something else, once they stand in a query.
_IN_QUERY: Final = str.maketrans({"&": "%26", "+": "%2B", ";": "%3B"})
_MOST_MATCHES: Final = 100
_MOST_PARAMETERS: Final = 1000

Values = Mapping[str, str]


class Condition(NamedTuple):
    """What a trigger looks at. name: of the header, parameter and so on; in `$tyk_context.trigger-0-NAME`."""

    kind: Kind
    name: str
    match_rx: str
    reverse: bool


def check_target(text: str, groups: int) -> tuple[TargetUrl | None, str]:
    """Check a target; return its upstream, None = that of the API, and the path and query. groups: how many `$1` there may be.

    Raises ValueError.
    """
    if not text:
        raise ValueError("rewrite_to is empty; a path or a URL is expected")
    values.served_variables(text)
    if text.startswith("$tyk_"):
        raise ValueError("rewrite_to must begin with a path, or with a URL whose host stands here literally; a variable must not choose it")
    url = _URL.match(text)
    upstream = None
    if url is not None and url[1].lower() == "tyk":
        if "$" in url[2]:
            raise ValueError("the API of rewrite_to must stand here literally, up to a slash: otherwise clients could choose it")
        upstream, text = values.loop_url(f"tyk://{text[6:]}", of_rewrite=True)
    elif url is not None:
        if "$" in url[2]:
            raise ValueError(
                "the host of rewrite_to must stand here literally, up to a slash: otherwise clients could choose where they go"
            )
        try:
            upstream = values.target_url(f"{url[1].lower()}://{url[2]}/")
        except ValueError as error:
            raise ValueError(str(error).replace("target_url", "rewrite_to")) from None
        text = text[url.end() :]
    if _UNSENDABLE.search(text):
        raise ValueError("rewrite_to holds a space, a control character or a `#`")
    if _CLIMBS.search(text.partition("?")[0]):
        raise ValueError("rewrite_to holds a `..` segment; write the path that is meant")
    highest = max((int(found[1]) for found in _PLACEHOLDER.finditer(text) if found[1]), default=0)
    if highest > groups:
        raise ValueError(f"rewrite_to uses ${highest}, and match_pattern has {counted(groups, 'group')} in parentheses")
    return upstream, text


class Template:
    """The path and query of a target."""

    __slots__ = ("_parts", "follows")

    def __init__(self, text: str) -> None:
        self._parts: list[str | int | Text | Callable[[Values], str]] = []
        place = 0
        for found in _PLACEHOLDER.finditer(text):
            self._add(text[place : found.start()])
            if found[1]:
                self._parts.append(int(found[1]))
            else:
                bare = found[2].rstrip(".-")
                self._parts.append(_value_of(bare.lower()))
                self._add(found[2][len(bare) :])
            place = found.end()
        self._add(text[place:])
        # Whether path and query of a request alone decide what comes out.
        self.follows = all(isinstance(part, str | int) for part in self._parts)

    def _add(self, text: str) -> None:
        if text:
            self._parts.append(parse(text) or text)

    def fill(self, exchange: Exchange, match: Any, query_at: int, decoded: bool, found: Values) -> tuple[str, str]:
        """Return the canonical path, and the query. match: of the pattern. query_at: where the query begins in what was searched. decoded:
        whether its path was decoded. found: by triggers. Raises Refusal(bad-path).
        """
        text = ""
        for part in self._parts:
            if isinstance(part, str):
                text += part
            elif isinstance(part, int):
                text += _captured(match, part, query_at, decoded, "?" in text)
            elif isinstance(part, Text):
                text += part.fill(exchange, escape=True)
            else:
                text += quote(part(found), safe="")
        if not text.startswith("/"):
            text = f"/{text}"
        if _CLIMBS.search(text.partition("?")[0]):
            raise Refusal(BAD_PATH, detail="The path climbs when it is rewritten.")
        return canonical(text.encode())


def _value_of(name: str) -> Callable[[Values], str]:
    return lambda found: found.get(name, "")


def _captured(match: Any, group: int, query_at: int, decoded: bool, in_query: bool) -> str:
    value: str = match.group(group) or ""
    of_path = match.end(group) <= query_at
    if decoded:
        value = quote(value, safe=_OF_PATHS if of_path else _OF_URLS)
    return value.translate(_IN_QUERY) if in_query and of_path else value


class Trigger:
    """Conditions, all of which or one of which must hold. number: in the names of the values that they find."""

    __slots__ = ("_all", "_conditions", "_number")

    def __init__(self, number: int, every: bool, conditions: Sequence[Condition]) -> None:
        self._number = number
        self._all = every
        self._conditions = [
            (one, expression(one.match_rx, of_bytes=one.kind == "payload"), _READERS.get(one.kind) or _context_reader(one.name))
            for one in conditions
        ]

    def holds(self, exchange: Exchange, body: bytes, found: dict[str, str]) -> bool:
        """Tell whether the trigger fires. found: gets what the conditions have matched, by names in lower case."""
        held = 0
        for condition, pattern, read in self._conditions:
            key = f"trigger-{self._number}-{condition.name}".lower()
            if condition.kind == "payload":
                held += _in_payload(pattern, condition.reverse, key, body, found)
                continue
            matches = 0
            for value in read(exchange, condition.name):
                match = pattern.search(value)
                if (match is None) is not condition.reverse:
                    continue
                if match is not None:
                    indexed = key if condition.kind in ("session_meta", "context") else f"{key}-{matches}"
                    _keep(match, indexed, found)
                matches += 1
            held += matches > 0
        return held == len(self._conditions) if self._all else held > 0


def _keep(match: Any, key: str, found: dict[str, str]) -> None:
    found[key] = _as_text(match.group(0))
    for index, group in enumerate(match.groups()):
        found[f"{key}-{index}"] = _as_text(group)


def _as_text(value: str | bytes | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


def _in_payload(pattern: Any, reverse: bool, key: str, body: bytes, found: dict[str, str]) -> bool:
    first = None
    for index, match in enumerate(pattern.finditer(body)):
        if index == _MOST_MATCHES:
            break
        if first is None:
            first = match
            found[key] = _as_text(match.group(0))
        _keep(match, f"{key}-{index}", found)
    return (first is None) is reverse


def _headers(exchange: Exchange, name: str) -> list[str]:
    return [value.decode("latin-1") for value in exchange.section.values(name.lower().encode("latin-1", "replace"))]


def _query(exchange: Exchange, name: str) -> list[str]:
    parameters = "&".join(exchange.query.split("&", _MOST_PARAMETERS)[:_MOST_PARAMETERS])
    return [value for key, value in parse_qsl(parameters, keep_blank_values=True) if key == name]


def _path_parts(exchange: Exchange, name: str) -> list[str]:
    return matching_form(exchange.path).split("/")


def _session_meta(exchange: Exchange, name: str) -> list[str]:
    value = meta_data(exchange).get(name)
    return [value] if isinstance(value, str) else []


def _context_reader(name: str) -> Callable[[Exchange, str], list[str]]:
    text = parse(f"$tyk_context.{name}")

    def read(exchange: Exchange, name: str) -> list[str]:
        value = text.fill(exchange) if text is not None else ""
        return [value] if value else []

    return read


_READERS: Final[Mapping[Kind, Callable[[Exchange, str], list[str]]]] = {
    "header": _headers,
    "query": _query,
    "path_part": _path_parts,
    "session_meta": _session_meta,
}
