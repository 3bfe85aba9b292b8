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
from time import monotonic
from typing import Final, NamedTuple

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
# A path that is canonical as it is: no empty segment, none that begins with a dot, nothing escaped (RFC 3986, 6.2.2).
CLEAN_PATH: Final = rb"(?:/[\w~!$&'()*+,;=:@\-][\w~!$&'()*+,;=:@\-.]*+)*+/?+"
# Possessive throughout: a head is read once from left to right, whatever it holds.
are_fields: Final = re.compile(rb"\r\n(?:" + NAME + rb":" + VALUE + rb"\r\n)*+").fullmatch
# Of fields that are known to be well formed, from the end of the line before them on.
names_of: Final = re.compile(rb"\n([^:\r\n]++):").findall


# A layout that has come so often gets an expression of its own, which checks a head and takes it apart in one go; not one with very many
# fields. Making it takes some milliseconds: strangers must not keep the worker busy with that.
_OFTEN: Final = 64
_MOST_IN_EXPRESSION: Final = 32
_BETWEEN_EXPRESSIONS: Final = 1.0


class Expressions:
    """Says when a layout gets an expression of its own, and makes it."""

    def __init__(self) -> None:
        self._next = 0.0

    def due(self, came: int, fields: int) -> bool:
        """Tell whether to make one now. came: how often the layout has come; fields: how many it has."""
        if came < _OFTEN or fields > _MOST_IN_EXPRESSION or monotonic() < self._next:
            return False
        self._next = monotonic() + _BETWEEN_EXPRESSIONS
        return True

    @staticmethod
    def make(first: bytes, names: Sequence[bytes], kept: Callable[[int], bool]) -> Expression:
        """Make the expression of a head. first: matches its first line; names: of its fields, as they are written; kept: tells of the
        place of a field, from 1 on, whether it goes on.
        """
        fields = group = re.compile(first).groups + 1  # one around all fields
        parts = [first, rb"(\r\n"]
        runs, lines = [], [0]
        in_run = False
        for place, name in enumerate(names, 1):
            if in_run and not kept(place):
                parts.append(b")")
            if kept(place) and not in_run:
                parts.append(b"(")
                group += 1
                runs.append(group)
            in_run = kept(place)
            group += 1
            lines.append(group)
            parts.append(b"(" + re.escape(name) + b":" + VALUE + rb")\r\n")
        parts.append(rb"))\r\n" if in_run else rb")\r\n")
        return Expression(re.compile(b"".join(parts)).match, fields, lines, runs)


class Expression(NamedTuple):
    """match: of a whole head. fields: the group that holds all fields; lines: by place, the group of each; runs: the groups that together
    are what goes on, each line with its CR LF.
    """

    match: Callable[[bytes], re.Match[bytes] | None]
    fields: int
    lines: Sequence[int]
    runs: Sequence[int]

    def passed_on(self, found: re.Match[bytes]) -> bytes:
        """Return the lines that go on."""
        runs = self.runs
        if not runs:  # `group` would return the whole head
            return b""
        return found[runs[0]] if len(runs) == 1 else b"".join(found.group(*runs))


class Incomplete(Exception):
    """The head has not come whole yet."""


def named_fields(connection: bytes) -> frozenset[bytes]:
    """Return the fields that a `Connection` field names as its own, but for those that stay whatever it says."""
    return frozenset(token.strip() for token in connection.lower().split(b",")) - NEVER_NAMED


def picker(gone: Set[int], last: int) -> Callable[[list[bytes]], Sequence[bytes]]:
    """Return what takes lines 0 to `last` but those that are gone, and the empty one behind them: joining them ends the last one."""
    kept = [place for place in range(last + 1) if place not in gone]
    return itemgetter(*kept, last + 1) if kept else lambda lines: (b"",)
