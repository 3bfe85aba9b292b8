"""What the parameters of the archive mean. The readers raise the refusals of the original, in its order."""

from __future__ import annotations

import re
from typing import NamedTuple

from services.tokens import refusals
from services.tokens.archive.rules import ids

COUNT_LIMIT = 250
OFFSET_LIMIT = 2**31
WIDTHS = (256, 512, 1024, 2048)  # pixels
DEFAULT_WIDTH = 2048

_WHOLE = re.compile(r"[+-]?[0-9]{1,10}\Z").match
_ORDERS = {"true": True, "1": True, "false": False, "0": False}


class Window(NamedTuple):
    """The asked rows: those from `offset` on, or from the token `first` on, or up to the token `last`; none when all three are None."""

    rows: int
    newest_first: bool
    offset: int | None = None
    first: int | None = None
    last: int | None = None


def read_id(text: str | None) -> int:
    """Read the number of a token. Raises Refusal 400 when the id is missing, 404 when no token can have it."""
    if not text:
        raise refusals.id_missing()
    number = ids.decode(text)
    if number is None:
        raise refusals.token_not_found()
    return number


def read_width(text: str | None) -> int:
    """Read the width of a picture, in pixels. Raises Refusal 400."""
    if not text:
        return DEFAULT_WIDTH
    if text not in map(str, WIDTHS):
        raise refusals.width_out_of_range(WIDTHS)
    return int(text)


def read_window(offset: str | None, start_id: str | None, end_id: str | None, count: str | None, newest_first: str | None) -> Window:
    """Read which rows are asked for; `offset` wins over `start_id`, that over `end_id`. Raises Refusal 400."""
    if not (offset or start_id or end_id):
        raise refusals.need_start()
    rows = _whole(count) if count else 1
    if rows is None or not 1 <= rows <= COUNT_LIMIT:
        raise refusals.count_out_of_range()
    order = _order(newest_first)
    if offset:
        start = _whole(offset)
        if start is None or abs(start) > OFFSET_LIMIT:
            raise refusals.offset_out_of_range()
        return Window(rows, order, offset=start)
    if start_id:
        return Window(rows, order, first=ids.decode(start_id))
    return Window(rows, order, last=ids.decode(end_id or ""))


def _whole(text: str) -> int | None:
    return int(text) if _WHOLE(text) else None


def _order(text: str | None) -> bool:
    if not text:
        return True
    if text.lower() not in _ORDERS:
        raise refusals.invalid_newest_first()
    return _ORDERS[text.lower()]
