"""What becomes of limits that Valkey counts while it is away, and afterwards."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import RawClient
from tests.support.stores import Valkey
from tests.support.waiting import wait_until

LIMIT = 5


def _key(house: Gateway) -> bytes:
    rights = {"keyed": {"api_id": "keyed", "versions": ["Default"]}}
    limits = {"rate": 1000, "per": 1, "quota_max": LIMIT, "quota_renewal_rate": 3600}
    status, made = house.operator("POST", "/api/keys", {"access_rights": rights, **limits})
    assert status == 200, made
    return f"Authorization: {made['key_id']}".encode()


def _status(house: Gateway, key: bytes) -> int:
    with RawClient(house.port) as client:
        return client.get("/keyed/a", key).status


def _is_refused(house: Gateway, key: bytes) -> bool:
    return _status(house, key) == 403


def _counts(house: Gateway, key: bytes) -> None:
    assert [_status(house, key) for _ in range(LIMIT + 1)] == [200] * LIMIT + [403]


@pytest.mark.parametrize(
    ("go", "come"), [(Valkey.stop, Valkey.start), (Valkey.hang, Valkey.go_on)], ids=["a server that is away", "a server that hangs"]
)
def test_limits_hold_again_after_an_outage(
    go: Callable[[Valkey], None], come: Callable[[Valkey], None], odd_upstream: OddUpstream, valkey: Valkey, tmp_path: Path
) -> None:
    """Requests that wait for an answer when it goes away fail together; each of them, and the connection, gets over it."""
    with gateway(tmp_path, [definition("keyed", f"{odd_upstream.url}/", use_keyless=False)], {"VALKEY_URL": valkey.url}) as house:
        _counts(house, _key(house))
        for _ in range(2):
            go(valkey)
            with ThreadPoolExecutor(8) as clients:
                assert set(clients.map(partial(_status, house), [_key(house)] * 3 * LIMIT)) == {200}  # uncounted
            come(valkey)
            wait_until(partial(_is_refused, house, _key(house)), 60, "a limit that holds", pause=0.1)
            _counts(house, _key(house))
