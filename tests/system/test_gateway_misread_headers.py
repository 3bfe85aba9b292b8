"""Header names that an upstream could take for others do not reach it: `_` read as `-`, `Proxy` read as a setting, trailers as headers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.raw_client import RawClient, request

MISREAD = ["SCRIPT_NAME", "script_name", "X_Forwarded_For", "Content_Length", "Transfer_Encoding", "Proxy", "PROXY", "a_", "_"]


@pytest.fixture(scope="module")
def passing(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`/strict/`, and `/named/`, whose definition lets some names pass. Both take batches."""
    named: dict[str, Any] = {"pass_headers": ["X_Api_Version", "Proxy"], "pass_trailers": ["X-Sum"]}
    definitions = [
        definition("strict", f"{odd_upstream.url}/", enable_batch_request_support=True),
        definition("named", f"{odd_upstream.url}/", enable_batch_request_support=True, proxy=named),
        definition("keyed", f"{odd_upstream.url}/", use_keyless=False, auth={"auth_header_name": "x_api_key", "strip_auth_data": True}),
    ]
    with gateway(tmp_path_factory.mktemp("misread"), definitions) as running:
        yield running


def names_at_upstream(answer: bytes) -> set[str]:
    return {name.lower() for name, _ in json.loads(answer)["fields"]}


@pytest.mark.parametrize("name", MISREAD)
@pytest.mark.parametrize("as_batch", [False, True])
def test_a_name_that_can_be_misread_stays_behind(passing: Gateway, name: str, as_batch: bool) -> None:
    with RawClient(passing.port) as client:
        if as_batch:
            entry = {"relative_url": "x", "headers": {name: "1", "X-Plain": "2"}}
            client.send(request("/strict/tyk/batch/", method="POST", body=json.dumps({"requests": [entry]}).encode()))
            seen = names_at_upstream(client.answer().json()[0]["body"])
        else:
            client.send(request("/strict/x", f"{name}: 1".encode(), b"X-Plain: 2", b"Connection: X-Other"))
            seen = names_at_upstream(client.answer().body)
    assert "x-plain" in seen
    assert name.lower() not in seen
    assert not any("_" in one for one in seen)


def test_names_that_the_definition_lists_go_on_and_no_others(passing: Gateway) -> None:
    fields = [b"x_api_version: 7", b"Proxy: a", b"SCRIPT_NAME: /x", b"X-Plain: 2"]
    with RawClient(passing.port) as client:
        for more in ([], [b"Connection: close, X-Plain"]):
            seen = names_at_upstream(client.get("/named/x", *fields, *more).body)
            assert {"x_api_version", "proxy"} <= seen
            assert "script_name" not in seen
            assert ("x-plain" in seen) is not bool(more)


def test_a_header_whose_name_has_an_underscore_still_carries_a_key(passing: Gateway) -> None:
    with RawClient(passing.port) as client:
        assert client.get("/keyed/x").json()["code"] == "key-missing"
        assert client.get("/keyed/x", b"X_API_KEY: nobody").json()["code"] == "key-unknown"


TRAILERS = b"Digest: abc\r\nX-Sum: 7\r\nX-User: admin\r\nSCRIPT_NAME: /x\r\nX_Forwarded_For: 1.1.1.1\r\nProxy: a\r\n"


@pytest.mark.parametrize(("api", "passed"), [("strict", [b"Digest: abc"]), ("named", [b"Digest: abc", b"X-Sum: 7"])])
def test_trailers_go_on_by_a_list(passing: Gateway, odd_upstream: OddUpstream, api: str, passed: list[bytes]) -> None:
    seen: list[list[bytes]] = []

    def keep(asked: Any) -> None:
        asked.body()
        seen.append(asked.trailers)
        asked.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + TRAILERS + b"\r\n")

    odd_upstream.on("/trailers", keep)
    with RawClient(passing.port) as client:
        head = f"POST /{api}/trailers HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        client.send(head + b"3\r\nabc\r\n0\r\n" + TRAILERS + b"\r\n")
        answer = client.answer()
    assert seen == [passed]
    assert (answer.body, answer.trailers) == (b"abc", passed)
