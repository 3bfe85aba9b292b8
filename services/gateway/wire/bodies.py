"""Message bodies on their way through: where one ends, and how it is framed for the other side (RFC 9112, 6 and 7).

A body is fed with what arrived and gives back what may go out. Chunked bodies are decoded strictly and framed again: what two parsers
could read in two ways (bare LF, spaces before a size, a CR in an extension) never leaves this file.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from services.gateway.wire.heads.grammar import NAME, VALUE
from services.gateway.wire.heads.names import TRAILERS_PASSED

_LONGEST_LINE: Final = 4096
_MOST_TRAILERS: Final = 64
# Lines and chunks of one body that a turn of the loop decodes at most: chunks of one byte must not hold up the other connections.
_STEPS_A_TURN: Final = 256
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?").fullmatch
# Possessive: spaces that could belong to three parts would be tried in each of them.
_TRAILER: Final = re.compile(rb"(" + NAME + rb"):(" + VALUE + rb")").fullmatch


class BadBody(Exception):
    """The framing of a body is broken. The text says how."""


class BodyTooLarge(Exception):
    """A body has more bytes than it may."""


class Budget:
    """Bytes that may be held in memory.

    left: how many more. whole: the budget that this one is a part of, None = none. exceeded: more were asked for than there were;
    crowded: this one had enough, but other parts of the whole have taken them.
    """

    __slots__ = ("_size", "crowded", "exceeded", "left", "whole")

    def __init__(self, size: int, whole: Budget | None = None) -> None:
        self._size = size
        self.left = size
        self.whole = whole
        self.exceeded = self.crowded = False

    def spend(self, size: int) -> bool:
        """Take `size` bytes; return False when there are fewer, and then nothing is taken."""
        if size > self.left:
            self.exceeded = True
            return False
        if self.whole is not None and not self.whole.spend(size):
            self.crowded = True
            return False
        self.left -= size
        return True

    def give_back(self, size: int) -> None:
        self.left += size
        if self.whole is not None:
            self.whole.give_back(size)

    @property
    def spent(self) -> int:
        return self._size - self.left

    def give_all_back(self) -> None:
        self.give_back(self.spent)


class Body(Protocol):
    """One body. done: its last byte has been seen. received: bytes of its content that have come."""

    done: bool

    @property
    def received(self) -> int: ...

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take what arrived: (what goes out, the rest). Raises BadBody, BodyTooLarge.

        The rest of a body that is done belongs to the next message. That of another one is to be fed again in a later turn of the loop,
        because this one has had enough work.
        """

    def ended_by_close(self) -> bytes | None:
        """Return what still goes out when the sender closes; None when the body is not whole."""


class LengthBody:
    """A body of a known length."""

    __slots__ = ("_length", "done", "left")

    def __init__(self, length: int) -> None:
        self._length = self.left = length
        self.done = length == 0

    @property
    def received(self) -> int:
        return self._length - self.left

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        size = len(data)
        if size < self.left:
            self.left -= size
            return data, b""
        self.done = True
        left, self.left = self.left, 0
        return (data, b"") if size == left else (data[:left], data[left:])

    def ended_by_close(self) -> bytes | None:
        return None


class CloseBody:
    """An answer that ends with its connection. chunk: the other side gets it in chunks, so that its connection can stay."""

    __slots__ = ("_chunk", "done", "received")

    def __init__(self, chunk: bool) -> None:
        self._chunk = chunk
        self.done = False
        self.received = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        self.received += len(data)
        return (b"%x\r\n%b\r\n" % (len(data), data) if self._chunk else data), b""

    def ended_by_close(self) -> bytes | None:
        self.done = True
        return b"0\r\n\r\n" if self._chunk else b""


class Tunnel:
    """Bytes after a switch of protocols, which are not a message."""

    __slots__ = ("done", "received")

    def __init__(self) -> None:
        self.done = False
        self.received = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        self.received += len(data)
        return data, b""

    def ended_by_close(self) -> bytes | None:
        self.done = True
        return b""


# What a chunked body waits for.
_SIZE: Final = 0
_DATA: Final = 1
_DATA_END: Final = 2
_TRAILERS: Final = 3


class ChunkedBody:
    """A chunked body, decoded; framed again when `chunk`, else plain.

    limit: decoded bytes it may have, None = any number. passed: the trailer fields that go on, by lower-case name.
    """

    __slots__ = ("_chunk", "_left", "_limit", "_line", "_passed", "_seen", "_size", "_state", "_trailers", "done")

    def __init__(self, chunk: bool, limit: int | None = None, passed: frozenset[bytes] = TRAILERS_PASSED) -> None:
        self._chunk = chunk
        self._limit = limit
        self._passed = passed
        self._seen = 0
        self._size = 0
        self._state = _SIZE
        self._left = 0
        self._line = b""
        self._trailers: list[bytes] = []
        self.done = False

    @property
    def received(self) -> int:
        return self._size - self._left

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        if self._line:
            data, self._line = self._line + data, b""
        place, end = 0, len(data)
        pieces: list[bytes] = []
        state = self._state
        steps = _STEPS_A_TURN
        later = False
        while place < end:
            if state != _DATA_END:
                if not steps:
                    later = True
                    break
                steps -= 1
            if state == _DATA:
                piece = data[place : place + self._left]
                pieces.append(piece)
                place += len(piece)
                self._left -= len(piece)
                if self._left == 0:
                    state = _DATA_END
            elif state == _DATA_END:
                if end - place < 2:
                    if data[place] != 13:
                        raise BadBody("a chunk is longer than its size")
                    break
                if data[place : place + 2] != b"\r\n":
                    raise BadBody("a chunk is longer than its size")
                place += 2
                state = _SIZE
            else:
                line_end = data.find(b"\n", place)
                if line_end < 0:
                    if end - place > _LONGEST_LINE:
                        raise BadBody("a line of the chunked body is too long")
                    break
                if line_end == place or data[line_end - 1] != 13 or line_end - place > _LONGEST_LINE:
                    raise BadBody("a line of the chunked body does not end in CR LF, or is too long")
                line = data[place : line_end - 1]
                place = line_end + 1
                if state == _SIZE:
                    found = _SIZE_LINE(line)
                    if found is None:
                        raise BadBody("a chunk has no valid size")
                    self._left = int(found[1], 16)
                    self._count(self._left)
                    state = _DATA if self._left else _TRAILERS
                elif line:
                    self._trailer(line)
                else:
                    self.done = True
                    break
        self._state = state
        rest = data[place:]
        if not self.done and not later:
            self._line, rest = rest, b""
        return self._framed(pieces), rest

    def _count(self, size: int) -> None:
        self._size += size
        if self._limit is not None and self._size > self._limit:
            raise BodyTooLarge

    def _trailer(self, line: bytes) -> None:
        found = _TRAILER(line)
        if found is None:
            raise BadBody("a trailer field is malformed")
        self._seen += 1
        if self._seen > _MOST_TRAILERS:
            raise BadBody("there are too many trailer fields")
        if found[1].lower() in self._passed:
            self._trailers.append(b"%b: %b\r\n" % (found[1], found[2].strip(b" \t")))

    def _framed(self, pieces: list[bytes]) -> bytes:
        plain = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if not self._chunk:
            return plain
        last = b"0\r\n%b\r\n" % b"".join(self._trailers) if self.done else b""
        return b"%x\r\n%b\r\n%b" % (len(plain), plain, last) if plain else last

    def ended_by_close(self) -> bytes | None:
        return None


class CopiedBody:
    """A plain body on its way, of which a copy is kept. most: bytes of the copy; chunk: it goes out in chunks."""

    __slots__ = ("_body", "_chunk", "_kept", "_left", "done")

    def __init__(self, body: Body, most: int, chunk: bool) -> None:
        self._body = body
        self._chunk = chunk
        self._kept: list[bytes] | None = []
        self._left = most
        self.done = body.done

    @property
    def received(self) -> int:
        return self._body.received

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        plain, rest = self._body.feed(data)
        return self._passed(plain), rest

    def ended_by_close(self) -> bytes | None:
        last = self._body.ended_by_close()
        return None if last is None else self._passed(last)

    def _passed(self, plain: bytes) -> bytes:
        self.done = self._body.done
        self._left -= len(plain)
        if self._left < 0:
            self._kept = None
        elif self._kept is not None and plain:
            self._kept.append(plain)
        if not self._chunk:
            return plain
        return (b"%x\r\n%b\r\n" % (len(plain), plain) if plain else b"") + (b"0\r\n\r\n" if self.done else b"")

    def copy(self) -> bytes | None:
        """Return the body; None when it is not whole, or has more bytes than were to be kept."""
        return b"".join(self._kept) if self._kept is not None and self.done else None
