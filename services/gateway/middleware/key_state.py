"""Refuses keys that were switched off or have ended.

Reads nothing of the definition but `use_keyless`; of the key `is_inactive` and `expires` (epoch seconds, 0 or less = never).
Refusals: key-inactive, key-expired.
"""

from __future__ import annotations

from collections.abc import Callable

from services.gateway.definitions.model import Definition
from services.gateway.exchange import Exchange
from services.gateway.ports import Ports
from services.gateway.refusals import KEY_EXPIRED, KEY_INACTIVE, Refusal


class KeyState:
    """Inactive is said before expired, as in Tyk."""

    __slots__ = ("_now",)

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    @classmethod
    def from_definition(cls, definition: Definition, ports: Ports) -> KeyState | None:
        return None if definition.use_keyless else cls(ports.now)

    def on_request(self, exchange: Exchange) -> None:
        key = exchange.key
        if key is None or key.is_inactive:
            raise Refusal(KEY_INACTIVE)
        if 0 < key.expires <= self._now():
            raise Refusal(KEY_EXPIRED)
