"""The canonical form of a request path: one spelling for one place, so that no list can be bypassed by spelling it otherwise.

`canonical` is applied once, to the raw request target, before anything looks at the path:

* `//` and dot segments are resolved, also when the dots are percent-encoded; a path that climbs above the root is refused.
* Escapes of unreserved characters are decoded (`%41` is `A`, RFC 3986, 6.2.2.2); all others stay escaped, with upper-case hex
  digits: `%2F` never becomes a slash, `%3B` never a semicolon.
* What may not stand in a path unescaped (non-ASCII bytes, `"<>[\\]^`{|}`) is escaped, so that both spellings are one.
* Refused: NUL, control characters, a `%` without two hex digits, `#`, and the overlong forms of UTF-8 with which `/` and `.` were
  smuggled past filters. Other byte sequences that are not UTF-8 are somebody's older encoding and stay as they are.

`matching_form` and `slash_form` are what path patterns are compared with.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from services.gateway.refusals import BAD_PATH, Refusal

_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_CLEAN: Final = bytes(sorted(_UNRESERVED)) + b"/!$&'()*+,;=:@"
# Settles nearly every request in one scan: nothing to decode, no empty segment, none that begins with a dot.
_NOTHING_TO_DO: Final = re.compile(rb"(?=/)((?:/[\w~!$&'()*+,;=:@\-][\w~!$&'()*+,;=:@\-.]*)*/?)(?:\?([^\x00-\x20#\x7f]*))?").fullmatch
_CONTROL: Final = bytes(range(0x20)) + b"\x7f"
_CONTROL_OR_HASH: Final = _CONTROL + b" #"
_HEX: Final = frozenset(b"0123456789ABCDEFabcdef")
_SPECIAL: Final = re.compile(rb"%(..)?|[^" + re.escape(_CLEAN) + rb"]", re.DOTALL)
_OVERLONG: Final = re.compile(rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}")
_KEPT_ESCAPES: Final = re.compile(r"%(2F|25)")


def canonical(target: bytes) -> tuple[str, str]:
    """Splits a request target in origin form into the canonical path and the query as sent (without `?`).

    The path is ASCII; the query holds the bytes as Latin-1 characters, so that encoding it gives them back.
    Raises Refusal(bad-path). Source: RFC 3986, 6.2.2; RFC 9112, 3.2.1.
    """
    clean = _NOTHING_TO_DO(target)
    if clean is not None:
        path, query = clean.groups(b"")
        return path.decode("ascii"), query.decode("latin-1")
    path, _, query = target.partition(b"?")
    if query.translate(None, _CONTROL_OR_HASH) != query:
        raise Refusal(BAD_PATH, detail="The query holds a space, a control character or a `#`.")
    return canonical_path(path), query.decode("latin-1")


def canonical_path(path: bytes) -> str:
    """The canonical form of a path; raises Refusal(bad-path)."""
    if path[:1] != b"/":
        raise Refusal(BAD_PATH, detail="The request target must begin with a slash.")
    escaped = _SPECIAL.sub(_normalise, path)
    if b"%" in escaped and _OVERLONG.search(_decode(escaped)):
        raise Refusal(BAD_PATH, detail="The path holds an overlong UTF-8 sequence.")
    return _resolve(escaped.decode("ascii"))


def _normalise(found: re.Match[bytes]) -> bytes:
    text = found.group()
    if text[0] == 0x25:
        digits = found.group(1)
        if digits is None or digits[0] not in _HEX or digits[1] not in _HEX:
            raise Refusal(BAD_PATH, detail="A `%` in the path is not followed by two hexadecimal digits.")
        byte = int(digits, 16)
        if byte == 0:
            raise Refusal(BAD_PATH, detail="The path holds a NUL.")
        return bytes((byte,)) if byte in _UNRESERVED else b"%" + digits.upper()
    if text[0] in _CONTROL_OR_HASH:
        raise Refusal(BAD_PATH, detail="The path holds a space, a control character or a `#`.")
    return b"%%%02X" % text[0]


def _resolve(path: str) -> str:
    """Removes empty segments first, dot segments then (RFC 3986, 5.2.4)."""
    parts = path.split("/")
    kept: list[str] = []
    for part in parts:
        if part == "..":
            if not kept:
                raise Refusal(BAD_PATH, detail="The path climbs above the root.")
            kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    if not kept:
        return "/"
    end = "/" if parts[-1] in ("", ".", "..") else ""
    return "/" + "/".join(kept) + end


def _decode(path: bytes) -> bytes:
    return re.sub(rb"%(..)", lambda found: bytes((int(found.group(1), 16),)), path)


def matching_form(path: str) -> str:
    """A canonical path as an operator writes it in a pattern: escapes decoded as UTF-8.

    `%2F` and `%25` stay, so that different paths stay different; bytes that are not UTF-8 stay escaped.
    """
    if "%" not in path:
        return path
    pieces = _KEPT_ESCAPES.split(path)
    for place in range(0, len(pieces), 2):
        pieces[place] = _decode(pieces[place].encode("ascii")).decode("utf-8", "percent-escape")
    for place in range(1, len(pieces), 2):
        pieces[place] = "%" + pieces[place]
    return "".join(pieces)


def slash_form(path: str) -> str | None:
    """How a server that takes `%2F` for a slash reads a canonical path, in its matching form; None when it climbs above the root.

    Path lists are asked for this reading too, so that `/secret%2Ffile` does not pass a black list that names `/secret/file`.
    """
    try:
        return matching_form(_resolve(path.replace("%2F", "/")))
    except Refusal:
        return None


def _escape_invalid(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("percent-escape", _escape_invalid)
