"""Heads of the answers of upstreams."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from services.common.remembered import Remembered
from services.gateway.wire.heads.grammar import (
    LARGEST_HEAD,
    LAYOUTS_REMEMBERED,
    LINES_REMEMBERED,
    VALUE,
    Expression,
    Expressions,
    Incomplete,
    are_fields,
    named_fields,
    names_of,
    picker,
)
from services.gateway.wire.heads.names import HOP_BY_HOP


class BadAnswer(Exception):
    """An upstream's answer is not valid HTTP. The text says why."""


_PLAIN, _LENGTH, _CONNECTION, _ENCODING, _UPGRADE, _VIA, _DROPPED = range(7)
_MEANINGS: Final = {
    **dict.fromkeys(HOP_BY_HOP | {b"x-request-id"}, _DROPPED),
    b"content-length": _LENGTH,
    b"connection": _CONNECTION,
    b"transfer-encoding": _ENCODING,
    b"upgrade": _UPGRADE,
    b"via": _VIA,
}
_FIRST_LINE: Final = rb"(HTTP/1\.[^\r\n]*+)"
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: (" + VALUE + rb"))?").fullmatch


class _Layout:
    """What a sequence of field names means. length, connection: the line of the only field of that name, 0 = none; gone: the lines that
    stay behind; kept: takes the others, and the empty one at the end; special: other lines whose values must be looked at, with their
    meanings. whole: of a head with these fields, None = they have not come often, or some of them are special.
    """

    __slots__ = ("_came", "_names", "connection", "gone", "kept", "length", "special", "whole")

    def __init__(self, names: tuple[bytes, ...]) -> None:
        meanings = [_MEANINGS.get(name.lower(), _PLAIN) for name in names]
        self.length, self.connection = (meanings.index(one) + 1 if meanings.count(one) == 1 else 0 for one in (_LENGTH, _CONNECTION))
        places = list(enumerate(meanings, 1))
        self.gone = frozenset({0, *(place for place, meaning in places if meaning not in (_PLAIN, _LENGTH))})
        self.kept: Callable[[list[bytes]], Sequence[bytes]] = picker(self.gone, len(names))
        looked_at = ((place, meaning) for place, meaning in places if meaning not in (_PLAIN, _DROPPED))
        self.special = tuple(one for one in looked_at if one[0] not in (self.length, self.connection))
        self.whole: Expression | None = None
        self._names = names
        self._came = 0

    def come(self) -> None:
        """Count that it has come, and give it its expression when that was often."""
        self._came += 1
        if not self.special and _expressions.due(self._came, len(self._names)):
            self.whole = _expressions.make(_FIRST_LINE, self._names, lambda place: place not in self.gone)


class ResponseHead(NamedTuple):
    """What an upstream's head says. fields: those that go on to the client, as written, each with its CR LF; length: -1 = not given; raw:
    the head as sent, with its empty line; line: the status line as it goes on, with its CR LF; layout: of its fields."""

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
    line: bytes
    layout: _Layout

    @property
    def lines(self) -> list[bytes]:
        """Return the lines of `fields`, without line ends."""
        return self.fields.split(b"\r\n")[:-1]


_tuple = tuple.__new__  # ResponseHead(...) is a Python function: 0.13 µs more for each head that differs from the last one


class _Layouts(Remembered[tuple[bytes, ...], _Layout]):
    """Layouts by the names as they were written: an upstream answers with few different ones."""

    def __missing__(self, names: tuple[bytes, ...]) -> _Layout:
        return self.keep(names, _Layout(names), sum(map(len, names)))


class _Lengths(Remembered[bytes, int]):
    """Content-Length lines taken apart."""

    def __missing__(self, line: bytes) -> int:
        value = line[15:].strip(b" \t")
        if not value.isdigit() or len(value) > 18:
            raise BadAnswer("its Content-Length is malformed")
        return self.keep(line, int(value), len(line))


class _StatusLines(Remembered[bytes, tuple[int, bytes, bool, bool, bytes]]):
    """Status lines taken apart: (status, reason, whether HTTP/1.0, whether no length may stand beside it: RFC 9110, 8.6; the line
    as it goes on)."""

    def __missing__(self, line: bytes) -> tuple[int, bytes, bool, bool, bytes]:
        found = _STATUS_LINE(line)
        if found is None:
            raise BadAnswer("its status line is malformed")
        status = int(found[2])
        reason = found[3] or b""
        parts = (status, reason, found[1] == b"0", status < 200 or status == 204, b"HTTP/1.1 %d %b\r\n" % (status, reason))
        return self.keep(line, parts, len(line))


class _Connections(Remembered[bytes, tuple[bool | None, frozenset[bytes]]]):
    """`Connection` lines taken apart: (True = close, False = keep-alive, None = neither; the fields that it names as its own)."""

    def __missing__(self, line: bytes) -> tuple[bool | None, frozenset[bytes]]:
        tokens = line[11:].strip(b" \t").lower()
        found = (False, _NOTHING) if tokens == b"keep-alive" else (b"close" in tokens or None, named_fields(tokens))
        return self.keep(line, found, len(line))


_NOTHING: Final[frozenset[bytes]] = frozenset()
_expressions: Final = Expressions()
_LENGTH_FIELD: Final = frozenset({b"content-length"})
_layouts: Final = _Layouts(*LAYOUTS_REMEMBERED)
_connections: Final = _Connections(*LINES_REMEMBERED)
_lengths: Final = _Lengths(*LINES_REMEMBERED)
_status_lines: Final = _StatusLines(*LINES_REMEMBERED)


def parse_response(data: bytes, last: ResponseHead | None = None) -> ResponseHead:
    """Parse the head of an upstream's answer. Raises Incomplete, BadAnswer.

    last: the one before on the same connection, taken again when it is the same. Lines go on as they are; only the few that frame the
    message are taken apart.
    """
    if last is not None:
        if data.startswith(last.raw):
            return last
        whole = last.layout.whole
        if whole is not None:
            found = whole.match(data)
            if found is not None:
                usual = _usual(found, last.layout, whole)
                if usual is not None:
                    return usual
    end = data.find(b"\r\n\r\n", 0, LARGEST_HEAD)
    if end < 0:
        if len(data) > LARGEST_HEAD:
            raise BadAnswer("the head is longer than 64 KB")
        if b"\n\n" in data or not (data.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(data)):
            raise BadAnswer("it does not begin with an HTTP/1.x head")
        raise Incomplete
    end += 2
    if are_fields(data, data.find(b"\r"), end) is None:
        raise BadAnswer("its head holds control bytes, or lines that are not headers, are folded or do not end in CR LF")
    raw = data[: end + 2]
    lines = raw[:-2].split(b"\r\n")  # with an empty one at the end, so that joining them ends the last field
    status, reason, close, lengthless, line = _status_lines[lines[0]]
    names = tuple(names_of(data, 0, end))
    layout = _layouts[names]
    if layout.whole is None:
        layout.come()
    gone, kept, special = layout.gone, layout.kept, layout.special
    length = _lengths[lines[layout.length]] if layout.length else -1
    named = _NOTHING
    if layout.connection:
        says, named = _connections[lines[layout.connection]]
        if says is not None:
            close = says
    if not special and not named and not lengthless:
        return _tuple(ResponseHead, (status, reason, b"\r\n".join(kept(lines)), end + 2, length, False, close, b"", b"", raw, line, layout))
    chunked, upgrade, via = False, b"", b""
    for place, meaning in special:
        field = lines[place]
        value = field[len(names[place - 1]) + 1 :].strip(b" \t")
        if meaning == _LENGTH:  # one of several; the first stays
            if length not in (-1, _lengths[field]):
                raise BadAnswer("its Content-Length is ambiguous")
            if length >= 0:
                gone |= {place}
            length = _lengths[field]
        elif meaning == _CONNECTION:  # one of several
            says, more = _connections[field]
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
    if lengthless:
        named |= _LENGTH_FIELD
    gone |= {place for place, name in enumerate(names, 1) if name.lower() in named}
    kept = picker(gone, len(names))
    return ResponseHead(status, reason, b"\r\n".join(kept(lines)), end + 2, length, chunked, close, upgrade, via, raw, line, layout)


def _usual(found: re.Match[bytes], layout: _Layout, whole: Expression) -> ResponseHead | None:
    """As `parse_response`, for a head that the expression of its layout has found; None when there is more to look at. Raises BadAnswer."""
    status, reason, close, lengthless, line = _status_lines[found[1]]
    if lengthless or found.end() > LARGEST_HEAD:
        return None
    length = _lengths[found[whole.lines[layout.length]]] if layout.length else -1
    if layout.connection:
        says, named = _connections[found[whole.lines[layout.connection]]]
        if named:
            return None
        if says is not None:
            close = says
    raw = found[0]
    fields = whole.passed_on(found)
    return _tuple(ResponseHead, (status, reason, fields, len(raw), length, False, close, b"", b"", raw, line, layout))
