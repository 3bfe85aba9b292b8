"""Announcements through Valkey: a message on a channel, a confirmation of each worker on a list of the message's own.

A registry lists the workers. One that is silent for seven seconds is gone; on the same machine, one whose process is dead is gone at once.
A worker that was cut off looks into the store for what it missed when it is back, and a slow look at the database's generations finds what
no message said.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterable
from typing import Any, Final

from services.common import logging as logs
from services.gateway.announcements.link import ANSWER_S, Link
from services.gateway.announcements.port import Apply, Unreachable, not_taken_in, worker_name
from services.gateway.announcements.processes import identity, is_dead
from services.gateway.counters.resp import Address

log = logs.get(__name__)

CONFIRM_WITHIN: Final = 2.0
# Seconds that a publishing thread gives a Valkey that does not answer: a little more than its workers get.
_WITHIN: Final = CONFIRM_WITHIN + 0.5
_HEARTBEAT: Final = 2.0
_GONE_AFTER: Final = 7
_FORGOTTEN_AFTER: Final = 60
# Seconds between two looks at whether the workers that have not confirmed are alive.
_LOOK: Final = 0.25


class ThroughValkey:
    """Workers of one installation (`prefix`), on one or several machines."""

    def __init__(self, url: str, prefix: str) -> None:
        """Connect to nothing yet. Raises ValueError for a URL that cannot be understood."""
        # The worker's name, then its process.
        self._member = f"{worker_name()}#{identity(os.getpid())}"
        self._channel = f"{prefix}:changes"
        self._registry = f"{prefix}:workers"
        self._address = Address.from_url(url)
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
        # In a cluster the braces put it where the registry is. Workers learn the name from the message.
        replies = f"{{{self._registry}}}:confirmed:{uuid.uuid4().hex}"
        message = json.dumps({"kind": kind, "items": list(items), "replies": replies})
        deadline = time.monotonic() + CONFIRM_WITHIN
        try:
            with Link(self._address, _WITHIN) as link:
                expected = set(self._registered(link)) | {self._member}
                listening = int(link.call("PUBLISH", self._channel, message))
                confirmed: set[str] = set()
                died: set[str] = set()
                # A new subscriber is not in the registry yet, and one that has just gone still is: both are waited for.
                while (len(confirmed | died) < listening or expected - confirmed) and (left := deadline - time.monotonic()) > 0:
                    wait = min(left, _LOOK)
                    got = link.call("BLPOP", replies, f"{max(wait, 0.05):.3f}", wait=wait + ANSWER_S)
                    if got is not None:
                        confirmed.add(got[1].decode())
                    else:
                        died |= {member for member in expected - confirmed if _is_dead(member)}
                        expected -= died
                link.call("DEL", replies)
            missing = sorted(_name(member) for member in expected - confirmed)
            return missing if missing or len(confirmed | died) >= listening else ["(a worker that has no name yet)"]
        except Unreachable as error:
            log.error("change not announced", kind=kind, error=str(error))
            self._take_in(kind, list(items))
            return ["(all others: Valkey cannot be reached)"]

    def workers(self) -> list[str]:
        with Link(self._address, _WITHIN) as link:
            return sorted(_name(member) for member in self._registered(link))

    def _registered(self, link: Link) -> list[str]:
        """Return the workers that are alive, as far as is known here; remove the dead ones."""
        found: Any = link.call("ZRANGEBYSCORE", self._registry, _now(link) - _GONE_AFTER, "+inf")
        members = [member.decode() for member in found]
        dead = [member for member in members if _is_dead(member)]
        if dead:
            link.call("ZREM", self._registry, *dead)
        return [member for member in members if member not in dead]

    def stop(self) -> None:
        self._stop.set()
        try:
            with Link(self._address, _WITHIN) as link:
                link.call("ZREM", self._registry, self._member)
        except Unreachable as error:
            log.info("worker's name left to expire", error=str(error))
        if self._thread is not None:
            self._thread.join(2)

    def _listen(self) -> None:
        pause = 0.1
        while not self._stop.is_set():
            try:
                with Link(self._address) as subscription, Link(self._address) as link:
                    subscription.send("SUBSCRIBE", self._channel)
                    beaten = heard = time.monotonic()
                    self._register(link)
                    while not self._stop.is_set():
                        now = time.monotonic()
                        if now - beaten > _HEARTBEAT:
                            beaten = now
                            self._register(link)
                            subscription.send("PING")  # a connection that nobody holds at the other end looks quiet otherwise
                        if now - heard > _HEARTBEAT + ANSWER_S:
                            raise Unreachable("no answer in time")
                        message = subscription.next(0.25)
                        if message is None:
                            continue
                        heard = time.monotonic()
                        match message[0]:
                            case [b"subscribe", *_]:
                                pause = 0.1
                                # What was said since the last look at the store, or since the connection was lost, is unknown.
                                # Who is let in comes first, and whose APIs are switched off: it must not wait for many definitions.
                                self._take_in("keys", [])
                                self._take_in("certificates", [])
                                self._take_in("organisations", [])
                                self._take_in("definitions", [])
                                self._subscribed.set()
                            case [b"message", _, data]:
                                self._hear(link, data)
            except Exception as error:  # whatever happens to the connection must not end the listening
                log.warning("announcements interrupted; trying again", error=str(error) or type(error).__name__, pause_s=pause)
                self._stop.wait(pause)
                pause = min(pause * 2, 5.0)

    def _register(self, link: Link) -> None:
        now = _now(link)
        link.call("ZADD", self._registry, now, self._member)
        link.call("ZREMRANGEBYSCORE", self._registry, "-inf", now - _FORGOTTEN_AFTER)

    def _hear(self, link: Link, data: bytes) -> None:
        said = json.loads(data)
        if self._take_in(said["kind"], said["items"]):
            link.call("RPUSH", said["replies"], self._member)
            link.call("EXPIRE", said["replies"], 10)

    def _take_in(self, kind: str, items: list[str]) -> bool:
        try:
            assert self._apply is not None
            self._apply(kind, items)
        except Exception as error:
            not_taken_in(kind, error)
            return False
        return True


def _name(member: str) -> str:
    return member.partition("#")[0]


def _is_dead(member: str) -> bool:
    return is_dead(member.partition("#")[2])


def _now(link: Link) -> int:
    """Return epoch seconds by the server's clock: those of the workers may differ, or jump."""
    return int(link.call("TIME")[0])
