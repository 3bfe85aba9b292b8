"""What a worker keeps resident after it has served both doors and large bodies in both directions."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request

pytestmark = pytest.mark.alone

MB = 1024 * 1024
SIZE = 64 * MB
PIECE = bytes(range(256)) * 1024
PIECES = [PIECE] * (SIZE // len(PIECE))
# PostgreSQL's driver brings libraries of its own along, OpenSSL and Kerberos among them.
LIMITS = {"embedded": 68 * MB, "production": 73 * MB}  # with Debian's interpreter, which takes half a megabyte more than others
MACHINE_CODE = 3 * MB  # what a compiled data plane may take besides


@pytest.fixture(params=["embedded", "production"])
def stores(request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    if request.param == "embedded":
        return request.param, {}
    return request.param, {
        "GATEWAY_DATABASE_URL": request.getfixturevalue("postgresql_url"),
        "VALKEY_URL": request.getfixturevalue("valkey").url,
    }


def test_a_worker_that_has_done_everything_is_small(stores: tuple[str, dict[str, str]], odd_upstream: OddUpstream, tmp_path: Path) -> None:
    name, env = stores
    definitions = [definition("odd", f"{odd_upstream.url}/"), definition("keyed", f"{odd_upstream.url}/", use_keyless=False)]
    with gateway(tmp_path, definitions, env) as running:
        key = _operate(running)
        with RawClient(running.port, timeout=30) as client:
            for _ in range(100):
                assert client.get("/odd/a").status == 200
                assert client.get("/keyed/a", b"Authorization: " + key.encode()).status == 200
            _download(client, odd_upstream)
            _upload(client, odd_upstream)
        resident = running.memory("VmHWM")
        print(f"{name}: {resident / MB:.1f} MB at most")
        compiled = '"data_plane": "compiled"' in running.process.text()
        assert resident < LIMITS[name] + (MACHINE_CODE if compiled else 0)


def _operate(running: Gateway) -> str:
    """Calls every part of the operator API that remembers something; the secret of a key."""

    def call(method: str, path: str, body: Any = None) -> Any:
        status, answer = running.operator(method, path, body)
        assert status == 200, answer
        return answer

    for number in range(10):
        api = call("GET", "/api/apis/keyed")
        api["api_definition"]["name"] = f"keyed {number}"  # saving what is there would do nothing
        call("PUT", f"/api/apis/{api['api_definition']['id']}", api)
        for path in ("/api/apis", "/tyk/apis/", "/api/keys", "/api/hooks", "/api/gatehouse/apis/keyed/revisions/2", "/ready", "/metrics"):
            call("GET", path)
    rights = {"keyed": {"api_id": "keyed", "api_name": "keyed", "versions": ["Default"]}}
    session = {"rate": 100_000, "per": 60, "quota_max": 100_000, "quota_renewal_rate": 3600, "org_id": "default", "access_rights": rights}
    return str(call("POST", "/api/keys", session)["key_id"])


def _download(client: RawClient, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/bulk", lambda asked: asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE, *PIECES))
    client.send(request("/odd/bulk"))
    assert client.head().status == 200
    left = SIZE - len(client.buffer)
    client.buffer = b""
    while left:
        data = client.socket.recv(min(left, MB))
        assert data
        left -= len(data)


def _upload(client: RawClient, odd_upstream: OddUpstream) -> None:
    digest = hashlib.blake2b()

    def take(asked: Request) -> None:
        asked.take_body(digest.update)
        asked.answer(b"taken")

    odd_upstream.on("/upload", take)
    client.send(b"PUT /odd/upload HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % SIZE, *PIECES)
    assert client.answer().body == b"taken"
    assert digest.hexdigest() == hashlib.blake2b(b"".join(PIECES)).hexdigest()
