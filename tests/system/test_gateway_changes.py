"""What changes behind a worker's back: it forgets and loads that, and keeps everything else in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.processes import get
from tests.support.raw_client import RawClient
from tests.support.stores import Valkey
from tests.support.waiting import wait_until

KEYS = 20


def keyed(odd_upstream: OddUpstream) -> dict[str, Any]:
    return definition("keyed", f"{odd_upstream.url}/", use_keyless=False)


def new_keys(running: Gateway, count: int) -> list[str]:
    session = {"rate": 0, "per": 0, "quota_max": -1, "access_rights": {"keyed": {"api_id": "keyed", "versions": ["Default"]}}}
    return [running.operator("POST", "/tyk/keys/create", session)[1]["key"] for _ in range(count)]


def status(running: Gateway, key: str) -> int:
    with RawClient(running.port) as client:
        return client.get("/keyed/a", f"Authorization: {key}".encode()).status


def in_memory(running: Gateway) -> dict[str, int]:
    """The number of keys in memory, by worker. One of them answers."""
    text = get(running.operator_port, "/metrics")[1].decode()
    return {name: int(float(number)) for name, number in re.findall(r'^gateway_keys_in_memory\{worker="(.*)"\} (.*)$', text, re.MULTILINE)}


@pytest.fixture
def pair(odd_upstream: OddUpstream, tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    """Two gateways with one database that cannot hear each other."""
    with (
        gateway(tmp_path, [keyed(odd_upstream)]) as one,
        gateway(tmp_path, [], {"GATEWAY_DATABASE_URL": one.env["GATEWAY_DATABASE_URL"]}) as two,
    ):
        yield one, two


def test_who_hears_nothing_finds_what_changed_and_keeps_the_rest(pair: tuple[Gateway, Gateway], odd_upstream: OddUpstream) -> None:
    deaf, writer = pair
    kept, deleted = new_keys(writer, KEYS), new_keys(writer, 3)
    assert {status(deaf, key) for key in (*kept, *deleted)} == {200}
    fewest = KEYS

    def delete(key: str) -> None:
        """Waits until it is shut, and so until that gateway has looked at what changed."""
        nonlocal fewest

        def shut() -> bool:
            nonlocal fewest
            (known,) = in_memory(deaf).values()
            fewest = min(fewest, known)
            return status(deaf, key) == 403

        assert writer.operator("DELETE", f"/tyk/keys/{key}")[0] == 200
        wait_until(shut, 30, "the deletion")

    delete(deleted[0])  # with it that gateway has found that all these keys were created, too
    assert {status(deaf, key) for key in (*kept, *deleted[1:])} == {200}
    fewest = KEYS
    assert writer.operator("POST", "/tyk/apis", definition("other", f"{odd_upstream.url}/"))[0] == 200
    delete(deleted[1])
    delete(deleted[2])
    assert fewest == KEYS, "no other was forgotten"
    with RawClient(deaf.port) as client:
        assert client.get("/other/a").status == 200, "the new API is served, too"


def test_workers_that_hear_each_other_shut_a_deleted_key_at_once(odd_upstream: OddUpstream, tmp_path: Path, valkey: Valkey) -> None:
    env = {"GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url}
    with gateway(tmp_path, [keyed(odd_upstream)], env) as running:
        kept, deleted = new_keys(running, KEYS), new_keys(running, 1)[0]
        seen: dict[str, int] = {}

        def both_know() -> bool:
            for key in (*kept, deleted):
                assert status(running, key) == 200
            seen.update(in_memory(running))
            return len(seen) == 2 and min(seen.values()) == KEYS + 1

        wait_until(both_know, 60, "both workers knowing all keys")
        assert "unconfirmed" not in running.operator("DELETE", f"/tyk/keys/{deleted}")[1]
        assert [status(running, deleted) for _ in range(12)] == [403] * 12, "whichever worker is asked"
        seen.clear()
        wait_until(lambda: len(seen) == 2 or bool(seen.update(in_memory(running))), 60, "an answer of both workers")
        assert min(seen.values()) == KEYS
