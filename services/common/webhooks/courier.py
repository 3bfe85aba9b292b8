"""Makes the calls of the outbox: several at a time, a receiver's not all at once, again after growing pauses for a day.

A call is made at least once; its `webhook-id` stays the same, so that a receiver can tell a repetition. It is signed as Standard Webhooks
say when the hook has a secret.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from services.common import logging as logs
from services.common.addresses import Network
from services.common.webhooks.metrics import CourierMetrics
from services.common.webhooks.outbox import Delivery, Outbox
from services.common.webhooks.signing import CannotSign, SecretOf, signature
from services.common.webhooks.targets import TargetRefused

log = logs.get(__name__)

AT_ONCE: Final = 16
AT_ONCE_OF_LANE: Final = 3
LEASE: Final = 120.0  # longer than any call may take
_LOOK: Final = 1.0
_SWEEP: Final = 600.0
_COUNT: Final = 15.0
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 4 * 3600.0
_GONE: Final = 410


Headers = Sequence[tuple[str, str]]
Networks = Sequence[Network]


def pause_after(attempts: int) -> float:
    """Return the seconds until the next attempt; spread, so that many do not come at once. attempts: those that failed before this one."""
    return min(_FIRST_PAUSE * 3.0 ** min(attempts, 20), _LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311  no secret


def _call(method: str, url: str, headers: Headers, body: bytes, allowed: Networks) -> int:
    # Imported at the first call: a worker that makes none is spared the 5 MB of an HTTP client.
    from services.common.webhooks.calls import call

    return call(method, url, headers, body, allowed)


class Courier:
    """One thread that takes leases, and one for each call under way.

    The threads are daemons: a receiver that does not answer holds up no worker that stops. Several processes may share an outbox.
    """

    def __init__(
        self,
        outbox: Outbox,
        secret_of: SecretOf,
        allowed: Networks,
        *,
        user_agent: str = "Gatehouse",
        allowed_by: str = "",
        now: Callable[[], float] = time.time,
        call: Callable[..., int] = _call,
        body_of: Callable[[Delivery], str] | None = None,
        lease: float = LEASE,
        look: float = _LOOK,
    ) -> None:
        """secret_of: a webhook's signing secret by its id, "" = none; raises CannotSign: then the call waits as one that failed, and never
        goes out unsigned. allowed: private networks that may be called. allowed_by: the setting that names them, for those who read why a
        call was refused. user_agent: unless the call has its own. now: epoch seconds. body_of: returns what a call sends, None = what the
        outbox holds; raises as `secret_of`. lease: seconds, longer than any call may take. look: seconds between two looks into the outbox
        when nobody wakes it.
        """
        self._outbox = outbox
        self._secret_of = secret_of
        self._allowed = allowed
        self._user_agent = user_agent
        self._remedy = f"; {allowed_by} can name networks that may be called" if allowed_by else ""
        self._now = now
        self._call = call
        self._body_of = body_of or (lambda delivery: delivery.body)
        self._lease = lease
        self._look = look
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._under_way: Counter[str] = Counter()
        self.metrics = CourierMetrics()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Look at once for calls to make."""
        self._due.set()

    def stop(self, timeout: float = 5.0) -> None:
        """Take no more leases and wait for the calls under way; what does not end in time is made again by another worker."""
        deadline = time.monotonic() + timeout
        self._stopping.set()
        self._due.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        swept = counted = -_SWEEP
        well = True
        while not self._stopping.is_set():
            self._due.wait(self._look)
            self._due.clear()
            try:
                while not self._stopping.is_set() and self._take():
                    pass
                if time.monotonic() - swept > _SWEEP:
                    self._outbox.sweep(self._now())
                    swept = time.monotonic()
                if time.monotonic() - counted > _COUNT:
                    self.metrics.backlog(self._outbox.backlog(self._now()))
                    counted = time.monotonic()
                well = True
            except Exception as error:
                if well:
                    log.error("outbox unreadable", error=type(error).__name__)
                well = False
                self.metrics.backlog(None)
                counted = -_SWEEP
                self._stopping.wait(self._look)

    def _take(self) -> bool:
        """Lease what there is room for, and begin to call. True when there may be more."""
        with self._changed:
            under_way = dict(self._under_way)
        room = AT_ONCE - sum(under_way.values())
        if room <= 0:
            return False
        leased = self._outbox.lease(self._now(), self._lease, room, under_way, AT_ONCE_OF_LANE)
        for delivery in leased:
            with self._changed:
                self._under_way[delivery.lane] += 1
            threading.Thread(target=self._make, args=(delivery,), name="webhook", daemon=True).start()
        return bool(leased)

    def _make(self, delivery: Delivery) -> None:
        try:
            self._attempt(delivery)
        except Exception as error:  # the outbox is away: the lease ends, and the call is made again
            log.error("webhook result not stored", delivery=delivery.id, error=type(error).__name__)
        finally:
            with self._changed:
                self._under_way[delivery.lane] -= 1
                self._under_way += Counter()  # leaves out what is zero
                self._changed.notify_all()
            self._due.set()

    def _attempt(self, delivery: Delivery) -> None:
        status: int | None = None
        try:
            body = self._body_of(delivery).encode("utf-8", "replace")
            secret = self._secret_of(delivery.hook_id)
            status = self._call(delivery.method, delivery.url, self._headers(delivery, secret, body), body, self._allowed)
            error = f"the target answered {status}"
        except TargetRefused as refused:
            error = f"{refused}{self._remedy}"
            log.warning("webhook call refused", delivery=delivery.id, hook=delivery.hook_id, error=error)
            self._give_up(delivery, None, error)
            return
        except CannotSign as failure:
            error = str(failure)
        except (OSError, ValueError) as failure:
            error = f"the target could not be called ({type(failure).__name__})"
        now = self._now()
        if status is not None and 200 <= status < 300:
            self._outbox.delivered(delivery, status, now)
            self.metrics.call("delivered")
        elif status == _GONE or now >= delivery.give_up_at:
            log.warning("webhook call given up", delivery=delivery.id, hook=delivery.hook_id, error=error)
            self._give_up(delivery, status, error)
        else:
            self._outbox.failed(delivery, status, error, min(now + pause_after(delivery.attempts), delivery.give_up_at))
            self.metrics.call("failed")

    def _give_up(self, delivery: Delivery, status: int | None, error: str) -> None:
        self._outbox.given_up(delivery, status, error, self._now())
        self.metrics.call("given up")

    def _headers(self, delivery: Delivery, secret: str, body: bytes) -> list[tuple[str, str]]:
        timestamp = str(int(self._now()))
        headers = [
            ("User-Agent", self._user_agent),
            ("Content-Type", "application/json"),
            ("webhook-id", delivery.id),
            ("webhook-timestamp", timestamp),
        ]
        if secret:
            headers.append(("webhook-signature", signature(secret, delivery.id, timestamp, body)))
        return headers + delivery.headers
