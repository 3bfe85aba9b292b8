"""Which trace a request belongs to (W3C Trace Context): `traceparent`, and `tracestate` beside it, as they go on to the next service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final, NamedTuple

PARENT: Final = "traceparent"
STATE: Final = "tracestate"
_LONGEST: Final = 512  # of a version to come, whose end nobody knows yet
# A version above 00 may say more behind another hyphen; ff is none.
_PARENT: Final = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]*)?").fullmatch
# Of version 00, with nothing behind it.
_PLAIN: Final = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch

_current: ContextVar[Mapping[str, str] | None] = ContextVar("trace_context", default=None)


class Parent(NamedTuple):
    """The span that a request belongs to. trace: its trace, 128 bits; span: 64 bits; sampled: whether it is recorded."""

    trace: int
    span: int
    sampled: bool


def is_parent(value: bytes) -> bool:
    """Tell whether a `traceparent` can be read. When it cannot, neither it nor `tracestate` means anything."""
    return _PLAIN(value) is not None or parse(value) is not None


def parse(value: bytes) -> Parent | None:
    """Read a `traceparent`; None when it is malformed, and then neither it nor `tracestate` means anything."""
    found = _PARENT(value) if len(value) <= _LONGEST else None
    if found is None or (found[5] is not None and found[1] == b"00"):
        return None
    return Parent(int(found[2], 16), int(found[3], 16), bool(int(found[4], 16) & 1))


def enter(parent: str | None, state: str | None) -> None:
    """Note what the request that is being answered brought; a malformed parent counts as none."""
    if parent is None or parse(parent.encode("latin-1", "replace")) is None:
        _current.set(None)
    else:
        _current.set({PARENT: parent, STATE: state} if state else {PARENT: parent})


def current() -> Mapping[str, str]:
    """Return the fields that calls to other services carry on."""
    return _current.get() or {}
