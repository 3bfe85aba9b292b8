"""Heads of requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Final

from services.common.remembered import Remembered
from services.gateway.wire.heads.faults import BadRequest, Fault
from services.gateway.wire.heads.grammar import (
    CLEAN_PATH,
    LARGEST_HEAD,
    LARGEST_KEPT,
    LAYOUTS_REMEMBERED,
    LINES_REMEMBERED,
    NAME,
    Expression,
    Expressions,
    Header,
    Incomplete,
    are_fields,
    names_of,
    picker,
)
from services.gateway.wire.heads.names import MISREAD, NOT_PASSED_ON, is_token

LONGEST_TARGET: Final = 16 * 1024
MOST_FIELDS: Final = 200
_SPECIAL: Final = frozenset({b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"})
_ONCE: Final = {b"host": Fault.BAD_HOST, b"content-length": Fault.AMBIGUOUS_LENGTH, b"transfer-encoding": Fault.AMBIGUOUS_LENGTH}
_NOTHING: Final[frozenset[bytes]] = frozenset()
_MOST_REMEMBERED: Final = 64
_NOT_SERVED: Final = frozenset({b"CONNECT", b"TRACE"})
_VERSIONS: Final = {b"HTTP/1.1": 1, b"HTTP/1.0": 0}
_VERSION: Final = re.compile(rb"HTTP/[0-9]+(?:\.[0-9]+)?").fullmatch
_METHODS: Final = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_ORIGIN_FORM: Final = re.compile(rb"/[\x21-\x7e\x80-\xff]{,%d}+" % (LONGEST_TARGET - 1)).fullmatch
_ABSOLUTE_FORM: Final = re.compile(rb"https?://[\x21-\x7e\x80-\xff]*+", re.IGNORECASE).fullmatch
_FOLDED: Final = re.compile(rb"\n[ \t]").search
_BEGINS_A_LINE: Final = re.compile(rb"\r?|" + NAME + rb"(?: (?:[\x21-\x7e\x80-\xff]+(?: [HTP/0-9.]*\r?)?)?)?").fullmatch
_AUTHORITY: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(?::\d{0,5})?").fullmatch


# A request line that needs no second look: a common method, and a path that is canonical as it is.
_USUAL_LINE: Final = (
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) ((?=/)(" + CLEAN_PATH + rb")(?:\?([\x21\x22\x24-\x7e]*+))?+) HTTP/1\.([01])"
)
_expressions: Final = Expressions()


class _Layout:
    """What a sequence of field names means.

    written: the names as they came; names: in lower case; places: the last line of each; repeated: those that stand more than once;
    passed_on: takes the lines that go on to an upstream; withheld: names that do not because they can be misread; special: whether there
    are fields that frame the message or speak of the connection. whole: of a head with these fields and a usual request line, None = they
    have not come often.
    """

    __slots__ = ("_came", "names", "passed_on", "places", "repeated", "special", "whole", "withheld", "written")

    def __init__(self, written: tuple[bytes, ...]) -> None:
        """Raises BadRequest when a name stands twice that may not."""
        self.written = written
        self.names = names = tuple(name.lower() for name in written)
        self.places: Mapping[bytes, int] = {name: place for place, name in enumerate(names, 1)}
        self.repeated: Set[bytes] = _NOTHING
        if len(self.places) != len(names):
            self.repeated = frozenset(name for name in self.places if names.count(name) > 1)
            for name, fault in _ONCE.items():
                if name in self.repeated:
                    raise BadRequest(fault)
        # CGI and what came after it (WSGI, Rack, PHP) read `_` in a name as `-`, so that one header passes for another.
        self.withheld: Set[bytes] = frozenset(name for name in self.places if b"_" in name or name in MISREAD)
        gone = {0, *(place for place in range(1, len(names) + 1) if not self._goes_on(place))}
        self.passed_on: Callable[[list[bytes]], Sequence[bytes]] = picker(gone, len(names))
        self.special = not _SPECIAL.isdisjoint(names)
        self.whole: Expression | None = None
        self._came = 0

    def _goes_on(self, place: int) -> bool:
        name = self.names[place - 1]
        return name not in NOT_PASSED_ON and name not in self.withheld

    def come(self) -> None:
        """Count that it has come, and give it its expression when that was often."""
        self._came += 1
        if _expressions.due(self._came, len(self.names)):
            self.whole = _expressions.make(_USUAL_LINE, self.written, self._goes_on)


class _Layouts(Remembered[tuple[bytes, ...], _Layout]):
    """Layouts by the names as they were written. A name that may stand only once and does not is a BadRequest."""

    def __missing__(self, written: tuple[bytes, ...]) -> _Layout:
        return self.keep(written, _Layout(written), sum(map(len, written)))


class _Hosts(Remembered[bytes, str]):
    """Hosts by the authorities that name them; one that names none is a BadRequest."""

    def __missing__(self, authority: bytes) -> str:
        found = _AUTHORITY(authority)
        if found is None:
            raise BadRequest(Fault.BAD_HOST)
        host = found[1].decode("ascii").lower().rstrip(".")
        return self.keep(authority, host, len(authority))


_layouts: Final = _Layouts(*LAYOUTS_REMEMBERED)
_hosts: Final = _Hosts(*LINES_REMEMBERED)


class HeaderSection:
    """The fields of a request, and what they say about it; all of it follows from `raw` alone.

    raw: the fields as sent, from the CR LF before the first to that of the last. lines: `raw` taken apart; the first and the last are
    empty. length: of the body in bytes, 0 = none, -1 = chunked. close: whether `Connection` says close (True), keep-alive (False) or
    neither (None). authority: what `Host` says; host: of it, in lower case and without port; both None when there is no Host. upgrade:
    whether it asks for another protocol that may be passed on.

    request: the last whole head that came with these fields, and its method, target and minor version; place: the last target, and its
    path and query. plain: whether they ask for nothing out of the ordinary: no body, no end of the connection, no other protocol. again:
    whether these fields have come more than once. memo: what others derived from this section, by whoever derived
    it; said: what they derived from a single value, which a connection repeats although other fields change.
    """

    __slots__ = (
        "_fields", "_found", "_groups", "_headers", "_lines", "again", "authority", "close", "expects", "host", "layout", "length", "memo",
        "place", "plain", "raw", "request", "said", "upgrade",
    )  # fmt: skip

    def __init__(self, raw: bytes, layout: _Layout, found: re.Match[bytes] | None, said: dict[Any, tuple[bytes, Any]]) -> None:
        """Take what is known of well-formed fields. found: by their layout's expression. Raises BadRequest when those that frame or route
        the request are ambiguous.
        """
        self.raw = raw
        self.layout = layout
        self._found = found
        self._groups = _NO_GROUPS if found is None or layout.whole is None else layout.whole.lines
        self._lines: list[bytes] | None = None
        self._headers: list[Header] | None = None
        self._fields: dict[bytes, bytes] | None = None
        self.said = said
        self.memo = _EMPTY
        self.again = False
        self.request = _NO_REQUEST
        self.place = _NO_PLACE
        self.authority = self.value(b"host")
        self.host = None if self.authority is None else _hosts[self.authority]
        self.length = 0
        self.close: bool | None = None
        self.upgrade = self.expects = False
        self.plain = True
        if layout.special:
            self._read_special()

    @classmethod
    def read(cls, raw: bytes, said: dict[Any, tuple[bytes, Any]] | None = None) -> HeaderSection:
        """Read the fields. Raises BadRequest when they are malformed, or those that frame or route the request are ambiguous."""
        if are_fields(raw) is None:
            raise _malformed(raw)
        names = tuple(names_of(raw))
        if len(names) > MOST_FIELDS:
            raise BadRequest(Fault.HEAD_TOO_LARGE)
        layout = _layouts[names]
        if layout.whole is None:
            layout.come()
        return cls(raw, layout, None, {} if said is None else said)

    @classmethod
    def of(cls, headers: Iterable[Header]) -> HeaderSection:
        """Create the section of these lines. Raises BadRequest."""
        return cls.read(b"\r\n" + b"".join(b"%b: %b\r\n" % header for header in headers))

    def _read_special(self) -> None:
        self.length = _length(self.value(b"content-length"), self.value(b"transfer-encoding"))
        self.expects = b"expect" in self.layout.places
        if b"connection" in self.layout.places:
            tokens = {token.strip() for value in self.values(b"connection") for token in value.lower().split(b",")}
            if b"close" in tokens:
                self.close = True
            elif b"keep-alive" in tokens:
                self.close = False
            protocols = self.value(b"upgrade")
            self.upgrade = self.length == 0 and b"upgrade" in tokens and protocols is not None and _may_switch(protocols)
        self.plain = not (self.length or self.upgrade or self.expects or self.close)

    def value(self, name: bytes) -> bytes | None:
        """Return what the last field of that name says. name: lower case."""
        place = self.layout.places.get(name)
        if place is None:
            return None
        found = self._found
        line = self.lines[place] if found is None else found[self._groups[place]]
        return line[len(name) + 1 :].strip(b" \t")

    @property
    def lines(self) -> list[bytes]:
        """Return the fields as lines; the first and the last are empty."""
        if self._lines is None:
            self._lines = self.raw.split(b"\r\n")
        return self._lines

    def passed_on(self) -> bytes:
        """Return the lines that go on to an upstream, each with its CR LF."""
        whole = self.layout.whole
        if self._found is None or whole is None:
            return b"\r\n".join(self.layout.passed_on(self.lines))
        return whole.passed_on(self._found)

    def values(self, name: bytes) -> list[bytes]:
        """Return what all fields of that name say."""
        if name in self.layout.repeated:
            return [value for other, (_, value) in zip(self.layout.names, self.headers, strict=True) if other == name]
        only = self.value(name)
        return [] if only is None else [only]

    @property
    def headers(self) -> list[Header]:
        """Return all lines in their order, names as they were written."""
        if self._headers is None:
            self._headers = [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in self.lines[1:-1])]
        return self._headers

    @property
    def fields(self) -> dict[bytes, bytes]:
        """Return the last value of each field by its lower-case name."""
        if self._fields is None:
            self._fields = {name: value for name, (_, value) in zip(self.layout.names, self.headers, strict=True)}
        return self._fields

    def remember_place(self, target: bytes, path: str, query: str) -> None:
        """Keep what a target comes to, for a client that asks for the same thing again."""
        if len(target) <= LARGEST_KEPT:
            self.place = (target, path, query)

    def remember(self, who: Any, what: Any) -> None:
        """Keep what `who` derived from these fields alone, once their connection repeats them."""
        if not self.again:
            return
        if self.memo is _EMPTY:
            self.memo = {}
        elif len(self.memo) >= _MOST_REMEMBERED:
            self.memo.clear()
        self.memo[who] = what

    def remember_said(self, who: Any, value: bytes, what: Any) -> None:
        """Keep what `who` derived from one value alone, for as long as the connection sends it."""
        if len(self.said) >= _MOST_REMEMBERED:
            self.said.clear()
        self.said[who] = (value, what)


_NO_GROUPS: Final[Sequence[int]] = ()
_EMPTY: Final[dict[Any, Any]] = {}  # of sections that nobody has remembered anything of
_NO_REQUEST: Final = (b"", "", b"", 1)
_NO_PLACE: Final = (b"", "", "")


def _malformed(raw: bytes) -> BadRequest:
    if raw.count(b"\n") - 1 > MOST_FIELDS:
        return BadRequest(Fault.HEAD_TOO_LARGE)
    return BadRequest(Fault.BAD_HEADER, detail="A header is folded over two lines." if _FOLDED(raw) else None)


def _length(given: bytes | None, coding: bytes | None) -> int:
    if coding is not None:
        if given is not None or coding.lower() != b"chunked":
            raise BadRequest(Fault.AMBIGUOUS_LENGTH)
        return -1
    if given is None:
        return 0
    if not given.isdigit() or len(given) > 18:
        raise BadRequest(Fault.AMBIGUOUS_LENGTH)
    return int(given)


def _may_switch(protocols: bytes) -> bool:
    """Return whether to pass an upgrade on. HTTP/2 is not passed on: behind it, requests would go through unread."""
    protocols = protocols.lower()
    return b"h2c" not in protocols and b"http/" not in protocols


def parse_request(data: bytes, last: HeaderSection | None = None) -> tuple[str, bytes, int, HeaderSection, int]:
    """Parse the request that `data` begins with: (method, target, minor version, fields, size of the head).

    last: the fields of the request before on the same connection, taken again when they are the same. Raises Incomplete, or BadRequest
    with what is wrong.
    """
    if last is not None:
        known, name, target, minor = last.request
        if known and data.startswith(known):
            last.again = True
            return name, target, minor, last, len(known)
        whole = last.layout.whole
        if whole is not None and len(data) <= LARGEST_KEPT:
            found = whole.match(data)
            if found is not None:
                return _usual(found, last)
    end = data.find(b"\r\n\r\n", 0, LARGEST_HEAD)
    if end < 0:
        raise _unfinished(data)
    line_end = data.find(b"\r\n")
    if line_end:
        line = data[:line_end]
    else:  # an empty line before a request line is let pass (RFC 9112, 2.2)
        line_end = data.find(b"\r\n", 2)
        line = data[2:line_end]
    raw = data[line_end : end + 2]
    name, target, minor = _request_line(line)
    if last is not None and last.raw == raw:
        last.again = True
    else:
        last = HeaderSection.read(raw, None if last is None else last.said)
    if not minor and last.length < 0:
        raise BadRequest(Fault.AMBIGUOUS_LENGTH)
    last.request = (data[: end + 4], name, target, minor) if end < LARGEST_KEPT else _NO_REQUEST
    return name, target, minor, last, end + 4


def _usual(found: re.Match[bytes], last: HeaderSection) -> tuple[str, bytes, int, HeaderSection, int]:
    """As `parse_request`, for a head that the expression of its layout has found."""
    method, target, path, query, version, raw = found.group(1, 2, 3, 4, 5, 6)
    if raw == last.raw:
        last.again = True
    else:
        last = HeaderSection(raw, last.layout, found, last.said)
    name, minor = _METHODS[method], 1 if version == b"1" else 0
    if not minor and last.length < 0:
        raise BadRequest(Fault.AMBIGUOUS_LENGTH)
    last.request = (found[0], name, target, minor)
    last.place = (target, path.decode("ascii"), "" if query is None else query.decode("ascii"))
    return name, target, minor, last, found.end()


def _request_line(line: bytes) -> tuple[str, bytes, int]:
    try:
        method, target, version = line.split(b" ")
        minor = _VERSIONS[version]
        name = _METHODS[method]
    except (ValueError, KeyError):
        name, target, minor = _unusual(line)
    if not _ORIGIN_FORM(target):
        _check_target(name, target)
    return name, target, minor


def _unusual(line: bytes) -> tuple[str, bytes, int]:
    """Parse a request line with a method that is not among the common ones. Raises BadRequest when it is not a request line."""
    if b"\n" in line or b"\r" in line:
        raise BadRequest(Fault.BAD_HEADER, detail="A line does not end in CR LF.")
    parts = line.split(b" ")
    if len(parts) != 3:
        raise BadRequest(Fault.MALFORMED)
    method, target, version = parts
    if version not in _VERSIONS:
        raise BadRequest(Fault.UNSUPPORTED_VERSION if _VERSION(version) else Fault.MALFORMED)
    return method_of(method), target, _VERSIONS[version]


def method_of(method: bytes) -> str:
    """Return the method, a token without lower-case letters. Raises BadRequest.

    Case counts (RFC 9110, 9.1): an upstream that takes `get` for GET would serve another request than the one that was checked here.
    """
    if not is_token(method):
        raise BadRequest(Fault.MALFORMED)
    if method != method.upper():
        raise BadRequest(Fault.MALFORMED, detail="The method holds lower-case letters; methods are written in upper case.")
    if method in _NOT_SERVED:
        raise BadRequest(Fault.METHOD_NOT_SUPPORTED)
    return method.decode("ascii")


def _check_target(method: str, target: bytes) -> None:
    """Raise BadRequest for a target that is neither a path nor an absolute address, nor the `*` of OPTIONS (RFC 9112, 3.2)."""
    if len(target) > LONGEST_TARGET:
        raise BadRequest(Fault.TARGET_TOO_LONG)
    if not (target == b"*" and method == "OPTIONS") and not _ABSOLUTE_FORM(target):
        raise BadRequest(Fault.MALFORMED)


def _unfinished(data: bytes) -> Exception:
    """Return what to raise for a head without an end: Incomplete as long as it can still become a valid one."""
    size = len(data)
    first = data.find(b"\n", 2)
    if size > LARGEST_HEAD or (size > LONGEST_TARGET + 32 and first < 0):
        return BadRequest(Fault.TARGET_TOO_LONG if first < 0 or first > LONGEST_TARGET + 32 else Fault.HEAD_TOO_LARGE)
    line = data[2:] if data.startswith(b"\r\n") else data
    line, newline, _ = line.partition(b"\n")
    if not newline:
        return Incomplete() if _BEGINS_A_LINE(line) else BadRequest(Fault.MALFORMED)
    if not line.endswith(b"\r") or b"\n\n" in data or b"\n\r\n" in data:
        return BadRequest(Fault.BAD_HEADER, detail="A line does not end in CR LF.")
    _unusual(line[:-1])
    return Incomplete()
