"""The mounts of the service devices as they are deployed: `/devices/` on every host, and the whole host `devices.localhost`.

A client of TagoIO reads nothing but `status`, `result` and `message`, so the gateway says no in that shape, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.processes import ROOT
from tests.support.raw_client import Answer, RawClient, request

_HOST = "devices.localhost"
_TO_HOST = f"{_HOST}:8080"


@pytest.fixture(scope="module")
def mounts(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway with both definitions, and `tokens`, whose upstream is the same."""
    definitions = [json.loads((ROOT / f"deploy/apis/{name}.json").read_text()) for name in ("devices", "devices-host", "tokens")]
    env = {"UPSTREAM_DEVICES": odd_upstream.url, "UPSTREAM_TOKENS": odd_upstream.url}
    with gateway(tmp_path_factory.mktemp("mounts"), definitions, env) as running:
        yield running


def _ask(mounts: Gateway, target: str, *fields: bytes, method: str = "GET", body: bytes | None = None, host: str = "h") -> Answer:
    raw = request(target, *fields, method=method, body=body).replace(b"gateway.test", host.encode(), 1)
    with RawClient(mounts.port) as client:
        client.send(raw)
        return client.answer(method)


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        ("/devices/data?variables%5B0%5D=a&start_date=1%20day", "h", "/data?variables%5B0%5D=a&start_date=1%20day"),
        ("/devices/device/token/x", "h", "/device/token/x"),
        ("/devices", "h", "/"),
        ("/data?query=last_item", _TO_HOST, "/data?query=last_item"),
        ("/", _TO_HOST, "/"),
        ("/device/token/x", "DEVICES.localhost", "/device/token/x"),
        ("/devices/data", _TO_HOST, "/devices/data"),
        ("/tokens/x", _TO_HOST, "/tokens/x"),
    ],
)
def test_where_requests_go(target: str, host: str, path: str, mounts: Gateway) -> None:
    """A host name of its own leaves the paths as they are; nobody else's listen path counts on it."""
    answer = _ask(mounts, target, b"Token: secret", host=host)
    assert answer.status == 200
    seen = answer.json()
    assert (seen["target"], dict(seen["fields"])["Token"]) == (path, "secret")


@pytest.mark.parametrize(("below", "host"), [("/devices", "h"), ("", _TO_HOST)])
def test_other_methods_go_through(below: str, host: str, mounts: Gateway, odd_upstream: OddUpstream) -> None:
    for method, body in (("POST", b"{}"), ("PUT", b"{}"), ("PATCH", b"{}"), ("DELETE", None), ("HEAD", None), ("OPTIONS", None)):
        assert _ask(mounts, f"{below}/data", method=method, body=body, host=host).status == 200
        assert (odd_upstream.seen[-1].method, odd_upstream.seen[-1].path) == (method, "/data")


def _hang_up(asked: Request) -> bool:
    return False


@pytest.mark.parametrize(("below", "host"), [("/devices", "h"), ("", _TO_HOST)])
def test_the_gateway_says_no_as_the_service_does(below: str, host: str, mounts: Gateway, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/hangs-up", _hang_up)
    asked = {
        403: _ask(mounts, f"{below}/metrics", host=host),
        414: _ask(mounts, f"{below}/data?ids=" + "a" * 20_000, host=host),
        417: _ask(mounts, f"{below}/data", b"Expect: else", host=host),
        431: _ask(mounts, f"{below}/data", b"Token: " + b"a" * 70_000, host=host),
        501: _ask(mounts, f"{below}/data", method="TRACE", host=host),
        502: _ask(mounts, f"{below}/hangs-up", host=host),
    }
    for status, answer in asked.items():
        assert (answer.status, answer.field("content-type")) == (status, "application/json")
        told = answer.json()
        assert told == {"status": False, "message": told["message"]}
        assert told["message"]
        assert answer.field("x-request-id")


def test_other_hosts_and_paths_are_nobodys(mounts: Gateway) -> None:
    for target, host in (("/data", "localhost"), ("/data", "other.devices.localhost"), ("/devicesx", "h")):
        answer = _ask(mounts, target, host=host)
        assert (answer.status, answer.json()["code"]) == (404, "not-found")


def test_a_reload_takes_both(mounts: Gateway) -> None:
    assert mounts.operator("GET", "/tyk/reload/")[0] == 200
    status, listed = mounts.operator("GET", "/api/apis")
    assert status == 200
    places = {(one["api_definition"].get("domain", ""), one["api_definition"]["proxy"]["listen_path"]) for one in listed["apis"]}
    assert {("", "/devices/"), (_HOST, "/")} <= places
    assert _ask(mounts, "/devices/info").status == _ask(mounts, "/info", host=_TO_HOST).status == 200


def test_the_two_definitions_differ_in_their_place_alone() -> None:
    plain, host = (json.loads((ROOT / f"deploy/apis/{name}.json").read_text()) for name in ("devices", "devices-host"))
    assert host.pop("domain") == _HOST
    for one in (plain, host):
        for name in ("name", "api_id"):
            del one[name]
        del one["proxy"]["listen_path"]
    assert plain == host
