"""The grammar of message heads, in both directions (RFC 9112): they are parsed strictly and written again.

What another parser could read differently is refused: bare LF and CR, folded lines, control bytes, lengths that are repeated or malformed,
a doubled space, several Hosts.

Written for speed: lines go on as they are. What a head means depends on the names of its fields nearly alone, and these come in few
different sequences, so that what a sequence means (its layout) is found out once. A client repeats nearly all of its head from request to
request of one connection (HPACK rests on the same fact), and some upstreams theirs: the same bytes again cost one comparison.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence, Set
from operator import itemgetter
from typing import Final

from services.gateway.wire.heads.names import NEVER_NAMED, TOKEN

Header = tuple[bytes, bytes]

LARGEST_HEAD: Final = 64 * 1024
# A longer head is read again each time rather than kept with an idle connection.
LARGEST_KEPT: Final = 4096
# Layouts, and lines and hosts, that are remembered, each in a table of its own: how many, and how long what strangers wrote may be.
LAYOUTS_REMEMBERED: Final = (1024, 2048)
LINES_REMEMBERED: Final = (1024, 256)

NAME: Final = TOKEN.encode()
VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]*+"
# Possessive throughout: a head is read once from left to right, whatever it holds.
are_fields: Final = re.compile(rb"\r\n(?:" + NAME + rb":" + VALUE + rb"\r\n)*+").fullmatch
# Of fields that are known to be well formed, from the end of the line before them on.
names_of: Final = re.compile(rb"\n([^:\r\n]++):").findall


class Incomplete(Exception):
    """The head has not come whole yet."""


def named_fields(connection: bytes) -> frozenset[bytes]:
    """Return the fields that a `Connection` field names as its own, but for those that stay whatever it says."""
    return frozenset(token.strip() for token in connection.lower().split(b",")) - NEVER_NAMED


def picker(gone: Set[int], last: int) -> Callable[[list[bytes]], Sequence[bytes]]:
    """Return what takes lines 0 to `last` but those that are gone, and the empty one behind them: joining them ends the last one."""
    kept = [place for place in range(last + 1) if place not in gone]
    return itemgetter(*kept, last + 1) if kept else lambda lines: (b"",)
