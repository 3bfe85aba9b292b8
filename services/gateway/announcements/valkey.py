"""Announcements through Valkey: a message on a channel, a confirmation of each worker on a list of the message's own.

A worker that was cut off takes everything in anew when it is back, and a slow look at the database's generations finds what no message
said.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterable
from typing import Any, Final

import redis

from services.common import logging as logs
from services.gateway.announcements import Apply, Unreachable, worker_name

log = logs.get(__name__)

CONFIRM_WITHIN: Final = 2.0
_HEARTBEAT: Final = 2.0
_GONE_AFTER: Final = 7.0


class ThroughValkey:
    """Workers of one installation (`prefix`), on one or several machines."""

    def __init__(self, url: str, prefix: str) -> None:
        self._name = worker_name()
        self._channel = f"{prefix}:changes"
        self._registry = f"{prefix}:workers"
        self._prefix = prefix
        self._client = redis.Redis.from_url(
            url.replace("valkeys://", "rediss://").replace("valkey://", "redis://"),
            socket_timeout=5,
            socket_connect_timeout=2,
            health_check_interval=15,
        )
        self._stop = threading.Event()
        self._subscribed = threading.Event()
        self._apply: Apply | None = None
        self._thread: threading.Thread | None = None

    def start(self, apply: Apply) -> None:
        self._apply = apply
        self._thread = threading.Thread(target=self._listen, name="announcements", daemon=True)
        self._thread.start()
        self._subscribed.wait(CONFIRM_WITHIN)

    def publish(self, kind: str, items: Iterable[str] = ()) -> list[str]:
        replies = f"{self._prefix}:confirmed:{uuid.uuid4().hex}"
        message = json.dumps({"kind": kind, "items": list(items), "replies": replies})
        try:
            expected = set(self._known_workers()) | {self._name}
            listening = int(self._client.publish(self._channel, message))
            deadline = time.monotonic() + CONFIRM_WITHIN
            confirmed: set[str] = set()
            # Who subscribed a moment ago is not in the registry yet, and who has just gone still is: both are waited for.
            while (len(confirmed) < listening or expected - confirmed) and (left := deadline - time.monotonic()) > 0:
                got: Any = self._client.blpop([replies], timeout=max(left, 0.05))
                if got is None:
                    break
                confirmed.add(got[1].decode())
            self._client.delete(replies)
            missing = sorted(expected - confirmed)
            return missing if missing or len(confirmed) >= listening else ["(a worker that has no name yet)"]
        except redis.RedisError as error:
            log.error("a change could not be announced", kind=kind, error=type(error).__name__)
            self._take_in(kind, list(items))
            return ["(all others: Valkey cannot be reached)"]

    def workers(self) -> list[str]:
        try:
            return self._known_workers()
        except redis.RedisError as error:
            raise Unreachable(type(error).__name__) from None

    def _known_workers(self) -> list[str]:
        alive = time.time() - _GONE_AFTER
        found: Any = self._client.zrangebyscore(self._registry, alive, "+inf")
        return sorted(name.decode() for name in found)

    def stop(self) -> None:
        self._stop.set()
        try:
            self._client.zrem(self._registry, self._name)
        except redis.RedisError:
            log.info("Valkey cannot be reached; this worker's name goes by itself")
        if self._thread is not None:
            self._thread.join(2)
        self._client.close()

    def _listen(self) -> None:
        pause = 0.1
        while not self._stop.is_set():
            subscription = self._client.pubsub(ignore_subscribe_messages=False)  # type: ignore[no-untyped-call]
            try:
                subscription.subscribe(self._channel)
                beaten = 0.0
                while not self._stop.is_set():
                    if time.monotonic() - beaten > _HEARTBEAT:
                        self._client.zadd(self._registry, {self._name: time.time()})
                        self._client.zremrangebyscore(self._registry, "-inf", time.time() - 60)
                        beaten = time.monotonic()
                    message = subscription.get_message(timeout=0.25)
                    if message is None:
                        continue
                    if message["type"] == "subscribe":
                        pause = 0.1
                        # What was said since the last look at the store, or since the connection was lost, is unknown.
                        self._take_in("definitions", [])
                        self._take_in("keys", [])
                        self._subscribed.set()
                    elif message["type"] == "message":
                        said = json.loads(message["data"])
                        if self._take_in(said["kind"], said["items"]):
                            self._client.rpush(said["replies"], self._name)
                            self._client.expire(said["replies"], 10)
            except Exception as error:  # a message that nobody understands must not end the listening either
                log.warning("announcements are not heard, trying again", error=type(error).__name__, pause_s=pause)
                self._stop.wait(pause)
                pause = min(pause * 2, 5.0)
            finally:
                subscription.close()

    def _take_in(self, kind: str, items: list[str]) -> bool:
        try:
            assert self._apply is not None
            self._apply(kind, items)
        except Exception:
            log.exception("a change could not be taken in", kind=kind)
            return False
        return True
