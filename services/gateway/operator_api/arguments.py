"""What callers send: bodies, pages, revisions. Each raises OperatorRefusal with what is wrong."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from flask import request

from services.gateway.definitions.reader import Mistake, Mistakes, join, read_json
from services.gateway.operator_api import refusals
from services.gateway.operator_api.answers import is_tyk_api
from services.gateway.operator_api.refusals import Document

_ETAG: Final = re.compile(r'(?:W/)?"?(\d{1,9})"?')
_LARGEST_PAGE: Final = 1000
_LONGEST_OVERLAP: Final = 90 * 86400
_OVERLAP: Final = 86400
_SWITCHED: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}


def body(what: Document) -> dict[str, Any]:
    """Read the JSON object of the request, whatever its content type says: a bare `curl -d` names a form."""
    try:
        document = read_json(request.get_data(cache=True))
    except Mistakes as error:
        if any(mistake.pointer for mistake in error.mistakes):
            raise refusals.invalid(what, error) from None
        if is_tyk_api(request.path):
            raise refusals.tyk_malformed_body(error) from None
        raise refusals.malformed_body(error) from None
    endless = [Mistake(pointer, "is too large a number") for pointer in _endless(document, "")]
    if endless:
        raise refusals.invalid(what, Mistakes(endless))
    return document


def _endless(value: Any, pointer: str) -> Iterator[str]:
    """Yield the pointers of numbers such as 1e999, which JSON allows and no field can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        yield pointer
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from _endless(member, join(pointer, name))
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from _endless(element, join(pointer, index))


def page() -> tuple[int, int]:
    """Read `p`, from zero, negative = everything; `page_size`, 10 by default."""
    return _whole("p", 0, -1, 10**6), _whole("page_size", 10, 1, _LARGEST_PAGE)


def _whole(name: str, default: int, low: int, high: int) -> int:
    text = request.args.get(name, "")
    if not text:
        return default
    try:
        number = int(text)
    except ValueError:
        number = high + 1
    if number < 0 and low < 0:
        return -1
    if not low <= number <= high:
        raise refusals.number_out_of_range(name, low, high)
    return number


def text(name: str) -> str | None:
    """Read a parameter of the query; None when it is absent or empty."""
    return request.args.get(name) or None


def texts(name: str) -> tuple[str, ...]:
    """Read a parameter that may be repeated."""
    return tuple(filter(None, request.args.getlist(name)))


def flag(name: str) -> bool:
    """Whether a parameter of the query is switched on: `1`, `true` or `yes`. Other words are refused: `dry_run=on` must not write."""
    text = request.args.get(name, "").lower()
    if text not in _SWITCHED:
        raise refusals.flag_wrong(name)
    return _SWITCHED[text]


def dry_run() -> bool:
    """Whether only to show what would change. Without a word it is refused: who writes `?dry_run` does not mean to write."""
    if request.args.get("dry_run") == "":
        raise refusals.flag_wrong("dry_run")
    return flag("dry_run")


def detailed() -> bool:
    """Whether `mode` asks for more than ids."""
    mode = request.args.get("mode", "")
    if mode not in ("", "detailed"):
        raise refusals.mode_unknown()
    return mode == "detailed"


def if_match() -> int | None:
    """Read the revision that the caller saw; None = any. A value that cannot be a revision matches none: 412."""
    text = request.headers.get("if-match", "").strip()
    if text in ("", "*"):
        return None
    match = _ETAG.fullmatch(text)
    if match is None:
        raise refusals.if_match_names_no_revision()
    return int(match[1])


def against() -> int | None:
    """Read `against`, the number of a revision; None = not given."""
    text = request.args.get("against", "")
    if text and not (text.isdecimal() and len(text) <= 9):
        raise refusals.against_not_a_revision()
    return int(text) if text else None


def moment(name: str) -> dt.datetime | None:
    """Read a moment of the query: ISO 8601, in UTC when it names no zone, or seconds of the epoch; None = not given."""
    text = request.args.get(name, "").strip()
    if not text:
        return None
    try:
        if text.isdecimal():
            return dt.datetime.fromtimestamp(int(text), dt.UTC)
        found = dt.datetime.fromisoformat(text.replace(" ", "+"))  # a `+` that was not escaped
        return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError, OSError):
        raise refusals.moment_wrong(name) from None


def overlap() -> float:
    """Read how many seconds a secret still works after a rotation: `overlap` of the body, a day when it is left out."""
    given = optional_body("rotation").get("overlap", _OVERLAP)
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= _LONGEST_OVERLAP:
        raise refusals.overlap_out_of_range(_LONGEST_OVERLAP)
    return given


def optional_body(what: Document) -> dict[str, Any]:
    """Read the body as `body` does; no body counts as an empty object."""
    return body(what) if request.get_data(cache=True).strip() else {}
