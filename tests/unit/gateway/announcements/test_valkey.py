"""What a worker hears through Valkey: nothing is missed before it listens, and rubbish on the channel does not end the listening."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from services.gateway.announcements.link import Link
from services.gateway.announcements.one_worker import OneWorker
from services.gateway.announcements.port import Unreachable, worker_name
from services.gateway.announcements.processes import identity, is_dead
from services.gateway.announcements.valkey import ThroughValkey
from services.gateway.counters.resp import Address
from tests.support.log_lines import captured
from tests.support.processes import ROOT
from tests.support.stores import Valkey
from tests.support.valkey_cluster import Cluster
from tests.support.waiting import wait_until


def test_what_was_said_before_a_worker_listened_is_taken_in(valkey: Valkey) -> None:
    heard: list[str] = []
    worker = ThroughValkey(valkey.url, "test")
    worker.start(lambda kind, items: heard.append(kind))
    try:
        wait_until(lambda: heard == ["keys", "certificates", "organisations", "definitions"], what="it taking everything in")
    finally:
        worker.stop()


@pytest.mark.slow
def test_a_message_that_nobody_understands_does_not_end_the_listening(valkey: Valkey) -> None:
    heard: list[list[str]] = []
    worker = ThroughValkey(valkey.url, "test")
    worker.start(lambda kind, items: heard.append(items))
    try:
        for rubbish in ("rubbish", "[]", "{}"):
            valkey.client.publish("test:changes", rubbish)
        wait_until(lambda: worker.publish("keys", ["after"]) == [], what="a confirmation")  # it may just be subscribing again
        assert heard[-1] == ["after"]
    finally:
        worker.stop()


@pytest.mark.slow
@pytest.mark.parametrize(("error", "traced"), [(OperationalError("SELECT 1", {}, Exception("no answer")), False), (KeyError("ours"), True)])
@pytest.mark.parametrize("through_valkey", [True, False])
def test_a_store_that_is_away_is_told_in_a_line(through_valkey: bool, error: Exception, traced: bool, valkey: Valkey) -> None:
    def away(kind: str, items: list[str]) -> None:
        raise error

    def told(lines: list[dict[str, Any]]) -> list[bool]:
        return [line.get("traced", False) for line in lines if line["event"].startswith("change not applied")]

    worker = ThroughValkey(valkey.url, "test") if through_valkey else OneWorker()
    with captured() as lines:
        worker.start(away)
        try:
            wait_until(lambda: worker.publish("definitions") == [worker_name()], what="the worker being named")
        finally:
            worker.stop()
    assert set(told(lines)) == {traced}


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


def test_a_worker_that_is_seen_to_be_dead_is_not_waited_for(valkey: Valkey) -> None:
    """Killed a moment ago, so that its registration is fresh; its parent has not even looked."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as other:
        member = f"host:{other.pid}#{identity(other.pid)}"
        worker = ThroughValkey(valkey.url, "test")
        worker.start(lambda kind, items: None)
        try:
            valkey.client.zadd("test:workers", {member: time.time()})
            assert worker.workers() == sorted([worker_name(), f"host:{other.pid}"])
            other.kill()
            wait_until(lambda: is_dead(identity_of(member)), what="its end")
            assert worker.publish("keys", ["a"]) == []
            assert worker.workers() == [worker_name()]
            assert [name.decode().partition("#")[0] for name in valkey.client.zrange("test:workers", 0, -1)] == [worker_name()]
        finally:
            worker.stop()


def test_one_that_dies_while_it_is_waited_for_is_not_named(valkey: Valkey) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as other, valkey.client.pubsub() as subscribed:
        worker = ThroughValkey(valkey.url, "test")
        worker.start(lambda kind, items: other.kill() if items else None)  # told of the change, and dead before it can confirm
        try:
            valkey.client.zadd("test:workers", {f"host:{other.pid}#{identity(other.pid)}": time.time()})
            subscribed.subscribe("test:changes")
            wait_until(subscribed.get_message, what="its subscription")
            assert worker.publish("keys", ["a"]) == []
        finally:
            worker.stop()


@pytest.mark.parametrize("elsewhere", ["0123456789ab.1.1", "", "rubbish"])
def test_one_of_whom_nothing_is_known_here_is_named(valkey: Valkey, elsewhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.announcements.valkey.CONFIRM_WITHIN", 0.2)
    worker = ThroughValkey(valkey.url, "test")
    worker.start(lambda kind, items: None)
    try:
        valkey.client.zadd("test:workers", {f"elsewhere:1#{elsewhere}": time.time()})
        wait_until(lambda: worker.publish("keys", ["a"]) == ["elsewhere:1"], what="only the other one being named")
    finally:
        worker.stop()


def identity_of(member: str) -> str:
    return member.partition("#")[2]


def test_a_process_is_known_by_its_place_its_id_and_its_beginning() -> None:
    place, pid, started = identity(os.getpid()).split(".")
    assert not is_dead(f"{place}.{pid}.{started}")
    assert is_dead(f"{place}.{pid}.{int(started) + 1}"), "another process had the id before"
    assert is_dead(f"{place}.4194305.{started}"), "above the highest id that Linux gives"
    assert not is_dead(f"{'0' * 12}.4194305.{started}"), "on another machine"
    for rubbish in ("", ".", "..", f"{place}", f"{place}.x.1", f"{place}.-1.1"):
        assert not is_dead(rubbish)


def test_a_process_that_cannot_be_looked_at_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's may be hidden, and a worker may have as many open files as it may."""
    mine = identity(os.getpid())
    monkeypatch.setattr("services.gateway.announcements.processes._stat", lambda pid: [])
    assert not is_dead(mine)


def test_where_there_is_no_proc_nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = identity(os.getpid())
    monkeypatch.setattr("services.gateway.announcements.processes._PROC", tmp_path)
    assert identity(os.getpid()) == ""
    assert not is_dead(mine)


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
        wait_until(lambda: heard.count(("definitions", [])) >= 2, 30, "it taking everything in again")
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


@pytest.mark.slow
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


def test_a_cluster_carries_what_a_server_does(valkey_cluster: Cluster) -> None:
    """Each worker reaches it through another node."""
    heard: list[list[str]] = []
    command = [sys.executable, "-c", _ANOTHER_WORKER, f"redis://127.0.0.1:{valkey_cluster.primaries[2].port}/0"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        worker = ThroughValkey(valkey_cluster.url, "test")
        try:
            assert other.stdout is not None and other.stdin is not None
            assert other.stdout.readline() == "started\n"
            worker.start(lambda kind, items: heard.append(items))
            wait_until(lambda: len(worker.workers()) == 2, what="two workers")
            assert worker.publish("keys", ["1", "h"]) == []
            assert other.stdout.readline() == "heard keys 1 h\n"
            assert heard[-1] == ["1", "h"]
            other.stdin.close()
            other.wait(30)
            wait_until(lambda: worker.workers() == [worker_name()], what="the other's name being gone")
        finally:
            worker.stop()
            other.kill()


_ANOTHER_WORKER = """
import sys
from services.gateway.announcements.valkey import ThroughValkey
worker = ThroughValkey(sys.argv[1], "test")
worker.start(lambda kind, items: print("heard", kind, *items, flush=True) if items else None)
print("started", flush=True)
sys.stdin.read()
worker.stop()
"""
