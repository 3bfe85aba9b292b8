"""Answers from the cache through real sockets, in process and in Valkey: to whom, how long, and what ends them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.processes import get as page
from tests.support.raw_client import RawClient, request
from tests.support.stores import Valkey
from tests.support.waiting import wait_until

OPTIONS = {"enable_cache": True, "cache_timeout": 600, "cache_all_safe_requests": True}
KEYS = ("first-key-of-the-test", "other-key-of-the-test")


class Counted:
    """How often the upstream was asked for a path; every answer differs from the one before."""

    def __init__(self, upstream: OddUpstream) -> None:
        self._upstream = upstream
        self.asked = 0

    def on(self, path: str, *fields: bytes, chunked: bool = False) -> None:
        def give(asked: Request) -> None:
            asked.body()
            self.asked += 1
            body = b"%d for %b" % (self.asked, (asked.field("x-plan") or "nobody").encode())
            if chunked:
                asked.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
            else:
                asked.answer(b"" if asked.method == "HEAD" else body, *fields)

        self._upstream.on(path, give)


@pytest.fixture(scope="module")
def counted(odd_upstream: OddUpstream) -> Counted:
    made = Counted(odd_upstream)
    made.on("/plain", b'ETag: "1"', b"Content-Type: text/plain")
    made.on("/cookie", b"Set-Cookie: session=secret")
    made.on("/vary", b"Vary: X-Plan")
    made.on("/chunked", chunked=True)
    return made


@pytest.fixture(scope="module", params=["memory", "valkey"])
def running(
    request: pytest.FixtureRequest, odd_upstream: OddUpstream, counted: Counted, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    server = Valkey() if request.param == "valkey" else None
    env = {"GATEWAY_WORKERS": "2", "VALKEY_URL": server.url} if server else {}
    apis = [
        definition("open", f"{odd_upstream.url}/", cache_options=OPTIONS, enable_batch_request_support=True),
        definition("keyed", f"{odd_upstream.url}/", cache_options=OPTIONS, use_keyless=False),
    ]
    with gateway(tmp_path_factory.mktemp("cache"), apis, env) as started:
        for key in KEYS:
            session: dict[str, Any] = {"org_id": "default", "rate": 1000, "per": 1, "quota_max": 20, "quota_renewal_rate": 3600}
            status, told = started.operator("POST", f"/tyk/keys/{key}", {**session, "access_rights": {"keyed": {"versions": ["Default"]}}})
            assert status == 200, told
        yield started
    if server:
        server.close()


def get(running: Gateway, target: str, *fields: bytes, method: str = "GET") -> Any:
    """Ask on a connection of its own, which any worker may take."""
    with RawClient(running.port) as client:
        return client.get(target, *fields, method=method)


def cached(running: Gateway, target: str, *fields: bytes) -> Any:
    """Ask until the answer comes from the cache: Valkey may have it a moment after the client."""
    found: list[Any] = []

    def is_kept() -> bool:
        found.append(get(running, target, *fields))
        return found[-1].field("x-tyk-cached-response") == "1"

    wait_until(is_kept, 20, "an answer from the cache")
    return found[-1]


def test_an_answer_is_kept_and_a_purge_ends_it(running: Gateway) -> None:
    assert get(running, "/open/plain").field("x-tyk-cached-response") is None
    kept = cached(running, "/open/plain")
    assert get(running, "/open/plain").body == kept.body
    assert (kept.status, kept.field("content-type"), kept.field("content-length")) == (200, "text/plain", str(len(kept.body)))
    assert int(kept.field("age")) >= 0
    head = get(running, "/open/plain", method="HEAD")
    assert (head.body, head.field("content-length"), head.field("x-tyk-cached-response")) == (b"", str(len(kept.body)), "1")
    unchanged = get(running, "/open/plain", b'If-None-Match: "1"')
    assert (unchanged.status, unchanged.body, unchanged.field("etag")) == (304, b"", '"1"')
    assert get(running, "/open/plain", b"Range: bytes=0-1").field("x-tyk-cached-response") is None
    assert running.operator("DELETE", "/tyk/cache/open") == (200, {"status": "ok", "message": "cache invalidated"})
    for _ in range(4):
        assert get(running, "/open/plain").body != kept.body
    assert running.operator("DELETE", "/tyk/cache/nowhere")[0] == 404


def test_keys_never_share_and_answers_from_the_cache_are_charged(running: Gateway) -> None:
    one, other = (b"Authorization: " + key.encode() for key in KEYS)
    kept = cached(running, "/keyed/plain", one)
    assert get(running, "/keyed/plain", other).field("x-tyk-cached-response") is None
    assert cached(running, "/keyed/plain", other).body != kept.body
    again = get(running, "/keyed/plain", one)
    assert (again.body, int(again.field("x-ratelimit-remaining"))) == (kept.body, int(kept.field("x-ratelimit-remaining")) - 1)
    assert get(running, "/keyed/plain").status == 401
    assert get(running, "/keyed/plain", b"Authorization: wrong").status == 403


def test_what_is_not_kept_and_what_differs(running: Gateway) -> None:
    assert get(running, "/open/cookie").body != get(running, "/open/cookie").body
    gold, free = b"X-Plan: gold", b"X-Plan: free"
    kept = {plan: cached(running, "/open/vary", plan).body for plan in (gold, free, gold)}
    assert [body.rpartition(b" ")[2] for body in kept.values()] == [b"gold", b"free"]
    assert [get(running, "/open/vary", plan).body for plan in (gold, free)] == list(kept.values())
    assert get(running, "/open/vary", gold, b"Cache-Control: no-cache").body != kept[gold]
    assert cached(running, "/open/chunked").body.endswith(b"for nobody")


def test_a_change_ends_the_answer(running: Gateway) -> None:
    kept = cached(running, "/open/plain?changed").body
    with RawClient(running.port) as client:
        client.send(request("/open/plain?changed", method="POST", body=b"x"))
        client.answer()
        assert client.get("/open/plain?changed").body != kept


def test_another_revision_begins_anew(running: Gateway) -> None:
    kept = cached(running, "/open/plain?revision").body
    _, stored = running.operator("GET", "/tyk/apis/open")
    assert running.operator("PUT", "/tyk/apis/open", {**stored, "name": "Renamed"})[0] == 200
    assert get(running, "/open/plain?revision").body != kept


def test_entries_of_a_batch_are_answered_from_the_cache(running: Gateway) -> None:
    kept = cached(running, "/open/plain?batch").body
    envelope = json.dumps({"requests": [{"method": "GET", "relative_url": "plain?batch"}]}).encode()
    with RawClient(running.port) as client:
        client.send(request("/open/tyk/batch/", method="POST", body=envelope))
        assert client.answer().json()[0]["body"] == kept.decode()


def test_metrics(running: Gateway) -> None:
    cached(running, "/open/plain?metrics")
    text = page(running.operator_port, "/metrics")[1].decode()
    for name in ("gateway_cache_hits_total", "gateway_cache_misses_total"):
        assert sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (.*)$", text, re.MULTILINE)) > 0
