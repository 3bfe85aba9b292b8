"""Chooses how workers hear of changes."""

from __future__ import annotations

from services.gateway.announcements.one_worker import OneWorker
from services.gateway.announcements.port import Announcements
from services.gateway.announcements.valkey import ThroughValkey


def create(valkey_url: str | None, prefix: str) -> Announcements:
    """Return announcements through a Valkey when one is named, else this worker's own. prefix: begins every name in Valkey.

    Raises ValueError for a URL that cannot be understood.
    """
    return ThroughValkey(valkey_url, prefix) if valkey_url else OneWorker()
