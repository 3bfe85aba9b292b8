"""Refuses keys that were switched off or have ended.

It looks at two fields of the key: `is_inactive`, and `expires` (epoch seconds; 0 or less = never).

Fields:
* `session_lifetime` (1.3): Seconds from the last change of a key after which this API no longer knows it; 0 = for ever. Differs: It counts
  for this API alone; in 1.4 it ends a key without access rights for all APIs.
Refusals: key-inactive, key-expired, key-unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key
from services.gateway.ports import Ports
from services.gateway.refusals import KEY_EXPIRED, KEY_INACTIVE, KEY_UNKNOWN, Refusal

_OUTLIVED: Final = "The key has outlived the session_lifetime of this API; saving the key begins another one."


@dataclass(frozen=True, slots=True)
class Spec:
    """lifetime: seconds, 0 = for ever."""

    lifetime: int


_FOR_EVER: Final = Spec(0)


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the lifetime; None for a keyless API."""
    lifetime = reader.integer("session_lifetime")
    if reader.definition.use_keyless:
        return None
    return Spec(lifetime) if lifetime else _FOR_EVER


def build(spec: Spec, ports: Ports) -> KeyState:
    """Build the check with its clock."""
    return KeyState(spec.lifetime, ports.now)


class KeyState:
    """The check of one API. A key that is both inactive and expired is refused as inactive, as in Tyk."""

    __slots__ = ("_lifetime", "_now")

    def __init__(self, lifetime: int, now: Callable[[], float]) -> None:
        self._lifetime = lifetime
        self._now = now

    def on_request(self, exchange: Exchange) -> None:
        key = exchange.key
        if key is None:
            raise Refusal(KEY_INACTIVE)
        self._check(key)
        if exchange.further_keys:
            for key in exchange.further_keys:
                self._check(key)

    def _check(self, key: Key) -> None:
        if key.is_inactive:
            raise Refusal(KEY_INACTIVE)
        if 0 < key.expires <= self._now():
            raise Refusal(KEY_EXPIRED)
        if self._lifetime and key.saved_at + self._lifetime <= self._now():
            raise Refusal(KEY_UNKNOWN, detail=_OUTLIVED)
