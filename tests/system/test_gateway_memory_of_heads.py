"""What is remembered of heads stays small, whatever strangers write in them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.support.gateway import definition, gateway
from tests.support.raw_client import RawClient, request

pytestmark = pytest.mark.alone

_MB = 1024 * 1024


def test_long_names_of_fields_are_not_kept(tmp_path: Path) -> None:
    with gateway(tmp_path, [definition("any", "http://127.0.0.1:9/")]) as running, RawClient(running.port) as client:
        client.get("/nobody")
        before = running.memory()
        for number in range(1000):
            name = b"x%05d" % number + b"a" * 60_000
            assert client.get("/nobody", name + b": 1").status == 404
        assert running.memory() - before < 30 * _MB


def test_idle_connections_do_not_keep_long_targets(tmp_path: Path) -> None:
    with gateway(tmp_path, [definition("any", "http://127.0.0.1:9/")]) as running, contextlib.ExitStack() as open_ones:
        before = running.memory()
        for _ in range(400):
            client = open_ones.enter_context(RawClient(running.port))
            client.send(request("/" + '"' * 16_000))
            assert client.answer().status == 404
        assert running.memory() - before < 16 * _MB
