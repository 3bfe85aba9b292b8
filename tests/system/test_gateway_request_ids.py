"""Whose `X-Request-Id` is taken over: that of a trusted proxy, on the whole way of a request; nobody else's."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import RawClient
from tests.support.raw_client import request as written
from tests.support.waiting import wait_until

BATCH = {"requests": [{"method": "GET", "relative_url": f"entry-{number}", "headers": {}, "body": ""} for number in (1, 2)]}


def _logged(running: Gateway, number: int) -> list[tuple[str, str]]:
    """Path and id of the last lines of the access log, once there are so many without those of the start."""

    def lines() -> list[tuple[str, str]]:
        found = [json.loads(line) for line in running.access_log.read_text().splitlines()]
        found = [(line["path"], line["request_id"]) for line in found if line["path"] != "/hello"]
        return found if len(found) >= number else []

    return wait_until(lines, 20, "the lines of the access log")


@contextlib.contextmanager
def _running(trusted: bool, odd_upstream: OddUpstream, folder: Path) -> Iterator[Gateway]:
    api = definition("odd", f"{odd_upstream.url}/", enable_batch_request_support=True)
    with gateway(folder, [api], {"GATEWAY_TRUSTED_PROXIES": "127.0.0.0/8" if trusted else "10.0.0.0/8"}) as running:
        yield running


@pytest.fixture(scope="module")
def trusting(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with _running(True, odd_upstream, tmp_path_factory.mktemp("trusting")) as running:
        yield running


@pytest.fixture(scope="module")
def distrusting(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with _running(False, odd_upstream, tmp_path_factory.mktemp("distrusting")) as running:
        yield running


@pytest.mark.parametrize("trusted", [True, False])
def test_the_id_of_a_trusted_proxy_goes_the_whole_way(trusted: bool, odd_upstream: OddUpstream, request: pytest.FixtureRequest) -> None:
    running: Gateway = request.getfixturevalue("trusting" if trusted else "distrusting")
    given = b"Root=1-67891233-abcdef/a.b_c~d+e:f@g"
    with RawClient(running.port) as client:
        answer = client.get("/odd/one", b"X-Request-Id: " + given)
        refused = client.get("/nowhere", b"X-Request-Id: " + given)
        client.send(written("/odd/tyk/batch/", b"X-Request-Id: " + given, method="POST", body=json.dumps(BATCH).encode()))
        batch = client.answer()
        logged = _logged(running, 5)
    assert [answer.status, refused.status, batch.status] == [200, 404, 200]
    assert refused.json()["request_id"] == refused.field("x-request-id")
    ids = dict(logged)
    assert ids["/odd/one"] == answer.field("x-request-id") == odd_upstream.requests("/one")[-1].field("x-request-id")
    assert ids["/nowhere"] == refused.field("x-request-id")
    # A batch and its entries have one id.
    entries = [odd_upstream.requests(f"/entry-{number}")[-1].field("x-request-id") for number in (1, 2)]
    assert {ids["/odd/tyk/batch/"], ids["/odd/entry-1"], ids["/odd/entry-2"], *entries} == {batch.field("x-request-id")}
    seen = {answer.field("x-request-id"), refused.field("x-request-id"), batch.field("x-request-id")}
    assert seen == {given.decode()} if trusted else (len(seen) == 3 and given.decode() not in seen)


@pytest.mark.parametrize("given", [b"a b", b"x" * 129, b'a"b', b"", b"\xfc"])
def test_an_id_that_is_long_or_strange_is_replaced(given: bytes, trusting: Gateway) -> None:
    with RawClient(trusting.port) as client:
        answer = client.get("/odd/x", b"X-Request-Id: " + given)
    assert answer.status == 200
    assert answer.field("x-request-id") not in (None, given.decode("latin-1"))
