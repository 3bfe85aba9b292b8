"""Cursors: where the next page of a list begins. Opaque to clients.

A list of named variables continues in each of them where it ended; one of the whole device continues at one place.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

from services.devices.data.rules import times

Place = tuple[int, int]  # time and seq of a record: a list goes on after it
LAST_SEQ: Final = (1 << 63) - 1
LONGEST: Final = 6000  # characters; longer ones fit into no request line

_VERSION = 1


def write(shape: int, places: Mapping[int, Place] | Place) -> str:
    """Write a cursor. shape: of the query that it belongs to. places: by number of the variable, or one for the whole device."""
    listed: list[list[int]]
    if isinstance(places, tuple):
        listed = [list(places)]
    else:
        listed = [[number, *place] for number, place in places.items()]
    content = json.dumps([_VERSION, shape, listed], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def read(text: str, shape: int) -> dict[int, Place] | Place:
    """Read a cursor. Raises ValueError when it is none, or belongs to another query."""
    if len(text) > LONGEST:
        raise ValueError("is not a cursor")
    try:
        content = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        version, told, listed = content
        places = [tuple(_whole(one) for one in place) for place in listed]
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise ValueError("is not a cursor") from None
    if version != _VERSION or told != shape:
        raise ValueError("belongs to another query")
    if len(places) == 1 and len(places[0]) == 2:
        return _place(*places[0])
    if any(len(place) != 3 for place in places):
        raise ValueError("is not a cursor")
    return {number: _place(time, seq) for number, time, seq in places}


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError
    return value


def _place(time: int, seq: int) -> Place:
    if not (times.EARLIEST <= time <= times.LATEST and 0 <= seq <= LAST_SEQ):
        raise ValueError("is not a cursor")
    return time, seq
