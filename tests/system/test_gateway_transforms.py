"""What definitions change of requests and answers, as upstream and client see it: fields, methods, addresses, mocks, limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request


def _api(name: str, upstream: OddUpstream, paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    version = {"use_extended_paths": True, "extended_paths": paths, **more.pop("version", {})}
    return definition(name, f"{upstream.url}/base", version=version, **more)


@pytest.fixture(scope="module")
def other_upstream() -> Iterator[OddUpstream]:
    upstream = OddUpstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def transforms(odd_upstream: OddUpstream, other_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    headers = {
        "transform_headers": [
            {
                "path": "^/one",
                "method": "GET",
                "add_headers": {"X-One": "1", "X-Id": "$tyk_context.request_id"},
                "delete_headers": ["X-All"],
            },
            {"path": "^/host", "method": "", "add_headers": {"Host": "inner.test", "X-Forwarded-For": "hidden", "X-Request-Id": "mine"}},
        ],
        "transform_response_headers": [
            {"path": "^/one", "add_headers": {"X-Answered": "$tyk_context.path"}, "delete_headers": ["content-type"]}
        ],
    }
    rewrites = [
        {"path": "^/old", "match_pattern": "/old/(\\w+)(.*)", "rewrite_to": "/new/$1$2"},
        {"path": "^/away", "match_pattern": "/away/(.*)", "rewrite_to": f"{other_upstream.url}/there/$1"},
        {"path": "^/by", "match_pattern": ".*q=([^&]*)", "rewrite_to": "/safe/$1", "triggers": [
            {"on": "all", "options": {"header_matches": {"X-Beta": {"match_rx": "^(y)es$"}}},
             "rewrite_to": "/beta/$tyk_context.trigger-0-X-Beta-0-0?of=$tyk_context.headers_X_Of"},
            {"on": "any", "options": {"payload_matches": {"match_rx": "\"kind\": *\"(\\w+)\""}},
             "rewrite_to": "/kinds/$tyk_context.trigger-1-payload-0-0"},
        ]},
    ]  # fmt: skip
    methods = [
        {"path": "^/to-head", "method": "GET", "to_method": "HEAD"},
        {"path": "^/to-get", "method": "HEAD", "to_method": "get"},
        {"path": "^/to-post", "method": "GET", "to_method": "POST"},
    ]
    others = {
        "internal": [{"path": "^/inside", "method": "GET"}],
        "mock_response": [{"path": "^/mock", "method": "GET", "code": 418, "body": "short", "headers": {"X-Mock": "1"}}],
        "rate_limit": [{"path": "^/slow", "method": "GET", "rate": 2, "per": 600}],
    }
    versions = {
        "v1": {"name": "v1"},
        "v2": {"name": "v2", "override_target": f"{other_upstream.url}/two"},
    }
    definitions = [
        _api("heads", odd_upstream, headers, version={"global_headers": {"X-All": "everywhere"}, "global_headers_remove": ["X-Gone"],
             "global_response_headers": {"X-Global": "yes"}}, enable_batch_request_support=True),
        _api("rewritten", odd_upstream, {"url_rewrites": rewrites}),
        _api("methods", odd_upstream, {"method_transforms": methods}),
        _api("others", odd_upstream, others, proxy={"preserve_host_header": True}),
        definition("versions", odd_upstream.url, version_data={"not_versioned": False, "versions": versions},
                   definition={"location": "header", "key": "v"}),
    ]  # fmt: skip
    with gateway(tmp_path_factory.mktemp("transforms"), definitions) as running:
        yield running


@pytest.fixture
def client(transforms: Gateway) -> Iterator[RawClient]:
    with RawClient(transforms.port) as connection:
        yield connection


def _told(client: RawClient, raw: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """What the upstream was asked for, and its fields by lower-case names."""
    client.send(raw)
    answer = client.answer()
    assert answer.status == 200, answer
    told = answer.json()
    return told, {name.lower(): value for name, value in told["fields"]}


def test_headers_of_requests(client: RawClient) -> None:
    for _ in range(2):  # on one connection, so that what was remembered is used
        told, fields = _told(client, request("/heads/one", b"X-Gone: 1", b"X-All: mine", b"X_One: mine", b"x-one: mine"))
        assert fields["x-one"] == "1"
        assert fields["x-id"] == fields["x-request-id"]
        assert {"x-gone", "x-all", "x_one"}.isdisjoint(fields)
        told, fields = _told(client, request("/heads/other", b"X-Gone: 1", b"X-All: mine"))
        assert (fields["x-all"], told["target"]) == ("everywhere", "/base/other")
        assert "x-gone" not in fields
    told, fields = _told(client, request("/heads/host"))
    assert [value for name, value in told["fields"] if name.lower() == "x-forwarded-for"] == ["hidden"]
    assert (fields["host"], fields["x-request-id"]) == ("inner.test", "mine")


def test_a_client_cannot_take_back_what_is_set(client: RawClient) -> None:
    """`Connection` may name fields as its own; what a definition sets, and what the gateway says itself, is sent all the same."""
    for _ in range(2):
        _, fields = _told(client, request("/heads/other", b"Connection: X-All, X-Request-Id, X-Forwarded-For"))
        assert (fields["x-all"], fields["x-forwarded-for"]) == ("everywhere", "127.0.0.1")
        assert fields["x-request-id"]


def test_headers_of_answers(client: RawClient, transforms: Gateway) -> None:
    answer = client.get("/heads/one")
    assert (answer.field("x-answered"), answer.field("x-global"), answer.field("content-type")) == ("/heads/one", "yes", None)
    answer = client.get("/heads/other")
    assert (answer.field("x-answered"), answer.field("x-global"), answer.field("content-type")) == (None, "yes", "application/json")
    client.send(request("/heads/tyk/batch/", method="POST", body=b'{"requests": [{"method": "GET", "relative_url": "one"}]}'))
    (entry,) = client.answer().json()
    assert (entry["code"], entry["headers"]["X-Answered"], entry["headers"]["X-Global"]) == (200, ["/heads/one"], ["yes"])
    assert '"X-One", "1"' in entry["body"]


def test_methods(client: RawClient, odd_upstream: OddUpstream) -> None:
    def long(asked: Request) -> None:
        asked.answer(b"x" * 5000, b"X-Asked: " + asked.method.encode())

    def head(asked: Request) -> None:
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nX-Asked: " + asked.method.encode() + b"\r\n\r\n")

    odd_upstream.on("/base/to-get", long)
    odd_upstream.on("/base/to-head", head)
    answer = client.get("/methods/to-head")
    assert (answer.status, answer.field("x-asked"), answer.field("content-length"), answer.body) == (200, "HEAD", "0", b"")
    answer = client.get("/methods/to-get", method="HEAD")
    assert (answer.status, answer.field("x-asked"), answer.field("content-length")) == (200, "GET", "5000")
    told, _ = _told(client, request("/methods/to-post", b"Content-Type: text/plain"))
    assert told["method"] == "POST"
    assert client.get("/methods/else").json()["method"] == "GET"


def test_addresses(client: RawClient, transforms: Gateway, other_upstream: OddUpstream) -> None:
    told, _ = _told(client, request("/rewritten/old/7/x?a=1"))
    assert told["target"] == "/base/new/7/x?a=1"
    told, fields = _told(client, request("/rewritten/away/a%2Fb?x=1"))
    assert (told["target"], fields["host"]) == ("/there/a%2Fb?x=1", f"127.0.0.1:{other_upstream.port}")
    told, _ = _told(client, request("/rewritten/by?q=me", b"X-Beta: yes", b"X-Of: a&b=/../c"))
    assert told["target"] == "/base/beta/y?of=a%26b%3D%2F..%2Fc"
    told, _ = _told(client, request("/rewritten/by?q=me", method="POST", body=b'{"kind": "odd"}'))
    assert (told["target"], told["length"]) == ("/base/kinds/odd", 15)
    for climbing in ("../up", "..%2Fup", "%2e%2e/up", "..%5Cup", ".."):
        with RawClient(transforms.port) as another:
            answer = another.get(f"/rewritten/by?q={climbing}")
        assert (answer.status, answer.json()["code"]) == (400, "bad-path"), climbing
    assert client.get("/rewritten/by?q=http://evil.test/x").json()["target"] == "/base/safe/http:/evil.test/x"


def test_targets_of_versions(client: RawClient) -> None:
    told, _ = _told(client, request("/versions/of-versions?b=1", b"v: v2"))
    assert told["target"] == "/two/of-versions?b=1"
    told, _ = _told(client, request("/versions/of-versions", b"v: v1"))
    assert told["target"] == "/of-versions"


def test_what_does_not_reach_the_upstream(client: RawClient) -> None:
    for path in ("/others/inside", "/others/x%2F..%2Finside/a"):
        answer = client.get(path)
        assert (answer.status, answer.json()["code"]) == (403, "endpoint-forbidden"), path
    answer = client.get("/others/mock")
    assert (answer.status, answer.body, answer.field("x-mock")) == (418, b"short", "1")
    assert [client.get("/others/slow").status for _ in range(3)] == [200, 200, 429]
    _, fields = _told(client, request("/others/slow", method="POST", body=b""))
    assert fields["host"] == "gateway.test"
