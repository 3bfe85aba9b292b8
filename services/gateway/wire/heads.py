"""Message heads: parsed strictly, written anew (RFC 9112).

What another parser could read differently is refused: bare LF and CR, folded lines, control bytes, lengths that are repeated or malformed,
a doubled space, several Hosts.

A client repeats nearly all of its head from request to request of one connection (HPACK rests on the same fact), so the section of fields
is read once and kept: the next request of the connection that brings the same bytes costs one comparison. The same goes for the line of
one who asks for the same thing again, and for an upstream that answers with the very same head.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence, Set
from operator import itemgetter
from typing import Any, Final, NamedTuple

from services.gateway.refusals import (
    AMBIGUOUS_LENGTH,
    BAD_HEADER,
    BAD_HOST,
    HEAD_TOO_LARGE,
    MALFORMED_REQUEST,
    METHOD_NOT_SUPPORTED,
    TARGET_TOO_LONG,
    UNSUPPORTED_VERSION,
    Refusal,
)

Header = tuple[bytes, bytes]

LARGEST_HEAD: Final = 64 * 1024
LONGEST_TARGET: Final = 16 * 1024
MOST_FIELDS: Final = 200
# A longer section is read anew each time rather than kept with an idle connection.
LARGEST_KEPT: Final = 4096
_MOST_REMEMBERED: Final = 64
_REMEMBERED: Final = 2048
_NOT_SERVED: Final = frozenset({b"CONNECT", b"TRACE"})
_NAME: Final = rb"[A-Za-z0-9!#$%&'*+.^_`|~-]++"
_VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]*+"
_TOKEN: Final = re.compile(_NAME).fullmatch
_VERSIONS: Final = {b"HTTP/1.1": 1, b"HTTP/1.0": 0}
_VERSION: Final = re.compile(rb"HTTP/[0-9]+(?:\.[0-9]+)?").fullmatch
_METHODS: Final = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_ORIGIN_FORM: Final = re.compile(rb"/[\x21-\x7e\x80-\xff]{,%d}+" % (LONGEST_TARGET - 1)).fullmatch
_ABSOLUTE_FORM: Final = re.compile(rb"https?://[\x21-\x7e\x80-\xff]*+", re.IGNORECASE).fullmatch
_FIELDS: Final = re.compile(rb"^(" + _NAME + rb"):(" + _VALUE + rb")\r\n", re.MULTILINE).findall
_FOLDED: Final = re.compile(rb"(?:\A|\n)[ \t]").search
_BEGINS_A_LINE: Final = re.compile(rb"\r?|[A-Za-z0-9!#$%&'*+.^_`|~-]+(?: (?:[\x21-\x7e\x80-\xff]+(?: [HTP/0-9.]*\r?)?)?)?").fullmatch
_AUTHORITY: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(?::\d{0,5})?").fullmatch
_ONCE: Final = {b"host": BAD_HOST, b"content-length": AMBIGUOUS_LENGTH, b"transfer-encoding": AMBIGUOUS_LENGTH}


class Incomplete(Exception):
    """The head has not come whole yet."""


class BadAnswer(Exception):
    """An upstream's answer is not valid HTTP. The text says why."""


class HeaderSection:
    """The fields of a request, and what they say about it; all of it follows from `raw` alone.

    raw: the section as sent, with the empty line that ends it. headers: lines in their order; names: theirs, in lower case. fields: the
    last value of each field by its lower-case name. length: of the body in bytes, 0 = none, -1 = chunked. close: whether `Connection`
    says close (True), keep-alive (False) or neither (None). host: lower case, without port; None when there is no Host.

    memo: what others derived from this section, by whoever derived it. line: the last request line that came with it, and its method,
    target and minor version; place: the last target, and its path and query.
    """

    __slots__ = ("close", "expects", "fields", "headers", "host", "length", "line", "memo", "names", "place", "raw", "upgrade")

    def __init__(self, raw: bytes, headers: list[Header]) -> None:
        """Raises Refusal when fields that frame or route the request are missing their form."""
        self.raw = raw
        self.headers = headers
        self.names = names = [name.lower() for name, _ in headers]
        self.fields = fields = dict(zip(names, [value for _, value in headers], strict=True))
        if len(fields) != len(names):
            for name, kind in _ONCE.items():
                if names.count(name) > 1:
                    raise Refusal(kind)
        self.length = _length(fields)
        self.close: bool | None = None
        self.upgrade = False
        self.expects = b"expect" in fields
        if b"connection" in fields:
            tokens = {token.strip() for name, value in headers if name.lower() == b"connection" for token in value.lower().split(b",")}
            self.close = True if b"close" in tokens else False if b"keep-alive" in tokens else None
            self.upgrade = self.length == 0 and b"upgrade" in tokens and b"upgrade" in fields and _may_switch(fields[b"upgrade"])
        self.host: str | None = None
        if b"host" in fields:
            self.host = _hosts[fields[b"host"]]
        self.memo: dict[Any, Any] = {}
        self.line: tuple[bytes, str, bytes, int] = (b"", "", b"", 1)
        self.place: tuple[bytes, str, str] = (b"", "", "")

    def remember(self, who: Any, what: Any) -> None:
        """Keeps what `who` derived from these fields alone, for as long as their connection repeats them."""
        if len(self.memo) >= _MOST_REMEMBERED:
            self.memo.clear()
        self.memo[who] = what


class _Hosts(dict[bytes, str]):
    """Hosts by the authorities that name them; one that names none is a Refusal."""

    def __missing__(self, authority: bytes) -> str:
        found = _AUTHORITY(authority)
        if found is None:
            raise Refusal(BAD_HOST)
        if len(self) >= _REMEMBERED:
            self.clear()
        host = self[authority] = found[1].decode("ascii").lower().rstrip(".")
        return host


_hosts: Final = _Hosts()


def _length(fields: dict[bytes, bytes]) -> int:
    given, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if coding is not None:
        if given is not None or coding.lower() != b"chunked":
            raise Refusal(AMBIGUOUS_LENGTH)
        return -1
    if given is None:
        return 0
    if not given.isdigit() or len(given) > 18:
        raise Refusal(AMBIGUOUS_LENGTH)
    return int(given)


def _may_switch(protocols: bytes) -> bool:
    """Whether to pass an upgrade on. HTTP/2 is none: behind it, requests would reach the upstream past every rule."""
    protocols = protocols.lower()
    return b"h2c" not in protocols and b"http/" not in protocols


def parse_request(data: bytes, last: HeaderSection | None = None) -> tuple[str, bytes, int, HeaderSection, int]:
    """(method, target, minor version, fields, size of the head) of the request that `data` begins with.

    last: the fields of the request before on the same connection, taken again when they are the same. Raises Incomplete, or Refusal
    with what is wrong.
    """
    end = data.find(b"\r\n\r\n", 0, LARGEST_HEAD)
    if end < 0:
        raise _unfinished(data)
    line_end = data.find(b"\r\n")
    if line_end:
        line = data[:line_end]
    else:  # an empty line before a request line is let pass (RFC 9112, 2.2)
        line_end = data.find(b"\r\n", 2)
        line = data[2:line_end]
    raw = data[line_end + 2 : end + 4]
    if last is not None and last.raw == raw:
        known, name, target, minor = last.line
        if known == line:
            return name, target, minor, last, end + 4
        name, target, minor = _request_line(line)
    else:
        name, target, minor = _request_line(line)
        last = _section(raw)
    if not minor and last.length < 0:
        raise Refusal(AMBIGUOUS_LENGTH)
    last.line = (line, name, target, minor)
    return name, target, minor, last, end + 4


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
    """A request line with a method that is not among the common ones. Raises Refusal when it is none."""
    if b"\n" in line or b"\r" in line:
        raise Refusal(BAD_HEADER, detail="A line does not end in CR LF.")
    parts = line.split(b" ")
    if len(parts) != 3:
        raise Refusal(MALFORMED_REQUEST)
    method, target, version = parts
    if version not in _VERSIONS:
        raise Refusal(UNSUPPORTED_VERSION if _VERSION(version) else MALFORMED_REQUEST)
    if not _TOKEN(method):
        raise Refusal(MALFORMED_REQUEST)
    if method in _NOT_SERVED:
        raise Refusal(METHOD_NOT_SUPPORTED)
    return method.decode("ascii"), target, _VERSIONS[version]


def _check_target(method: str, target: bytes) -> None:
    """Raises Refusal for a target that is neither a path nor an absolute address, nor the `*` of OPTIONS (RFC 9112, 3.2)."""
    if len(target) > LONGEST_TARGET:
        raise Refusal(TARGET_TOO_LONG)
    if not (target == b"*" and method == "OPTIONS") and not _ABSOLUTE_FORM(target):
        raise Refusal(MALFORMED_REQUEST)


def _section(raw: bytes) -> HeaderSection:
    found = _FIELDS(raw)
    lines = raw.count(b"\n") - 1
    if lines > MOST_FIELDS:
        raise Refusal(HEAD_TOO_LARGE)
    # Each field takes exactly one line, so that nothing can stand between them when there are as many as lines.
    if len(found) != lines:
        raise Refusal(BAD_HEADER, detail="A header is folded over two lines." if _FOLDED(raw) else None)
    return HeaderSection(raw, [(name, value.strip(b" \t")) for name, value in found])


def _unfinished(data: bytes) -> Exception:
    """What to raise for a head whose end is not there: Incomplete as long as it can still become one."""
    size = len(data)
    first = data.find(b"\n", 2)
    if size > LARGEST_HEAD or (size > LONGEST_TARGET + 32 and first < 0):
        return Refusal(TARGET_TOO_LONG if first < 0 or first > LONGEST_TARGET + 32 else HEAD_TOO_LARGE)
    line = data[2:] if data.startswith(b"\r\n") else data
    line, newline, _ = line.partition(b"\n")
    if not newline:
        return Incomplete() if _BEGINS_A_LINE(line) else Refusal(MALFORMED_REQUEST)
    if not line.endswith(b"\r") or b"\n\n" in data or b"\n\r\n" in data:
        return Refusal(BAD_HEADER, detail="A line does not end in CR LF.")
    _unusual(line[:-1])
    return Incomplete()


class ResponseHead(NamedTuple):
    """What an upstream's head says. fields: those that go on to the client, as written, each with its CR LF; length: -1 = not given; raw:
    the head as sent, with its empty line."""

    status: int
    reason: bytes
    fields: bytes
    consumed: int
    length: int
    chunked: bool
    close: bool
    upgrade: bytes
    via: bytes
    raw: bytes

    @property
    def lines(self) -> list[bytes]:
        """`fields`, without line ends."""
        return self.fields.split(b"\r\n")[:-1]


_tuple = tuple.__new__  # half the price of ResponseHead(...), which is a Python function

_PLAIN, _LENGTH, _CONNECTION, _ENCODING, _UPGRADE, _VIA, _DROPPED = range(7)
_MEANINGS: Final = {
    b"content-length": _LENGTH,
    b"connection": _CONNECTION,
    b"transfer-encoding": _ENCODING,
    b"upgrade": _UPGRADE,
    b"via": _VIA,
    b"keep-alive": _DROPPED,
    b"proxy-connection": _DROPPED,
    b"proxy-authenticate": _DROPPED,
    b"proxy-authorization": _DROPPED,
    b"te": _DROPPED,
    b"x-request-id": _DROPPED,
}
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: (" + _VALUE + rb"))?").fullmatch
# Possessive throughout: a head is read once from left to right, whatever it holds.
_ANSWER_FIELDS: Final = re.compile(rb"\r\n(?:" + _NAME + rb":" + _VALUE + rb"\r\n)*+").fullmatch
_NAMES: Final = re.compile(rb"\n([^:]++)").findall  # of fields that are known to be well formed
_NEVER_NAMED: Final = frozenset({b"close", b"keep-alive", b"upgrade", b"content-length", b"transfer-encoding", b"host", b"trailer", b""})


class _Layout(NamedTuple):
    """What a sequence of field names means. length, connection: the line of the only field of that name, 0 = none; gone: the lines that
    stay behind; kept: takes the others, and the empty one at the end; special: other lines whose values must be looked at, with their
    meanings."""

    length: int
    connection: int
    gone: frozenset[int]
    kept: Callable[[list[bytes]], Sequence[bytes]]
    special: tuple[tuple[int, int], ...]


class _Layouts(dict[tuple[bytes, ...], _Layout]):
    """Layouts by the names as they were written: an upstream answers with few different ones."""

    def __missing__(self, names: tuple[bytes, ...]) -> _Layout:
        meanings = [_MEANINGS.get(name.lower(), _PLAIN) for name in names]
        length, connection = (meanings.index(one) + 1 if meanings.count(one) == 1 else 0 for one in (_LENGTH, _CONNECTION))
        places = list(enumerate(meanings, 1))
        gone = frozenset({0, *(place for place, meaning in places if meaning not in (_PLAIN, _LENGTH))})
        looked_at = ((place, meaning) for place, meaning in places if meaning not in (_PLAIN, _DROPPED))
        found = _Layout(
            length, connection, gone, _picker(gone, len(names)), tuple(one for one in looked_at if one[0] not in (length, connection))
        )
        if len(self) >= _REMEMBERED:
            self.clear()
        self[names] = found
        return found


def _picker(gone: Set[int], last: int) -> Callable[[list[bytes]], Sequence[bytes]]:
    """Takes lines 0 to `last` but those that are gone, and the empty one behind them."""
    kept = [place for place in range(last + 1) if place not in gone]
    return itemgetter(*kept, last + 1) if kept else lambda lines: (b"",)


class _Lengths(dict[bytes, int]):
    """Content-Length lines taken apart."""

    def __missing__(self, line: bytes) -> int:
        value = line[15:].strip(b" \t")
        if not value.isdigit() or len(value) > 18:
            raise BadAnswer("its Content-Length is malformed")
        if len(self) >= _REMEMBERED:
            self.clear()
        found = self[line] = int(value)
        return found


class _StatusLines(dict[bytes, tuple[int, bytes, bool]]):
    """Status lines taken apart: (status, reason, whether HTTP/1.0)."""

    def __missing__(self, line: bytes) -> tuple[int, bytes, bool]:
        found = _STATUS_LINE(line)
        if found is None:
            raise BadAnswer("its status line is malformed")
        parts = (int(found[2]), found[3] or b"", found[1] == b"0")
        if len(self) < _REMEMBERED:
            self[line] = parts
        return parts


class _Connections(dict[bytes, tuple[bool | None, frozenset[bytes]]]):
    """`Connection` lines taken apart: (True = close, False = keep-alive, None = neither; the fields that it names as its own)."""

    def __missing__(self, line: bytes) -> tuple[bool | None, frozenset[bytes]]:
        tokens = line[11:].strip(b" \t").lower()
        found = (False, _NOTHING) if tokens == b"keep-alive" else (b"close" in tokens or None, named_fields(tokens))
        if len(self) >= _REMEMBERED:
            self.clear()
        self[line] = found
        return found


_NOTHING: Final[frozenset[bytes]] = frozenset()
_layouts: Final = _Layouts()
_connections: Final = _Connections()
_lengths: Final = _Lengths()
_status_lines: Final = _StatusLines()


def parse_response(data: bytes, last: ResponseHead | None = None) -> ResponseHead:
    """An upstream's head. last: the one before on the same connection, taken again when it is the same. Raises Incomplete, BadAnswer.

    Written for speed: lines go on as they are, and only the few that frame the message are taken apart.
    """
    if last is not None and data.startswith(last.raw):
        return last
    end = data.find(b"\r\n\r\n", 0, LARGEST_HEAD)
    if end < 0:
        if len(data) > LARGEST_HEAD:
            raise BadAnswer("the head is longer than 64 KB")
        if b"\n\n" in data or not (data.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(data)):
            raise BadAnswer("it does not begin with an HTTP/1.x head")
        raise Incomplete
    end += 2
    if _ANSWER_FIELDS(data, data.find(b"\r"), end) is None:
        raise BadAnswer("its head holds control bytes, or lines that are no headers, are folded or do not end in CR LF")
    raw = data[: end + 2]
    lines = raw[:-2].split(b"\r\n")  # with an empty one at the end, so that joining them ends the last field
    status, reason, close = _status_lines[lines[0]]
    names = tuple(_NAMES(data, 0, end))
    length_at, connection_at, gone, kept, special = _layouts[names]
    length = _lengths[lines[length_at]] if length_at else -1
    named = _NOTHING
    if connection_at:
        says, named = _connections[lines[connection_at]]
        if says is not None:
            close = says
    if not special and not named:
        return _tuple(ResponseHead, (status, reason, b"\r\n".join(kept(lines)), end + 2, length, False, close, b"", b"", raw))
    chunked, upgrade, via = False, b"", b""
    for place, meaning in special:
        line = lines[place]
        value = line[len(names[place - 1]) + 1 :].strip(b" \t")
        if meaning == _LENGTH:  # one of several; the first stays
            if length not in (-1, _lengths[line]):
                raise BadAnswer("its Content-Length is ambiguous")
            if length >= 0:
                gone |= {place}
            length = _lengths[line]
        elif meaning == _CONNECTION:  # one of several
            says, more = _connections[line]
            close = close or says is True
            named |= more
        elif meaning == _ENCODING:
            if chunked or value.lower() != b"chunked":
                raise BadAnswer("its Transfer-Encoding is not chunked")
            chunked = True
        elif meaning == _UPGRADE:
            upgrade = value
        else:
            via += value + b", "
    if chunked and length >= 0:
        raise BadAnswer("it has both a Content-Length and a Transfer-Encoding")
    gone |= {place for place, name in enumerate(names, 1) if name.lower() in named}
    kept = _picker(gone, len(names))
    return ResponseHead(status, reason, b"\r\n".join(kept(lines)), end + 2, length, chunked, close, upgrade, via, raw)


def named_fields(connection: bytes) -> frozenset[bytes]:
    """The fields that a `Connection` field names as its own, but for those that frame the message: they stay, whatever it says."""
    return frozenset(token.strip() for token in connection.lower().split(b",")) - _NEVER_NAMED
