"""Versions of records: entity tags, and the conditions of requests on them (RFC 9110, section 13). No framework."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.mobility import refusals

_TAG: Final = re.compile(r'(W/)?("[^"]*")')


def etag(data: Mapping[str, Any], modalities: int | None, validity: tuple[dt.datetime, dt.datetime] | None) -> str:
    """Return the entity tag of a record, quoted: another one for other keys, values, order of keys, modalities or validity.

    modalities: bits.
    """
    times = None if validity is None else [moment.astimezone(dt.UTC).isoformat() for moment in validity]
    text = json.dumps([data, modalities, times], ensure_ascii=True, separators=(",", ":"))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a write asks of the record as it is. if_match, if_none_match: the headers, None when they are missing."""

    if_match: str | None = None
    if_none_match: str | None = None

    def __bool__(self) -> bool:
        return self.if_match is not None or self.if_none_match is not None

    def check(self, current: str | None) -> None:
        """Check the conditions. current: the record's entity tag, None when there is no record. Raises Refusal 412."""
        if self.if_match is not None and not _names(self.if_match, current, strong=True):
            raise refusals.record_changed()
        if self.if_none_match is not None and _names(self.if_none_match, current, strong=False):
            raise refusals.record_changed()


UNCONDITIONAL: Final = Conditions()


def _names(header: str, current: str | None, *, strong: bool) -> bool:
    if current is None:
        return False
    if header.strip() == "*":
        return True
    return any(tag == current and not (weak and strong) for weak, tag in _TAG.findall(header))
