"""What a worker hears through Valkey: nothing is missed before it listens, and rubbish on the channel does not end the listening."""

from __future__ import annotations

from services.gateway.announcements.valkey import ThroughValkey
from tests.support.stores import Valkey


def test_what_was_said_before_a_worker_listened_is_taken_in(valkey: Valkey) -> None:
    heard: list[str] = []
    worker = ThroughValkey(valkey.url, "test")
    worker.start(lambda kind, items: heard.append(kind))
    try:
        assert heard == ["definitions", "keys"]
    finally:
        worker.stop()


def test_a_message_that_nobody_understands_does_not_end_the_listening(valkey: Valkey) -> None:
    heard: list[list[str]] = []
    worker = ThroughValkey(valkey.url, "test")
    worker.start(lambda kind, items: heard.append(items))
    try:
        for rubbish in ("rubbish", "[]", "{}"):
            valkey.client.publish("test:changes", rubbish)
        worker.publish("keys", ["before"])  # it may be listening anew just now
        assert worker.publish("keys", ["after"]) == []
        assert heard[-1] == ["after"]
    finally:
        worker.stop()
