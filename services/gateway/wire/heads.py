"""Message heads: parsed strictly, written anew (RFC 9112).

The parser is picohttpparser (gunicorn_h1c), which is fast and lets some things through that another parser may read differently; what it
lets through is refused here: bare LF and CR, folded lines, control bytes, lengths that overflow, a doubled space, a missing Host.
"""

from __future__ import annotations

from collections.abc import Sequence
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
_CONTROL: Final = bytes(range(9)) + b"\x0b\x0c" + bytes(range(14, 32)) + b"\x7f"
_LIMITS: Final = {"limit_request_line": LARGEST_HEAD, "limit_request_field_size": LARGEST_HEAD, "limit_request_fields": MOST_FIELDS}
_LARGEST_LENGTH: Final = 2**60

# The two parsers of the package raise classes of their own with the same names.
Incomplete = (h1c.IncompleteError, fast.IncompleteError)
_Malformed = (h1c.ParseError, fast.ParseError)
_parse_request = h1c.parse_request_fast
_parse_response = h1c.parse_response


class BadAnswer(Exception):
    """An upstream's answer is not valid HTTP. The text says why."""


class ResponseLine(NamedTuple):
    """What an upstream's head says. length: -1 = not given. named: fields that its `Connection` names."""

    status: int
    reason: bytes
    minor_version: int
    headers: list[Header]
    consumed: int
    length: int
    chunked: bool
    close: bool
    upgrade: bytes
    named: frozenset[bytes] = frozenset()


def parse_request(data: bytes) -> Any:
    """The parser's object (method, path, headers, content_length, has_chunked, connection_close, minor_version, consumed).

    content_length: -1 = none. Raises Incomplete, or Refusal with what is wrong. `data` begins with the head.
    """
    try:
        head = _parse_request(data, **_LIMITS)
    except Incomplete:
        if len(data) > LARGEST_HEAD or (len(data) > LONGEST_TARGET + 32 and b"\n" not in data):
            raise _too_large(data) from None
        raise
    except _Malformed as error:
        raise _explained(data, error) from None
    size = head.consumed
    raw = data if len(data) == size else data[:size]
    if size > LARGEST_HEAD:
        raise _too_large(data)
    lines = raw.count(b"\r\n")
    if raw.count(b"\n") != lines or raw.count(b"\r") != lines or len(raw.translate(None, _CONTROL)) != size:
        raise Refusal(BAD_HEADER)
    method, target = head.method, head.path
    if len(target) > LONGEST_TARGET:
        raise Refusal(TARGET_TOO_LONG)
    if not raw.startswith(b"%b %b HTTP/1.%d\r\n" % (method, target, head.minor_version)):
        raise Refusal(MALFORMED_REQUEST)
    if head.content_length > 0 and (head.content_length > _LARGEST_LENGTH or len(field(head.headers, b"content-length")) > 18):
        raise Refusal(AMBIGUOUS_LENGTH)
    if method in (b"CONNECT", b"TRACE"):
        raise Refusal(METHOD_NOT_SUPPORTED)
    return head


def field(headers: Sequence[Header], name: bytes) -> bytes:
    """The first value of a field by its lower-case name, or nothing."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return b""


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


def parse_response(data: bytes) -> ResponseLine:
    """An upstream's head, or raises Incomplete, BadAnswer."""
    try:
        found = _parse_response(data)
    except Incomplete:
        if len(data) > LARGEST_HEAD:
            raise BadAnswer("the head is longer than 64 KB") from None
        raise
    except _Malformed as error:
        raise BadAnswer(str(error)) from None
    headers = found["headers"]
    length, chunked, close, upgrade = -1, False, found["minor_version"] == 0, b""
    named: frozenset[bytes] = frozenset()
    for name, value in headers:
        size = len(name)
        if size == 14:
            if name.lower() == b"content-length":
                if not value.isdigit() or len(value) > 18 or length not in (-1, int(value)):
                    raise BadAnswer("its Content-Length is malformed or ambiguous")
                length = int(value)
        elif size == 10:
            if name.lower() == b"connection":
                tokens = value.lower()
                if b"close" in tokens:
                    close = True
                elif b"keep-alive" in tokens:
                    close = False
                if tokens not in (b"close", b"keep-alive", b"upgrade"):
                    named |= named_fields(tokens)
        elif size == 17:
            if name.lower() == b"transfer-encoding":
                if chunked or value.lower() != b"chunked":
                    raise BadAnswer("its Transfer-Encoding is not chunked")
                chunked = True
        elif size == 7:
            if name.lower() == b"upgrade":
                upgrade = value
        elif size == 0:
            raise BadAnswer("it folds a header over two lines")
    if chunked and length >= 0:
        raise BadAnswer("it has both a Content-Length and a Transfer-Encoding")
    status, reason, minor = found["status"], found["message"], found["minor_version"]
    return ResponseLine(status, reason, minor, headers, found["consumed"], length, chunked, close, upgrade, named)


def named_fields(connection: bytes) -> frozenset[bytes]:
    """The fields that a `Connection` field names as its own."""
    return frozenset(token.strip() for token in connection.lower().split(b",")) - {b"close", b"keep-alive", b"upgrade", b""}
