"""Ids of requests, which the access log, the answers and the upstreams get."""

from __future__ import annotations

import secrets
from typing import Final

_LAST_DIGITS: Final = [f"{number:02x}" for number in range(256)]


class RequestIds:
    """Ids of 24 hexadecimal digits: 16 of this worker, and the number of the request. Used on one event loop."""

    __slots__ = ("_begin", "_number", "_worker")

    def __init__(self) -> None:
        self._worker: str = secrets.token_hex(8)
        self._number: int = 0
        self._begin: str = ""

    def next(self) -> str:
        self._number += 1
        last = self._number & 255
        if not last or not self._begin:
            self._begin = f"{self._worker}{self._number >> 8:06x}"
        return self._begin + _LAST_DIGITS[last]
