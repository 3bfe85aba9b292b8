"""What polls ask, and when there is something to answer. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

from services.sessions import refusals
from services.sessions.items.rules import lists

LONGEST_S: Final = 25.0  # clients of today wait for 24 s themselves
USUAL_S: Final = 20.0
NOTHING: Final = -1  # the version of a list that a client has nothing of
_GREATEST: Final = 2**62  # above all versions

Known = dict[str, int]


class List(Protocol):
    """What is told about a list. filled: whether it has any item."""

    @property
    def version(self) -> int: ...

    @property
    def horizon(self) -> int: ...

    @property
    def filled(self) -> bool: ...


def read_versions(sent: object, *, afresh: bool = False) -> Known:
    """Read which versions a client has, by the names of lists: `{"BUILDINGS": 12}`. Raises Refusal 400.

    sent: JSON, or the fields of a form. None or nothing in it: all lists, of which the client has nothing. afresh: it has nothing, whatever
    it says. What was never given (0 or less) is NOTHING.
    """
    if sent is None or sent == []:
        sent = {}
    if not isinstance(sent, Mapping):
        raise refusals.invalid_request('update takes the versions that you have, by list: {"BUILDINGS": 12, …}.')
    found: Known = {}
    for name, version in sent.items():
        known = lists.find(str(name))
        if known is None:
            raise refusals.invalid_request(f"there is no list {str(name)[:50]!r}. There are {', '.join(lists.ALL)}.")
        if known in found:
            raise refusals.invalid_request(f"{known} is named twice.")
        found[known] = NOTHING if afresh else _version(known, version)
    return found or dict.fromkeys(lists.ALL, NOTHING)


def _version(name: str, sent: Any) -> int:
    if isinstance(sent, str):
        try:
            sent = json.loads(sent) if len(sent) < 20 else None
        except ValueError:
            sent = None
    if isinstance(sent, float) and sent.is_integer():
        sent = int(sent)
    if isinstance(sent, bool) or not isinstance(sent, int):
        raise refusals.invalid_request(f"the version of {name} is a whole number: the highest that its items and deletes had, or -1.")
    return min(sent, _GREATEST) if sent > 0 else NOTHING


def read_timeout(text: str | None) -> float:
    """Read how many seconds a poll may wait. Raises Refusal 400."""
    if not text:
        return USUAL_S
    try:
        found = float(text) if len(text) < 20 and text.isascii() else math.nan
    except ValueError:
        found = math.nan
    if not 0 <= found <= LONGEST_S:
        raise refusals.invalid_request(f"timeout is a number of seconds from 0 to {LONGEST_S:g}, not {text[:20]!r}.")
    return found


def has_news(found: Mapping[str, List], known: Known) -> bool:
    """Say whether there is anything to tell a client that has these versions.

    A client that has nothing of a list needs its items, and not to hear that there are none: from an empty list it would learn no version,
    and ask again at once.
    """
    for name, version in known.items():
        one = found.get(name)
        if one is not None and (one.filled if version == NOTHING else version != one.version):
            return True
    return False


def is_ahead(found: Mapping[str, List], known: Known) -> bool:
    """Say whether a client has a version that is not known yet."""
    return any(name in found and version > found[name].version for name, version in known.items())
