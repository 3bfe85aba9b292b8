"""The health check of a container: what it asks, and how it exits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.common import health

PROGRAM = [sys.executable, "-IS", health.__file__]


class Peer:
    """A server that answers every connection with the same bytes and notes what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.asked = b""
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except OSError:
            return
        with connection:
            self.asked = connection.recv(1000)
            connection.sendall(self._answer)

    def close(self) -> None:
        self._listening.close()
        self._thread.join(10)


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    started = Peer(request.param)
    yield started
    started.close()


def ran(**environment: str) -> tuple[int, str]:
    done = subprocess.run(PROGRAM, env={"PATH": os.environ["PATH"], **environment}, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("peer", [b"HTTP/1.1 200 OK\r\n\r\n"], indirect=True)
@pytest.mark.parametrize(("service", "setting"), [("tokens", "TOKENS_BIND"), ("gateway", "GATEWAY_OPERATOR_BIND")])
def test_an_answer_is_health(peer: Peer, service: str, setting: str) -> None:
    """Of the gateway the operator port is asked: the public one may belong to an API."""
    assert ran(SERVICE=service, **{setting: f"0.0.0.0:{peer.port}"}) == (0, "")
    assert peer.asked.startswith(b"GET /health HTTP/1.1\r\n")


@pytest.mark.parametrize("peer", [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"", b"200"], indirect=True)
def test_another_answer_is_not(peer: Peer) -> None:
    status, told = ran(SERVICE="tokens", TOKENS_BIND=f"127.0.0.1:{peer.port}")
    assert (status, told[:8]) == (1, "answered")


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    status, told = ran(SERVICE="tokens", TOKENS_BIND=f"127.0.0.1:{port}")
    assert (status, told[:9]) == (1, "no answer")


@pytest.mark.parametrize(
    ("environment", "told"),
    [({}, "SERVICE is not set\n"), ({"SERVICE": "tokens"}, "TOKENS_BIND is not set\n")],
)
def test_a_variable_is_missing(environment: dict[str, str], told: str) -> None:
    assert ran(**environment) == (1, told)


@pytest.mark.parametrize(
    ("bind", "expected"),
    [("0.0.0.0:8103", ("127.0.0.1", 8103)), ("[::]:8103", ("::1", 8103)), ("[::1]:8103", ("::1", 8103)), ("10.0.0.7:80", ("10.0.0.7", 80))],
)
def test_where_a_process_listens(bind: str, expected: tuple[str, int]) -> None:
    assert health.address({"SERVICE": "tokens", "TOKENS_BIND": bind}) == expected


def test_it_is_found_where_the_image_has_it() -> None:
    root = Path(__file__).resolve().parents[3]
    assert '"services/common/health.py"' in (root / "deploy/Dockerfile").read_text()
