"""Keeps within a bound what many APIs share, fairly: the API that takes more than its part gives way first.

Of an API that goes which was not asked for longest. Only the event loop uses it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

# What would take more than this part of the bound is not kept.
_LARGEST: Final = 4
# When the bound is reached, this part of it is freed at once: to look for who has most takes time.
_AT_ONCE: Final = 100


class _Shelf(Generic[Value]):
    """What is kept of one API, with its size; what was asked for last is at the end. size: bytes of all."""

    __slots__ = ("kept", "size")

    def __init__(self) -> None:
        self.kept: OrderedDict[bytes, tuple[Value, int]] = OrderedDict()
        self.size = 0


class Shelves(Generic[Value]):
    """Values by API and name. size: bytes of all."""

    def __init__(self, most: int) -> None:
        """most: bytes of all values together."""
        self.size = 0
        self._most = most
        self._shelves: dict[str, _Shelf[Value]] = {}

    def find(self, api_id: str, name: bytes) -> Value | None:
        """Return a value, which was asked for last then."""
        shelf = self._shelves.get(api_id)
        if shelf is None:
            return None
        found = shelf.kept.get(name)
        if found is None:
            return None
        shelf.kept.move_to_end(name)
        return found[0]

    def put(self, api_id: str, name: bytes, value: Value, size: int) -> list[tuple[str, bytes]] | None:
        """Keep a value; return what had to go for it. None = it is too large, and is not kept."""
        if size > self._most // _LARGEST:
            return None
        self._drop(api_id, name)
        shelf = self._shelves.setdefault(api_id, _Shelf())
        shelf.kept[name] = (value, size)
        shelf.size += size
        self.size += size
        return self._make_room() if self.size > self._most else []

    def drop(self, api_id: str, name: bytes) -> None:
        """Forget a value."""
        self._drop(api_id, name)

    def purge(self, api_id: str) -> None:
        """Forget all values of an API."""
        shelf = self._shelves.pop(api_id, None)
        if shelf is not None:
            self.size -= shelf.size

    def _make_room(self) -> list[tuple[str, bytes]]:
        """Take from the API that has most, down to its part, then from the next."""
        gone = []
        wanted = self._most - self._most // _AT_ONCE
        while self.size > wanted:
            api_id, shelf = max(self._shelves.items(), key=lambda item: item[1].size)
            part = wanted // len(self._shelves)
            while self.size > wanted and shelf.kept:
                name = next(iter(shelf.kept))
                self._drop(api_id, name)
                gone.append((api_id, name))
                if shelf.size <= part:
                    break
        return gone

    def _drop(self, api_id: str, name: bytes) -> None:
        shelf = self._shelves.get(api_id)
        found = None if shelf is None else shelf.kept.pop(name, None)
        if shelf is None or found is None:
            return
        shelf.size -= found[1]
        self.size -= found[1]
        if not shelf.kept:
            del self._shelves[api_id]
