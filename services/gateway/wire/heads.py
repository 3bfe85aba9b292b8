"""Message heads: parsed strictly, written anew (RFC 9112).

The parser is picohttpparser (gunicorn_h1c), which is fast and lets some things through that another parser may read differently; what it
lets through is refused here: bare LF and CR, folded lines, control bytes, lengths that overflow, a doubled space, a missing Host.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import gunicorn_h1c as h1c
from gunicorn_h1c import _parser_fast as fast

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
_NOT_SERVED: Final = frozenset({b"CONNECT", b"TRACE"})
_LARGEST_LENGTH: Final = 2**60

# The two parsers of the package raise classes of their own with the same names.
Incomplete = (h1c.IncompleteError, fast.IncompleteError)
_Malformed = (h1c.ParseError, fast.ParseError)
_parse_request = h1c.parse_request_fast


class BadAnswer(Exception):
    """An upstream's answer is not valid HTTP. The text says why."""


class ResponseHead(NamedTuple):
    """What an upstream's head says. lines: the fields that go on to the client, as written, without line ends; length: -1 = not given."""

    status: int
    reason: bytes
    lines: list[bytes]
    consumed: int
    length: int
    chunked: bool
    close: bool
    upgrade: bytes
    via: bytes


def parse_request(data: bytes) -> tuple[Any, list[Header], dict[bytes, bytes]]:
    """The parser's object, the header lines, and the last value of each field by its lower-case name.

    The object has method, path, content_length (-1 = none), has_chunked, connection_close, minor_version, consumed. `data` begins with the
    head. Raises Incomplete, or Refusal with what is wrong.
    """
    try:
        head = _parse_request(data, 0, LARGEST_HEAD, MOST_FIELDS, LARGEST_HEAD)
    except Incomplete:
        if len(data) > LARGEST_HEAD or (len(data) > LONGEST_TARGET + 32 and b"\n" not in data):
            raise _too_large(data) from None
        raise
    except _Malformed as error:
        raise _explained(data, error) from None
    size = head.consumed
    if size > LARGEST_HEAD:
        raise _too_large(data)
    start = 0
    # The parser refuses control bytes. A line that ends in a bare LF is a header without a CR LF of its own.
    if data.count(b"\r\n", 0, size) != head.header_count + 2:
        if not data.startswith(b"\r\n") or data.count(b"\r\n", 2, size) != head.header_count + 2:
            raise Refusal(BAD_HEADER)
        start = 2  # an empty line before a request line is let pass (RFC 9112, 2.2)
    method, target = head.method, head.path
    if len(target) > LONGEST_TARGET:
        raise Refusal(TARGET_TOO_LONG)
    if data.find(b"\r\n", start) != start + len(method) + len(target) + 10:  # more than one space somewhere
        raise Refusal(MALFORMED_REQUEST)
    headers = head.headers
    fields = {name.lower(): value for name, value in headers}
    if b"" in fields:
        raise Refusal(BAD_HEADER, detail="A header is folded over two lines.")
    length = head.content_length
    if length > 0 and (length > _LARGEST_LENGTH or len(fields[b"content-length"]) > 18):
        raise Refusal(AMBIGUOUS_LENGTH)
    if b"transfer-encoding" in fields and (
        fields[b"transfer-encoding"].lower() != b"chunked" or sum(name.lower() == b"transfer-encoding" for name, _ in headers) > 1
    ):
        raise Refusal(AMBIGUOUS_LENGTH)
    if method in _NOT_SERVED:
        raise Refusal(METHOD_NOT_SUPPORTED)
    return head, headers, fields


def _too_large(data: bytes) -> Refusal:
    first_line = data.find(b"\n")
    return Refusal(TARGET_TOO_LONG if first_line < 0 or first_line > LONGEST_TARGET + 32 else HEAD_TOO_LARGE)


def _explained(data: bytes, error: Exception) -> Refusal:
    """The refusal for what the parser did not take."""
    text, kind = str(error), type(error).__name__
    if kind == "LimitRequestHeaders":
        return Refusal(HEAD_TOO_LARGE)
    if kind == "LimitRequestLine":
        return Refusal(TARGET_TOO_LONG)
    if kind == "InvalidHTTPVersion":
        return Refusal(UNSUPPORTED_VERSION)
    if "Content-Length" in text or "Transfer-Encoding" in text or "hunked" in text:
        return Refusal(AMBIGUOUS_LENGTH)
    if "Host" in text:
        return Refusal(BAD_HOST)
    if kind in ("InvalidHeader", "InvalidHeaderName"):
        return Refusal(BAD_HEADER)
    # The parser does not say which line it stumbled over.
    request_line, _, rest = data.partition(b"\r\n")
    sound = request_line.count(b" ") == 2 and request_line[-9:-1] == b" HTTP/1."
    return Refusal(BAD_HEADER if sound and rest else MALFORMED_REQUEST)


# What a field of an answer is, by its name as it was written: nearly every name comes again and again.
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
_REMEMBERED: Final = 2048
_TOKEN: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch
_NAMES: Final = re.compile(rb"\r\n([^:\r\n]+):").findall
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: (.*))?", re.DOTALL).fullmatch
_CONTROL: Final = bytes(range(9)) + b"\x0b\x0c" + bytes(range(14, 32)) + b"\x7f"


_NEVER_NAMED: Final = frozenset({b"close", b"keep-alive", b"upgrade", b"content-length", b"transfer-encoding", b"host", b"trailer", b""})


class _Meanings(dict[bytes, int]):
    """What a field is, by its name as it was written. New names are looked at once; names that are none are a BadAnswer."""

    def __missing__(self, name: bytes) -> int:
        if not _TOKEN(name):
            raise BadAnswer("a header name is malformed, or a header is folded over two lines")
        found = _MEANINGS.get(name.lower(), _PLAIN)
        if len(self) < _REMEMBERED:
            self[name] = found
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


_meaning = _Meanings().__getitem__
_status_line = _StatusLines().__getitem__


def parse_response(data: bytes) -> ResponseHead:
    """An upstream's head. Raises Incomplete, BadAnswer.

    Written for speed: lines go on as they are, and only the few that frame the message are taken apart.
    """
    end = data.find(b"\r\n\r\n", 0, LARGEST_HEAD)
    if end < 0:
        if len(data) > LARGEST_HEAD:
            raise BadAnswer("the head is longer than 64 KB")
        if b"\n\n" in data or not (data.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(data)):
            raise BadAnswer("it does not begin with an HTTP/1.x head")
        raise h1c.IncompleteError
    raw = data[:end]
    lines = raw.split(b"\r\n")
    names = _NAMES(raw)
    breaks = len(lines) - 1
    if len(names) != breaks or raw.count(b"\n") != breaks or raw.count(b"\r") != breaks or len(raw.translate(None, _CONTROL)) != end:
        raise BadAnswer("its head holds control bytes, or lines that are no headers or do not end in CR LF")
    status, reason, close = _status_line(lines[0])
    length, chunked, upgrade, via = -1, False, b"", b""
    named: frozenset[bytes] = frozenset()
    gone = [0]
    for place, meaning in enumerate(map(_meaning, names), 1):
        if meaning == _PLAIN:
            continue
        value = lines[place][len(names[place - 1]) + 1 :].strip(b" \t")
        if meaning == _LENGTH:
            if not value.isdigit() or len(value) > 18 or length not in (-1, int(value)):
                raise BadAnswer("its Content-Length is malformed or ambiguous")
            if length < 0:
                length = int(value)
                continue
        elif meaning == _CONNECTION:
            tokens = value.lower()
            if tokens == b"keep-alive":
                close = False
            else:
                close = close or b"close" in tokens
                named |= named_fields(tokens)
        elif meaning == _ENCODING:
            if chunked or value.lower() != b"chunked":
                raise BadAnswer("its Transfer-Encoding is not chunked")
            chunked = True
        elif meaning == _UPGRADE:
            upgrade = value
        elif meaning == _VIA:
            via += value + b", "
        gone.append(place)
    if chunked and length >= 0:
        raise BadAnswer("it has both a Content-Length and a Transfer-Encoding")
    if named:
        gone = sorted({*gone, *(place for place, name in enumerate(names, 1) if name.lower() in named)})
    for place in reversed(gone):
        del lines[place]
    return ResponseHead(status, reason, lines, end + 4, length, chunked, close, upgrade, via)


def named_fields(connection: bytes) -> frozenset[bytes]:
    """The fields that a `Connection` field names as its own, but for those that frame the message: they stay, whatever it says."""
    return frozenset(token.strip() for token in connection.lower().split(b",")) - _NEVER_NAMED
