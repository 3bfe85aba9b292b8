"""What the cache keeps: answers, and by which fields of requests the answers of an address differ. How both are written as bytes."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from services.gateway.wire.heads.grammar import Header

# Bytes that an answer takes in memory beside its body and its fields.
_OVERHEAD: Final = 700
_OF_FIELD: Final = 130


class Answer(NamedTuple):
    """An answer of an upstream, as a client got it. made, until: epoch seconds when it was new, by its `Age`, and when it ends."""

    status: int
    headers: tuple[Header, ...]
    body: bytes
    etag: bytes
    last_modified: bytes
    made: float
    until: float

    @property
    def size(self) -> int:
        """Return about how many bytes it takes in memory."""
        return _OVERHEAD + len(self.body) + sum(len(name) + len(value) + _OF_FIELD for name, value in self.headers)


class Varying(NamedTuple):
    """Says that the answers of a name differ by these fields of requests (lower case, sorted).

    nonce: part of the names of these answers, so that none of them is found again when this was forgotten.
    """

    fields: tuple[bytes, ...]
    nonce: bytes
    until: float

    @property
    def size(self) -> int:
        """Return about how many bytes it takes in memory."""
        return _OVERHEAD + sum(len(name) + _OF_FIELD for name in self.fields)


Kept = Answer | Varying


def encode(kept: Kept) -> bytes:
    """Write what is kept as a line of JSON and the body."""
    if isinstance(kept, Varying):
        return json.dumps([_texts(kept.fields), kept.nonce.hex(), kept.until]).encode()
    fields = [_texts(header) for header in kept.headers]
    head = [kept.status, fields, *_texts((kept.etag, kept.last_modified)), kept.made, kept.until]
    return json.dumps(head).encode() + b"\n" + kept.body


def decode(data: bytes) -> Kept:
    """Read what `encode` wrote. Raises ValueError."""
    line, _, body = data.partition(b"\n")
    try:
        head: Any = json.loads(line)
        if len(head) == 3:
            names, nonce, until = head
            return Varying(tuple(name.encode("latin-1") for name in names), bytes.fromhex(nonce), float(until))
        status, fields, etag, last_modified, made, until = head
        headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in fields)
        return Answer(int(status), headers, body, etag.encode("latin-1"), last_modified.encode("latin-1"), float(made), float(until))
    except (AttributeError, TypeError, RecursionError) as error:
        raise ValueError("is not what the cache wrote") from error


def _texts(values: tuple[bytes, ...]) -> list[str]:
    return [value.decode("latin-1") for value in values]
