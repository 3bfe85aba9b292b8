"""What the heads of both directions are made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence, Set
from operator import itemgetter
from typing import Final

Header = tuple[bytes, bytes]

LARGEST_HEAD: Final = 64 * 1024
# A longer head is read anew each time rather than kept with an idle connection.
LARGEST_KEPT: Final = 4096
# Layouts, and lines and hosts, that are remembered, each in a table of its own: how many, and how long what strangers wrote may be.
LAYOUTS_REMEMBERED: Final = (1024, 2048)
LINES_REMEMBERED: Final = (1024, 256)

NAME: Final = rb"[A-Za-z0-9!#$%&'*+.^_`|~-]++"
VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]*+"
is_token: Final = re.compile(NAME).fullmatch
# Possessive throughout: a head is read once from left to right, whatever it holds.
are_fields: Final = re.compile(rb"\r\n(?:" + NAME + rb":" + VALUE + rb"\r\n)*+").fullmatch
# Of fields that are known to be well formed, from the end of the line before them on.
names_of: Final = re.compile(rb"\n([^:\r\n]++):").findall

HOP_BY_HOP: Final = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te", b"transfer-encoding",
        b"upgrade",
    }
)  # fmt: skip
_NEVER_NAMED: Final = frozenset({b"close", b"keep-alive", b"upgrade", b"content-length", b"transfer-encoding", b"host", b"trailer", b""})


class Incomplete(Exception):
    """The head has not come whole yet."""


def named_fields(connection: bytes) -> frozenset[bytes]:
    """The fields that a `Connection` field names as its own, but for those that frame the message: they stay, whatever it says."""
    return frozenset(token.strip() for token in connection.lower().split(b",")) - _NEVER_NAMED


def picker(gone: Set[int], last: int) -> Callable[[list[bytes]], Sequence[bytes]]:
    """Takes lines 0 to `last` but those that are gone, and the empty one behind them, so that joining them ends the last one."""
    kept = [place for place in range(last + 1) if place not in gone]
    return itemgetter(*kept, last + 1) if kept else lambda lines: (b"",)
