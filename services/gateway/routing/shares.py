"""Counts how much each client address holds of something that all share: connections, uploads, requests under way.

An IPv6 address counts with its /64 (`addresses.group_of`).
"""

from __future__ import annotations

from typing import Final

from services.common import addresses
from services.common.addresses import AddressSet
from services.common.remembered import Remembered


class _Groups(Remembered[str, str]):
    """The group of each address (`addresses.group_of`), remembered."""

    def __missing__(self, address: str) -> str:
        return self.keep(address, addresses.group_of(address), len(address))


group_of: Final = _Groups().__getitem__


class Shares:
    """Counts by address. most: the share of one. trusted: addresses that act for many others (proxies) and are not counted."""

    __slots__ = ("_most", "_of", "_trusted")

    def __init__(self, most: int, trusted: AddressSet) -> None:
        self._most = most
        self._trusted = trusted
        self._of: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """Count one more for an address. False when it has its share; then nothing is counted, and `leave` must not be called."""
        if address in self._trusted:
            return True
        group = group_of(address)
        has = self._of.get(group, 0)
        if has >= self._most:
            return False
        self._of[group] = has + 1
        return True

    def leave(self, address: str) -> None:
        """Count one less, after an `enter` that was True."""
        if address in self._trusted:
            return
        group = group_of(address)
        left = self._of[group] - 1
        if left:
            self._of[group] = left
        else:
            del self._of[group]

    def greediest(self) -> str | None:
        """Return the group that has most; None when nobody is counted."""
        return max(self._of, key=self._of.__getitem__, default=None)
