"""Makes the calls of the outbox: several at a time, a hook's not all at once, again after growing pauses for a day.

A call is made at least once; its `webhook-id` stays the same, so that a receiver can tell a repetition. Signed as Standard Webhooks say, when
the hook has a secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network, IPv6Network
from typing import Final

import requests

from services.common import logging as logs
from services.gateway.events import targets
from services.gateway.stores.events import Delivery, Outbox

log = logs.get(__name__)

_AT_ONCE: Final = 8
_AT_ONCE_OF_HOOK: Final = 3
_LEASE: Final = 90.0  # longer than any call may take
_LOOK: Final = 1.0
_SWEEP: Final = 600.0
_GIVE_UP_AFTER: Final = 86_400.0
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 4 * 3600.0
_GONE: Final = 410

SecretOf = Callable[[str], str]


def pause_after(attempts: int) -> float:
    """Seconds until the next attempt; spread, so that many do not come at once."""
    return min(_FIRST_PAUSE * 3**attempts, _LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311  no secret


def signature(secret: str, id: str, timestamp: str, body: bytes) -> str:
    """`v1,…` of Standard Webhooks: HMAC-SHA-256 over id, timestamp and body. A secret `whsec_…` is base64, any other is taken as it is."""
    encoded = secret.removeprefix("whsec_")
    key = base64.b64decode(encoded) if encoded != secret else secret.encode()
    signed = b".".join((id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


class Courier:
    """One thread that takes leases and a pool that makes the calls. secret_of: a hook's signing secret by its id, "" = none."""

    def __init__(
        self,
        outbox: Outbox,
        secret_of: SecretOf,
        allowed: Sequence[IPv4Network | IPv6Network],
        *,
        now: Callable[[], float] = time.time,
        call: Callable[..., int] = targets.call,
    ) -> None:
        self._outbox = outbox
        self._secret_of = secret_of
        self._allowed = allowed
        self._now = now
        self._call = call
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There may be calls to make."""
        self._due.set()

    def stop(self, timeout: float = 5.0) -> None:
        """Takes no more leases and waits for the calls under way; what does not end in time is made again by another worker."""
        self._stopping.set()
        self._due.set()
        self._thread.join(timeout)
        deadline = time.monotonic() + timeout
        while self._under_way.total() and time.monotonic() < deadline:
            self._stopping.wait(0.02)
            self._due.wait(0.02)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        swept = 0.0
        well = True
        while not self._stopping.is_set():
            self._due.wait(_LOOK)
            self._due.clear()
            try:
                while not self._stopping.is_set() and self._take():
                    pass
                if time.monotonic() - swept > _SWEEP:
                    self._outbox.sweep(self._now())
                    swept = time.monotonic()
                well = True
            except Exception as error:
                if well:
                    log.error("the outbox cannot be read", error=type(error).__name__)
                well = False
                self._stopping.wait(_LOOK)

    def _take(self) -> bool:
        """Leases what there is room for. True when there may be more."""
        with self._lock:
            room = _AT_ONCE - self._under_way.total()
            busy = [hook for hook, calls in self._under_way.items() if calls >= _AT_ONCE_OF_HOOK]
        if room <= 0:
            return False
        leased = self._outbox.lease(self._now(), _LEASE, 1 if room == 1 else room, busy)
        for delivery in leased:
            with self._lock:
                self._under_way[delivery.hook_id] += 1
            self._pool.submit(self._make, delivery)
        return len(leased) == room and room > 1

    def _make(self, delivery: Delivery) -> None:
        try:
            self._attempt(delivery)
        except Exception:  # the outbox is away: the lease ends, and the call is made again
            log.exception("a webhook call could not be noted", delivery=delivery.id)
        finally:
            with self._lock:
                self._under_way[delivery.hook_id] -= 1
                if not self._under_way[delivery.hook_id]:
                    del self._under_way[delivery.hook_id]
            self._due.set()

    def _attempt(self, delivery: Delivery) -> None:
        body = delivery.body.encode("utf-8", "replace")
        status: int | None = None
        try:
            status = self._call(delivery.method, delivery.url, self._headers(delivery, body), body, self._allowed)
            error = f"the target answered {status}"
        except targets.TargetRefused as refused:
            self._outbox.given_up(delivery.id, None, str(refused), self._now())
            return
        except (OSError, ValueError, requests.RequestException) as failure:
            error = f"the target could not be called ({type(failure).__name__})"
        now = self._now()
        if status is not None and 200 <= status < 300:
            self._outbox.delivered(delivery.id, status, now)
        elif status == _GONE or now - delivery.created_at >= _GIVE_UP_AFTER:
            log.warning("a webhook call was given up", delivery=delivery.id, hook=delivery.hook_id, error=error)
            self._outbox.given_up(delivery.id, status, error, now)
        else:
            self._outbox.failed(delivery.id, status, error, now + pause_after(delivery.attempts))

    def _headers(self, delivery: Delivery, body: bytes) -> list[tuple[str, str]]:
        timestamp = str(int(self._now()))
        headers = [
            ("User-Agent", "Tyk-Hookshot"),
            ("Content-Type", "application/json"),
            ("webhook-id", delivery.id),
            ("webhook-timestamp", timestamp),
        ]
        secret = self._secret_of(delivery.hook_id)
        if secret:
            headers.append(("webhook-signature", signature(secret, delivery.id, timestamp, body)))
        return headers + delivery.headers
