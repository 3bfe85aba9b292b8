"""Spans as OpenTelemetry's conventions for HTTP want them, and how they reach a collector."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from services.gateway.exchange import Trace
from services.gateway.observe.spans import OtlpExporter, spans_of
from services.gateway.observe.tracing import Traced

TRACED = Traced(
    trace=Trace(0xABC, 0x11, 0x22, 0x33, True),
    started=1.0,
    asked=1.25,
    first_byte=1.5,
    ended=2.0,
    method="GET",
    upstream_method="GET",
    scheme="https",
    host="api.example",
    path="/api/a",
    minor=1,
    client="192.0.2.1",
    status=200,
    refused="",
    api_id="one",
    listen_path="/api/",
    upstream="up.example:8080",
    request_id="request-1",
)
NO_PARENT = Trace(0xABC, 0x11, 0, 0x33, True)


def spans(**changed: Any) -> list[ReadableSpan]:
    return list(spans_of(TRACED._replace(**changed), 1_000, Resource.create({})))


def test_a_request_and_its_upstream() -> None:
    server, client = spans()
    assert (server.name, server.kind, server.status.status_code) == ("GET /api/", SpanKind.SERVER, StatusCode.UNSET)
    assert dict(server.attributes or {}) == {
        "http.request.method": "GET",
        "gatehouse.api_id": "one",
        "url.path": "/api/a",
        "url.scheme": "https",
        "http.response.status_code": 200,
        "http.route": "/api/",
        "network.protocol.version": "1.1",
        "client.address": "192.0.2.1",
        "server.address": "api.example",
        "gatehouse.request_id": "request-1",
    }
    assert (server.start_time, server.end_time) == (1_000_001_000, 2_000_001_000)
    assert (client.name, client.kind, client.status.status_code) == ("GET", SpanKind.CLIENT, StatusCode.UNSET)
    assert dict(client.attributes or {}) == {
        "http.request.method": "GET",
        "gatehouse.api_id": "one",
        "server.address": "up.example",
        "server.port": 8080,
        "http.response.status_code": 200,
    }
    assert (client.start_time, client.end_time) == (1_250_001_000, 2_000_001_000)
    assert [(event.name, event.timestamp) for event in client.events] == [("first byte", 1_500_001_000)]


def test_who_is_whose_parent() -> None:
    server, client = spans()
    assert server.context is not None and server.parent is not None
    assert client.context is not None and client.parent is not None
    assert {one.trace_id for one in (server.context, server.parent, client.context, client.parent)} == {0xABC}
    assert [one.span_id for one in (server.parent, server.context, client.parent, client.context)] == [0x22, 0x11, 0x11, 0x33]
    assert (server.parent.is_remote, client.parent.is_remote) == (True, False)
    assert spans(trace=NO_PARENT)[0].parent is None


def test_a_refusal_is_no_error_of_the_gateway() -> None:
    [server] = spans(status=429, refused="quota-exceeded", asked=0.0, first_byte=0.0, upstream="")
    assert (server.attributes or {})["error.type"] == "quota-exceeded"
    assert server.status.status_code is StatusCode.UNSET


def test_an_upstream_that_cannot_be_reached() -> None:
    server, client = spans(status=502, refused="upstream-unreachable", first_byte=0.0, upstream="[2001:db8::1]:80")
    for span in (server, client):
        assert (span.attributes or {})["error.type"] == "upstream-unreachable"
        assert span.status.status_code is StatusCode.ERROR
    assert (client.attributes or {})["server.address"] == "2001:db8::1"
    assert "http.response.status_code" not in (client.attributes or {})
    assert client.events == ()


@pytest.mark.parametrize(("status", "server_fails"), [(404, False), (503, True)])
def test_an_error_of_the_upstream(status: int, server_fails: bool) -> None:
    server, client = spans(status=status)
    assert (client.attributes or {})["error.type"] == str(status)
    assert client.status.status_code is StatusCode.ERROR
    assert ((server.attributes or {}).get("error.type"), server.status.status_code is StatusCode.ERROR) == (
        str(status) if server_fails else None,
        server_fails,
    )


def test_a_method_that_somebody_invented() -> None:
    server, client = spans(method="BREW" + "X" * 100, upstream_method="BREW" + "X" * 100)
    assert (server.name, client.name) == ("HTTP /api/", "HTTP")
    assert (server.attributes or {})["http.request.method"] == "_OTHER"
    assert (server.attributes or {})["http.request.method_original"] == "BREW" + "X" * 60


def test_a_method_that_the_definition_changes() -> None:
    server, client = spans(upstream_method="POST")
    assert (server.name, client.name) == ("GET /api/", "POST")
    assert (client.attributes or {})["http.request.method"] == "POST"


def test_a_request_that_belongs_to_no_api() -> None:
    [server] = spans(api_id="", listen_path="", asked=0.0, status=404, refused="not-found")
    assert server.name == "GET"
    assert not {"http.route", "gatehouse.api_id"} & set(server.attributes or {})


class Collector(ThreadingHTTPServer):
    """Takes spans, with the path and the fields of the call. status: what it answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.calls: list[tuple[str, dict[str, str], ExportTraceServiceRequest]] = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        collector = self.server
        assert isinstance(collector, Collector)
        body = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        collector.calls.append((self.path, dict(self.headers.items()), body))
        self.send_response(collector.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(("path", "called"), [("", "/v1/traces"), ("/", "/v1/traces"), ("/in/here", "/in/here")])
def test_a_collector_gets_them(collector: Collector, monkeypatch: pytest.MonkeyPatch, path: str, called: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=acme")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    exporter = OtlpExporter(f"http://127.0.0.1:{collector.server_port}{path}")
    assert exporter.send([TRACED, TRACED], 0)
    exporter.close()
    [(target, fields, body)] = collector.calls
    assert (target, fields["x-tenant"]) == (called, "acme")
    [resource] = body.resource_spans
    assert {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"] == "gatehouse"
    assert len(resource.scope_spans[0].spans) == 4


def test_a_collector_that_refuses(collector: Collector) -> None:
    collector.status = 400
    exporter = OtlpExporter(f"http://127.0.0.1:{collector.server_port}")
    assert not exporter.send([TRACED], 0)
    exporter.close()
