"""Tells a client how much of its limits is left, without charging anything: `GET {listen_path}tyk/rate-limits/`.

The answer is Tyk's: `{"quota": {"quota_max", "quota_remaining", "quota_renews"}, "rate_limit": {"requests", "per_unit"}}`. Without a quota
the first two are -1; a quota that is never renewed has 0. When the version has a white list, this path must be on it.

Refusals: none of its own.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final

from services.gateway.counters.port import Counters, Taken
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange, Reply
from services.gateway.keys.model import Limited
from services.gateway.ports import Ports

PATH: Final = "/tyk/rate-limits/"


@dataclass(frozen=True, slots=True)
class Spec:
    """api_id: whose limits a key may have apart. The middleware has no fields."""

    api_id: str


def fields(reader: DefinitionReader) -> Spec | None:
    """Return the API's id; None for a keyless API."""
    return None if reader.definition.use_keyless else Spec(reader.definition.api_id)


def build(spec: Spec, ports: Ports) -> RateLimitStatus:
    """Build the answer from the counters."""
    return RateLimitStatus(spec.api_id, ports.counters)


class RateLimitStatus:
    """Answers one path; other requests go on."""

    __slots__ = ("_api_id", "_counters")

    def __init__(self, api_id: str, counters: Counters) -> None:
        self._api_id = api_id
        self._counters = counters

    def on_request(self, exchange: Exchange) -> Awaitable[Reply] | Reply | None:
        if exchange.relative != PATH or exchange.method not in ("GET", "HEAD"):
            return None
        whole = exchange.key
        assert whole is not None  # authentication came before
        key: Limited = whole if whole.limits is None else whole.limits.get(self._api_id, whole)
        if key.quota_max <= 0:
            return _reply(key, None)
        looked = self._counters.look(key.quota_counter, key.quota_max, max(key.quota_renewal_rate, 0), durable=True)
        return _reply(key, looked) if isinstance(looked, tuple) else _wait(key, looked)


async def _wait(key: Limited, looking: Awaitable[Taken]) -> Reply:
    return _reply(key, await looking)


def _reply(key: Limited, quota: Taken | None) -> Reply:
    state = {
        "quota": {
            "quota_max": -1 if quota is None else key.quota_max,
            "quota_remaining": -1 if quota is None else quota.remaining,
            "quota_renews": 0 if quota is None else int(quota.reset_at),
        },
        "rate_limit": {"requests": _plain(key.rate), "per_unit": _plain(key.per)},
    }
    return Reply(200, [(b"Content-Type", b"application/json")], json.dumps(state).encode("ascii") + b"\n")


def _plain(number: float) -> float:
    return int(number) if number == int(number) else number
