"""What a token is: as a generator hands it in, as the archive lists it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from typing import Any, NamedTuple, TypeGuard

from services.tokens import refusals
from services.tokens.archive.rules import svg

SVG_LIMIT = 1_000_000  # bytes in UTF-8, as sent and as written
KEYWORD_LIMIT = 200  # characters
_KEY = re.compile(r"[\x20-\x7e]{1,255}\Z").match


class NewToken(NamedTuple):
    """What a generator hands in. digest: of the whole body, to recognise a repeated request."""

    svg: str
    generated: str
    keywords: list[str]
    rules: int
    digest: str


class Entry(NamedTuple):
    """A token without its SVG. size: of the SVG in UTF-8, in bytes; rules: see models.Token."""

    id: int
    size: int
    rules: int
    generated: str
    keywords: list[Any]


class Page(NamedTuple):
    """A window of the archive. offset: of its first row in the asked order; previous, following: ids of the neighbours just outside."""

    rows: list[Entry]
    total: int
    offset: int
    previous: int | None
    following: int | None
    newest_first: bool


def is_current(entry: Entry) -> bool:
    """Say whether today's rules, or newer ones, wrote the SVG."""
    return entry.rules >= svg.RULES


def read_idempotency_key(text: str | None) -> str | None:
    """Read the header of that name. Raises Refusal 400."""
    if text is not None and not _KEY(text):
        raise refusals.invalid_idempotency_key()
    return text


def read_token(body: bytes) -> NewToken:
    """Read what a generator hands in, and write its SVG as `svg.accepted` does. Raises Refusal 400, 413.

    A hostile SVG of 1 MB takes 25 MB of memory meanwhile.
    """
    given = _object(body)
    image, generated, keywords = given.get("svg"), given.get("generated"), given.get("keywords")
    if not (_is_text(image) and _is_moment(generated) and _are_keywords(keywords)):
        raise refusals.attributes_missing()
    if len(image.encode()) > SVG_LIMIT:
        raise refusals.body_too_large()
    try:
        written = svg.accepted(image)
    except svg.Unsafe as error:
        raise refusals.invalid_svg(str(error)) from None
    if len(written.encode()) > SVG_LIMIT:
        raise refusals.body_too_large()
    digest = hashlib.sha256(json.dumps([image, generated, keywords]).encode()).hexdigest()
    return NewToken(written, generated, keywords, svg.RULES, digest)


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise refusals.invalid_json() from None
    if not isinstance(given, dict):
        raise refusals.attributes_missing()
    return given


def _is_text(value: Any) -> TypeGuard[str]:
    """A text that both stores can keep (no NUL, no lone surrogate)."""
    if not isinstance(value, str) or not value or "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_moment(value: Any) -> TypeGuard[str]:
    if not _is_text(value) or len(value) > 64:
        return False
    try:
        dt.datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _are_keywords(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and len(value) == 3 and all(_is_text(word) and len(word) <= KEYWORD_LIMIT for word in value)
