"""Which paths are one endpoint: a number is `{id}`, a UUID `{uuid}` (as Tyk's `normalise_urls`), and so is a long hexadecimal id `{id}`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

LONGEST: Final = 256
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_HEXADECIMAL: Final = re.compile(r"(?=[a-fA-F]*[0-9])[0-9a-fA-F]{16,}")


@lru_cache(4096)
def grouped(path: str) -> str:
    """Return the path of the endpoint, at most 256 characters of it. path: canonical, at most some thousand characters."""
    return "/".join([_grouped_segment(segment) for segment in path.split("/")])[:LONGEST]


def _grouped_segment(segment: str) -> str:
    if segment.isdecimal():
        return "{id}"
    if len(segment) == 36 and _UUID.fullmatch(segment):
        return "{uuid}"
    return "{id}" if len(segment) >= 16 and _HEXADECIMAL.fullmatch(segment) else segment
