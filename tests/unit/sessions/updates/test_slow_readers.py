"""Answers that do not fit into the kernel's buffer: how long a thread waits for their reader."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from services.sessions import serving

BODY = b"x" * 300_000


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection with small buffers."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with ours, theirs:
        theirs.settimeout(30)
        yield ours, theirs


def test_who_reads_slowly_gets_all(ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that is given is that of a piece, not of the whole."""
    monkeypatch.setattr(serving, "_PIECE", 10_000)
    monkeypatch.setattr(serving, "_SLOW_S", 1.0)
    ours, theirs = ends
    done: list[bool] = []
    writer = threading.Thread(target=lambda: done.append(serving._send_rest(ours, b"head", BODY, 0, True)))
    writer.start()
    pause, got = threading.Event(), b""
    while len(got) < len(BODY) + 4:
        pause.wait(0.03)  # 75 pieces: more than two seconds in all
        got += theirs.recv(4000)
    writer.join(30)
    assert (got, done) == (b"head" + BODY, [True])


def test_who_does_not_read_is_given_up(ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_SLOW_S", 0.05)
    assert serving._send_rest(ends[0], b"head", BODY, 2, True) is False
