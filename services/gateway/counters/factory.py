"""Chooses where counters live."""

from __future__ import annotations

from services.gateway.counters.ledger import Ledger
from services.gateway.counters.memory import MemoryCounters
from services.gateway.counters.port import Counters
from services.gateway.counters.valkey import ValkeyCounters


def create(valkey_url: str | None, prefix: str, ledger: Ledger | None) -> Counters:
    """Return shared counters when a Valkey is named, else this process's own, with quotas written behind to `ledger` (None = not kept).

    prefix: begins every name in Valkey. Raises ValueError for a URL that cannot be understood.
    """
    return ValkeyCounters(valkey_url, prefix) if valkey_url else MemoryCounters(ledger)
