"""When gunicorn's master refuses new connections, and when somebody else still listens at its sockets."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from services.common.listening import refuses_new
from services.common.stopping import ENDING, lose_no_request, lose_no_signal


@pytest.fixture
def master() -> Iterator[Any]:
    """stopped: with what `stop` was called, and whether new connections were refused then."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        master: Any = SimpleNamespace(reexec_pid=0, master_pid=0, systemd=False, LISTENERS=[listener], stopped=[])
        master.stop = lambda graceful=True: master.stopped.append((graceful, refuses_new(listener)))
        lose_no_request(master)
        yield master


def test_a_master_that_stops_refuses_first(master: Any) -> None:
    master.stop()
    assert master.stopped == [(True, True)]


def test_a_quick_stop_is_quick(master: Any) -> None:
    master.stop(False)
    assert master.stopped == [(False, False)]


@pytest.mark.parametrize("other", [{"reexec_pid": 7}, {"master_pid": 7}, {"systemd": True}], ids=str)
def test_a_socket_that_another_one_listens_at_stays_open(master: Any, other: dict[str, Any]) -> None:
    master.__dict__.update(other)
    master.stop()
    assert master.stopped == [(True, False)]


def test_a_worker_begins_with_its_signals_held_back() -> None:
    held: list[set[signal.Signals]] = []
    master: Any = SimpleNamespace(spawn_worker=lambda: held.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))))
    lose_no_signal(master)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    master.spawn_worker()
    assert held[0] >= ENDING
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
