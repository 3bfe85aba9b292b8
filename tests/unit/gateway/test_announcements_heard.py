"""What a worker hears through Valkey: nothing is missed before it listens, and rubbish on the channel does not end the listening."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from services.gateway.announcements import Unreachable, worker_name
from services.gateway.announcements.link import Link
from services.gateway.announcements.valkey import ThroughValkey
from services.gateway.counters.resp import Address
from tests.support.stores import Valkey
from tests.support.waiting import wait_until


def test_what_was_said_before_a_worker_listened_is_taken_in(valkey: Valkey) -> None:
    heard: list[str] = []
    worker = ThroughValkey(valkey.url, "test")
    worker.start(lambda kind, items: heard.append(kind))
    try:
        wait_until(lambda: heard == ["definitions", "keys"], what="it taking everything in")
    finally:
        worker.stop()


def test_a_message_that_nobody_understands_does_not_end_the_listening(valkey: Valkey) -> None:
    heard: list[list[str]] = []
    worker = ThroughValkey(valkey.url, "test")
    worker.start(lambda kind, items: heard.append(items))
    try:
        for rubbish in ("rubbish", "[]", "{}"):
            valkey.client.publish("test:changes", rubbish)
        wait_until(lambda: worker.publish("keys", ["after"]) == [], what="a confirmation")  # it may be listening anew just now
        assert heard[-1] == ["after"]
    finally:
        worker.stop()


def test_a_clock_that_is_wrong_hides_no_worker(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is there is judged by Valkey's clock; a worker on a machine whose clock is behind would not be waited for."""
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)
    worker = ThroughValkey(valkey.url, "test")
    worker.start(lambda kind, items: None)
    monkeypatch.undo()
    other = ThroughValkey(valkey.url, "test")
    try:
        wait_until(lambda: other.workers() == [worker_name()], what="the worker's name")
    finally:
        worker.stop()
        other.stop()
    assert other.workers() == []


def test_nobody_can_be_asked_who_runs_without_valkey(valkey: Valkey) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    away = ThroughValkey(f"redis://user:hunter2@127.0.0.1:{port}/0", "test")
    with pytest.raises(Unreachable) as refused:
        away.workers()
    assert "hunter2" not in str(refused.value)
    heard: list[str] = []
    away._apply = lambda kind, items: heard.append(kind)
    assert away.publish("keys", ["a"]) == ["(all others: Valkey cannot be reached)"]
    assert heard == ["keys"], "it has told itself"


def test_it_listens_again_after_an_outage(valkey_server: Valkey) -> None:
    heard: list[tuple[str, list[str]]] = []
    worker = ThroughValkey(valkey_server.url, "test")
    worker.start(lambda kind, items: heard.append((kind, items)))
    try:
        valkey_server.stop()
        valkey_server.start()
        wait_until(lambda: heard.count(("definitions", [])) >= 2, 30, "it taking everything in anew")
        wait_until(lambda: worker.publish("keys", ["after"]) == [], 30, "a confirmation")
    finally:
        worker.stop()


def test_a_password_and_a_database(valkey: Valkey) -> None:
    valkey.client.config_set("requirepass", "hunter2")
    try:
        with Link(Address.from_url(f"redis://:hunter2@127.0.0.1:{valkey.port}/3")) as link:
            link.call("SET", "a", "1")
            assert link.call("GET", "a") == b"1"
            assert link.call("GET", "b") is None
            assert b"db=3" in link.call("CLIENT", "INFO")
            with pytest.raises(Unreachable, match="WRONGTYPE"):
                link.call("LPUSH", "a", "1")
        with pytest.raises(Unreachable, match="WRONGPASS"):
            Link(Address.from_url(f"redis://:wrong@127.0.0.1:{valkey.port}/3"))
    finally:
        valkey.client.config_set("requirepass", "")


def test_a_server_that_hangs_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address.from_url(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        with Link(address) as link, pytest.raises(Unreachable, match="no answer"):
            link.call("PING", wait=0.1)


class Patient(Link):
    """Waits an hour for an answer unless everything together may take less."""

    def call(self, *command: str | bytes | int, wait: float = 3600.0) -> Any:
        return super().call(*command, wait=wait)


def test_a_change_is_not_held_up_by_a_server_that_hangs(valkey_server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[str, list[str]]] = []
    worker = ThroughValkey(valkey_server.url, "test")
    worker.start(lambda kind, items: heard.append((kind, items)))
    valkey_server.hang()
    try:
        missing: list[str] = []
        with monkeypatch.context() as patient:
            patient.setattr("services.gateway.announcements.valkey.Link", Patient)
            telling = threading.Thread(target=lambda: missing.extend(worker.publish("keys", ["a"])), daemon=True)
            telling.start()
            telling.join(30)
        assert missing == ["(all others: Valkey cannot be reached)"]
        assert heard[-1] == ("keys", ["a"])
    finally:
        valkey_server.go_on()
        worker.stop()
