"""The canonical form of a request path: one spelling for one place, so that another spelling cannot bypass a list.

`canonical` is applied once, to the raw request target, before anything looks at the path:

* `//` and dot segments are resolved, also with percent-encoded dots; a path that climbs above the root is refused.
* Escapes of unreserved characters are decoded (`%41` is `A`, RFC 3986, 6.2.2.2); all others stay escaped, with upper-case hex
  digits: `%2F` never becomes a slash, `%3B` never a semicolon.
* Characters that a path must not contain unescaped (non-ASCII bytes, `"<>[\\]^`{|}`) are escaped, so that both spellings are one.
* Refused: NUL, control characters, a `%` without two hex digits, `#`, and the overlong forms of UTF-8 with which `/` and `.` were
  smuggled past filters. Other byte sequences that are not UTF-8 may be an older encoding and stay as they are.
* Also refused: a path that climbs above the root for a server that takes `%2F` or `%5C` for a slash.
* Bytes beyond ASCII in a query are escaped, too. Everything else in it stays as it was sent: signatures are made over it.

`slash_readings` are the other paths that such a server sees. Whatever decides by the path must give the same answer for all of them. Path
patterns are compared with `matching_forms`.
"""

from __future__ import annotations

import codecs
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from services.gateway.refusals import BAD_PATH, Refusal
from services.gateway.wire.heads.grammar import CLEAN_PATH

_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_CLEAN: Final = bytes(sorted(_UNRESERVED)) + b"/!$&'()*+,;=:@"
# Nearly every request needs no more than this one scan: nothing to decode, no empty segment, none that begins with a dot.
_NOTHING_TO_DO: Final = re.compile(rb"(?=/)(" + CLEAN_PATH + rb")(?:\?([^\x00-\x20#\x7f-\xff]*))?").fullmatch
_CONTROL: Final = bytes(range(0x20)) + b"\x7f"
_CONTROL_OR_HASH: Final = _CONTROL + b" #"
# Runs rather than single characters: a target made of escapes must not cost much more than another.
_SPECIAL: Final = re.compile(rb"(?P<escapes>(?:%[0-9A-Fa-f]{2})++)|(?P<broken>%)|[^%" + re.escape(_CLEAN) + rb"]++")
_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff]++")
_ESCAPED: Final = [b"%%%02X" % byte for byte in range(256)]
_UNESCAPED: Final = {
    digits: bytes((int(digits, 16),)) if int(digits, 16) in _UNRESERVED else b"%" + digits.upper()
    for digits in (bytes((first, second)) for first in b"0123456789ABCDEFabcdef" for second in b"0123456789ABCDEFabcdef")
}
_OVERLONG: Final = re.compile(rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}")
_KEPT_ESCAPES: Final = re.compile(r"%(2F|25)")


def canonical(target: bytes) -> tuple[str, str]:
    """Split a request target in origin form into the canonical path and the query (without `?`), both ASCII.

    Raises Refusal(bad-path). Source: RFC 3986, 6.2.2; RFC 9112, 3.2.1.
    """
    clean = _NOTHING_TO_DO(target)
    if clean is not None:
        path, query = clean.groups(b"")
        return path.decode("ascii"), query.decode("ascii")
    path, _, query = target.partition(b"?")
    if query.translate(None, _CONTROL_OR_HASH) != query:
        raise Refusal(BAD_PATH, detail="The query holds a space, a control character or a `#`.")
    return canonical_path(path), escaped_query(query)


def escaped_query(query: bytes) -> str:
    """Return the query with its bytes beyond ASCII escaped, and nothing else (RFC 3986, 2.5)."""
    if not query.isascii():
        query = _BEYOND_ASCII.sub(lambda found: b"".join(map(_ESCAPED.__getitem__, found.group())), query)
    return query.decode("ascii")


def canonical_path(path: bytes) -> str:
    """Return the canonical form of a path; raises Refusal(bad-path)."""
    if path[:1] != b"/":
        raise Refusal(BAD_PATH, detail="The request target must begin with a slash.")
    escaped = _SPECIAL.sub(_normalise, path)
    if b"%" in escaped and _OVERLONG.search(unquote_to_bytes(escaped)):
        raise Refusal(BAD_PATH, detail="The path holds an overlong UTF-8 sequence.")
    resolved = _resolve(escaped.decode("ascii"))
    slash_readings(resolved)
    return resolved


def _normalise(found: re.Match[bytes]) -> bytes:
    text = found.group()
    if found["escapes"] is not None:
        codes = text.split(b"%")[1:]
        if b"00" in codes:
            raise Refusal(BAD_PATH, detail="The path holds a NUL.")
        return b"".join(map(_UNESCAPED.__getitem__, codes))
    if found["broken"] is not None:
        raise Refusal(BAD_PATH, detail="A `%` in the path is not followed by two hexadecimal digits.")
    if text.translate(None, _CONTROL_OR_HASH) != text:
        raise Refusal(BAD_PATH, detail="The path holds a space, a control character or a `#`.")
    return b"".join(map(_ESCAPED.__getitem__, text))


def _resolve(path: str) -> str:
    """Remove empty segments first, then dot segments (RFC 3986, 5.2.4)."""
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


def matching_form(path: str) -> str:
    """Return a canonical path as an operator writes it in a pattern: escapes decoded as UTF-8.

    `%2F` and `%25` stay, so that different paths stay different; bytes that are not UTF-8 stay escaped.
    """
    if "%" not in path:
        return path
    pieces = _KEPT_ESCAPES.split(path)
    for place in range(0, len(pieces), 2):
        pieces[place] = unquote_to_bytes(pieces[place]).decode("utf-8", "percent-escape")
    for place in range(1, len(pieces), 2):
        pieces[place] = "%" + pieces[place]
    return "".join(pieces)


def matching_forms(path: str) -> list[str]:
    """Return the matching forms of a canonical path and of its other readings, its own first. Raises Refusal(bad-path) when one climbs.

    Path lists are asked for all of them, so that `/secret%2Ffile` does not pass a black list that names `/secret/file`.
    """
    return [matching_form(path), *map(matching_form, slash_readings(path))]


def slash_readings(path: str) -> list[str]:
    """Return what servers see in a canonical path if they take `%2F`, `%5C` (Windows) or both for a slash; empty when it holds neither.

    Raises Refusal(bad-path) when a reading climbs above the root. An escaped `%` (`%252F`) is not one of them: it takes decoding twice.
    """
    slash, backslash = "%2F" in path, "%5C" in path
    if not slash and not backslash:
        return []
    spellings = []
    if slash:
        spellings.append(path.replace("%2F", "/"))
    if backslash:
        spellings.append(path.replace("%5C", "/"))
    if slash and backslash:
        spellings.append(path.replace("%2F", "/").replace("%5C", "/"))
    try:
        return [_resolve(spelling) for spelling in spellings]
    except Refusal:
        raise Refusal(BAD_PATH, detail="The path climbs above the root when `%2F` or `%5C` is read as a slash.") from None


def _escape_invalid(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("percent-escape", _escape_invalid)
