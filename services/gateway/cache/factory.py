"""Chooses where answers are kept."""

from __future__ import annotations

from services.gateway.cache.memory import MemoryAnswers
from services.gateway.cache.port import AnswerStore
from services.gateway.cache.valkey import ValkeyAnswers


def create(valkey_url: str | None, prefix: str, most: int) -> AnswerStore:
    """Return a store in Valkey when one is named, else one in this process. most: bytes that this worker keeps.
    prefix: begins every name in Valkey.

    Raises ValueError for a URL that cannot be understood.
    """
    return ValkeyAnswers(valkey_url, prefix, most) if valkey_url else MemoryAnswers(most)
