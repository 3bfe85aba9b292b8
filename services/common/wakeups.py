"""Wake threads that wait for a topic: long polls, streams, delivery threads.

`InProcess` serves one process; `ThroughValkey` carries every wake-up to all processes that share a Valkey. A wake-up is only a hint: it may
come twice or without cause, and while a connection is broken every waiter is woken at each attempt to mend it, because one may have been
lost. So a waiter always looks at its store: take a ticket, look, wait, look again.

    ticket = wakeups.ticket("interaction:42")
    try:
        while (found := look()) is None and ticket.wait(remaining()):
            pass
    finally:
        ticket.close()
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol

import redis

from services.common import logging as logs

log = logs.get(__name__)

_LONGEST_WAIT_S = 0.5  # of the subscriber thread for a message, and of the end for Valkey
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_MOST_UNSENT = 10_000
_FROM = "from:"  # begins the line of a message that is no topic

Hear = Callable[[str | None], None]


class Ticket:
    """One waiter's place at one or several topics. A wake-up between the making of the ticket and `wait` is not lost."""

    __slots__ = ("_board", "_closed", "_event", "topics")

    def __init__(self, board: _Board, topics: tuple[str, ...]) -> None:
        self._board = board
        self._event = threading.Event()
        self._closed = False
        self.topics = topics

    def wait(self, timeout: float) -> bool:
        """Wait for a wake-up, at most `timeout` seconds. True when woken, False when the time is over or everything shuts down."""
        if self._board.closed or timeout <= 0:
            return False
        if not self._event.wait(timeout):
            return False  # not cleared: a wake-up that came right now belongs to the next wait
        self._event.clear()
        return not self._board.closed

    def wake(self) -> None:
        self._event.set()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._board.remove(self)

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Board:
    """The tickets of this process, by topic."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[Ticket]] = {}
        self.hearers: tuple[Hear, ...] = ()
        self.closed = False

    def ticket(self, topics: tuple[str, ...]) -> Ticket:
        ticket = Ticket(self, topics)
        with self._lock:
            for topic in topics:
                self._waiting.setdefault(topic, set()).add(ticket)
        return ticket

    def remove(self, ticket: Ticket) -> None:
        with self._lock:
            for topic in ticket.topics:
                waiting = self._waiting.get(topic)
                if waiting is not None:
                    waiting.discard(ticket)
                    if not waiting:
                        del self._waiting[topic]

    def wake(self, topic: str) -> None:
        for hear in self.hearers:
            hear(topic)
        with self._lock:
            tickets = list(self._waiting.get(topic, ()))
        for ticket in tickets:
            ticket.wake()

    def wake_all(self) -> None:
        for hear in self.hearers:
            hear(None)
        with self._lock:
            tickets = {ticket for waiting in self._waiting.values() for ticket in waiting}
        for ticket in tickets:
            ticket.wake()

    def close(self) -> None:
        self.closed = True
        self.wake_all()


class Wakeups(Protocol):
    """The port. `publish` after the commit, never before.

    `listen`: call a function with each topic before its tickets are woken, with None before all are: for what is remembered of a topic,
    which must be forgotten before somebody looks. It is called in any thread, must not wait and must not raise.
    """

    def ticket(self, *topics: str) -> Ticket: ...

    def publish(self, topics: Iterable[str]) -> None: ...

    def listen(self, hear: Hear) -> None: ...

    @property
    def closing(self) -> bool: ...

    def close(self) -> None: ...


class InProcess:
    """Wake-ups within one process."""

    def __init__(self) -> None:
        self._board = _Board()

    def ticket(self, *topics: str) -> Ticket:
        return self._board.ticket(topics)

    def publish(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._board.wake(topic)

    def listen(self, hear: Hear) -> None:
        self._board.hearers += (hear,)

    @property
    def closing(self) -> bool:
        return self._board.closed

    def close(self) -> None:
        """Wake everybody for good: every `wait` answers False from now on."""
        self._board.close()


class ThroughValkey:
    """Wake-ups through Valkey's publish and subscribe: one thread that listens and one that sends a process, one channel a service."""

    def __init__(self, url: str, channel: str) -> None:
        self._board = _Board()
        self._channel = channel
        self._url = url.replace("valkeys://", "rediss://").replace("valkey://", "redis://")
        self._client = redis.Redis.from_url(self._url, socket_timeout=5, socket_connect_timeout=2, health_check_interval=15)
        self._stop = threading.Event()
        self._subscribed = threading.Event()
        self._name = f"{_FROM}{secrets.token_hex(8)}"  # a process wakes itself without Valkey, and need not hear itself again
        self._unsent: set[str] = set()
        self._something_to_do = threading.Condition()
        self._thread = threading.Thread(target=self._listen, name="wakeups", daemon=True)
        self._sender = threading.Thread(target=self._send, name="wakeups-out", daemon=True)
        self._thread.start()
        self._sender.start()

    def ticket(self, *topics: str) -> Ticket:
        return self._board.ticket(topics)

    def publish(self, topics: Iterable[str]) -> None:
        """Wake all processes: this one now, the others a moment later. Never waits for Valkey; what it does not take is sent again.

        Of an outage it keeps 10,000 topics. Processes that were cut off look again by themselves.
        """
        topics = list(topics)
        for topic in topics:
            self._board.wake(topic)
        with self._something_to_do:
            if len(self._unsent) < _MOST_UNSENT:
                self._unsent.update(topics)
            self._something_to_do.notify()

    def listen(self, hear: Hear) -> None:
        self._board.hearers += (hear,)

    @property
    def closing(self) -> bool:
        return self._board.closed

    def close(self) -> None:
        """Wake everybody of this process for good, and end the subscription: at once, or within seconds while Valkey does not answer."""
        self._board.close()
        self._stop.set()
        with self._something_to_do:
            self._something_to_do.notify()
        self._sender.join(_LONGEST_WAIT_S)
        if self._subscribed.is_set():
            self._end_the_wait()
        self._thread.join(3)
        self._client.close()

    def _end_the_wait(self) -> None:
        """Send the subscriber thread the message that it waits for: one without a topic, which wakes no waiter in any process."""
        with (
            contextlib.suppress(redis.RedisError),
            redis.Redis.from_url(self._url, socket_timeout=_LONGEST_WAIT_S, socket_connect_timeout=_LONGEST_WAIT_S) as client,
        ):
            client.publish(self._channel, "")

    def wait_until_subscribed(self, timeout: float) -> bool:
        """Wait for the subscription and say whether it stands; messages published earlier are not seen."""
        return self._subscribed.wait(timeout)

    def _send(self) -> None:
        pause = _SHORTEST_PAUSE_S
        while True:
            with self._something_to_do:
                self._something_to_do.wait_for(lambda: self._unsent or self._stop.is_set())
                topics, self._unsent = self._unsent, set()
            if not topics:
                return
            try:
                self._client.publish(self._channel, "\n".join([self._name, *topics]))
                pause = _SHORTEST_PAUSE_S
            except (redis.RedisError, OSError) as error:
                log.warning("wake-up not sent, trying again", error=type(error).__name__, pause_s=pause)
                with self._something_to_do:
                    self._unsent |= topics
                if self._stop.wait(pause):
                    return
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _listen(self) -> None:
        pause = _SHORTEST_PAUSE_S
        while not self._stop.is_set():
            subscription = self._client.pubsub(ignore_subscribe_messages=False)  # type: ignore[no-untyped-call]
            try:
                subscription.subscribe(self._channel)
                while not self._stop.is_set():
                    message = subscription.get_message(timeout=_LONGEST_WAIT_S)
                    if message is None:
                        continue
                    if message["type"] == "subscribe":
                        pause = _SHORTEST_PAUSE_S
                        self._board.wake_all()
                        self._subscribed.set()
                    elif message["type"] == "message":
                        self._take(message["data"].decode().split("\n"))
            except (redis.RedisError, OSError) as error:
                self._subscribed.clear()
                log.warning("subscription lost, trying again", error=type(error).__name__, pause_s=pause)
                self._board.wake_all()  # what others publish is not heard: waiters look by themselves, at each attempt
                self._stop.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            finally:
                with contextlib.suppress(redis.RedisError, OSError):
                    subscription.close()

    def _take(self, lines: list[str]) -> None:
        """Wake who waits for these topics, unless this process sent them. lines: the first names the process that did."""
        if lines[0] == self._name:
            return
        for topic in lines:
            if not topic.startswith(_FROM):
                self._board.wake(topic)


def create(valkey_url: str | None, channel: str) -> InProcess | ThroughValkey:
    """Create the implementation that the settings choose."""
    return ThroughValkey(valkey_url, channel) if valkey_url else InProcess()
