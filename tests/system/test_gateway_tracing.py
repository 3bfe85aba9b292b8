"""Traces through the real sockets: what goes on to an upstream without them, and with them what a collector gets."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support import containers
from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream
from tests.support.processes import get
from tests.support.raw_client import RawClient
from tests.support.waiting import wait_until

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("given", "parent", "state"),
    [
        (f"traceparent: {GOOD}\r\ntracestate: a=1,b=2\r\n", GOOD, "a=1,b=2"),
        (f"traceparent: {GOOD.upper()}\r\ntracestate: a=1\r\n", None, None),
        ("", None, None),
    ],
)
def test_without_traces_nothing_is_changed_or_invented(
    wire_gateway: Gateway, odd_upstream: OddUpstream, client: RawClient, given: str, parent: str | None, state: str | None
) -> None:
    path = f"/traced-{len(given)}"
    client.send(f"GET /odd{path} HTTP/1.1\r\nHost: x\r\n{given}\r\n".encode())
    assert client.answer().status == 200
    [request] = odd_upstream.requests(path)
    assert (request.field("traceparent"), request.field("tracestate")) == (parent, state)
    assert "trace_id" not in wire_gateway.logged(path=f"/odd{path}")


class Collector(ThreadingHTTPServer):
    """Takes spans."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Span] = []

    def of(self, path: str) -> list[Span]:
        """Return the spans of the trace in which a path was asked for, the gateway's first."""
        found = [span for span in self.spans if attributes(span).get("url.path") == path]
        return sorted((span for span in self.spans if found and span.trace_id == found[0].trace_id), key=lambda span: span.kind)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        body = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.spans += [span for one in body.resource_spans for scope in one.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


def attributes(span: Span) -> dict[str, str]:
    return {one.key: one.value.string_value or str(one.value.int_value) for one in span.attributes}


@pytest.mark.skipif(bool(containers.TAG), reason="images have OpenTelemetry only when they are built with TRACING=1")
def test_a_collector_gets_the_gateway_and_its_upstream(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    with Collector() as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        env = {"GATEWAY_TRACING": f"http://127.0.0.1:{collector.server_port}", "GATEWAY_TRACING_RATIO": "0"}
        with gateway(tmp_path, [definition("one", f"{odd_upstream.url}/")], env) as running, RawClient(running.port) as client:
            for path in ("called", "alone"):
                parent = f"traceparent: {GOOD}\r\ntracestate: a=1\r\n" if path == "called" else ""
                client.send(f"GET /one/{path} HTTP/1.1\r\nHost: x\r\n{parent}\r\n".encode())
                assert client.answer().status == 200
            server, asking = wait_until(lambda: collector.of("/one/called"), 20, "the spans")
            line, other = running.logged(path="/one/called"), running.logged(path="/one/alone")
            page = get(running.operator_port, "/metrics")[1].decode()
        collector.shutdown()
    assert (server.trace_id.hex(), server.parent_span_id.hex()) == (TRACE, SPAN)
    assert asking.parent_span_id == server.span_id
    assert attributes(server)["http.route"] == "/one/"
    assert attributes(asking)["server.port"] == odd_upstream.url.rpartition(":")[2]
    [request] = odd_upstream.requests("/called")
    assert request.field("traceparent") == f"00-{TRACE}-{asking.span_id.hex()}-01"
    assert request.field("tracestate") == "a=1"
    assert line["trace_id"] == TRACE
    [request] = odd_upstream.requests("/alone")
    assert request.field("traceparent").startswith(f"00-{other['trace_id']}-")  # type: ignore[union-attr]
    assert request.field("traceparent").endswith("-00")  # type: ignore[union-attr]
    assert collector.of("/one/alone") == [], "it is not sampled"
    assert "gateway_traces_exported_total 1.0" in page
    assert "gateway_traces_dropped_total 0.0" in page
