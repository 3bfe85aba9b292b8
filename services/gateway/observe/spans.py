"""Spans of OpenTelemetry, named and described by its conventions for HTTP (semantic conventions 1.23 and later), sent in OTLP/HTTP.

This is the only file that needs the packages of `requirements/tracing.txt`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from services.gateway.exchange import Trace
from services.gateway.observe.tracing import Traced
from services.gateway.version import VERSION

_TIMEOUT_S: Final = 5.0
_PATH: Final = "/v1/traces"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SCOPE: Final = InstrumentationScope("gatehouse", VERSION)

Attributes = dict[str, AttributeValue]


class OtlpExporter:
    """Sends to a collector. endpoint: its URL, with or without the path of the protocol. `OTEL_EXPORTER_OTLP_HEADERS` and the like hold."""

    def __init__(self, endpoint: str) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it would write a line for each batch; these are counted
        session = requests.Session()
        session.trust_env = False
        url = endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + _PATH
        self._exporter = OTLPSpanExporter(url, timeout=_TIMEOUT_S, session=session)
        self._resource = Resource.create(
            {"service.name": os.environ.get("OTEL_SERVICE_NAME") or "gatehouse", "service.version": VERSION, "process.pid": os.getpid()}
        )

    def send(self, requests: Sequence[Traced], offset: int) -> bool:
        """Send their spans; return whether they were taken. offset: nanoseconds from `perf_counter` to the epoch."""
        spans = [span for one in requests for span in spans_of(one, offset, self._resource)]
        return self._exporter.export(spans) is SpanExportResult.SUCCESS

    def close(self) -> None:
        """Give up what is being sent."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def spans_of(one: Traced, offset: int, resource: Resource) -> Iterator[ReadableSpan]:
    """Return the span of a request, and that of its upstream when it was asked."""

    def at(moment: float) -> int:
        return int(moment * 1_000_000_000) + offset

    trace = one.trace
    shown, common = _method(one.method)
    api: Attributes = {"gatehouse.api_id": one.api_id} if one.api_id else {}
    attributes: Attributes = {
        **common,
        **api,
        "url.path": one.path,
        "url.scheme": one.scheme,
        "http.response.status_code": one.status,
        "network.protocol.version": f"1.{one.minor}",
        "client.address": one.client,
        "gatehouse.request_id": one.request_id,
    }
    if one.host:
        attributes["server.address"] = one.host
    if one.listen_path:
        attributes["http.route"] = one.listen_path
    failed = one.refused or (str(one.status) if one.status >= 500 else "")
    if failed:
        attributes["error.type"] = failed
    yield ReadableSpan(
        f"{shown} {one.listen_path}" if one.listen_path else shown,
        context=_context(trace, trace.span, remote=False),
        parent=_context(trace, trace.parent, remote=True) if trace.parent else None,
        resource=resource,
        attributes=attributes,
        kind=SpanKind.SERVER,
        status=Status(StatusCode.ERROR if one.status >= 500 else StatusCode.UNSET),
        start_time=at(one.started),
        end_time=at(one.ended),
        instrumentation_scope=_SCOPE,
    )
    if not one.asked:
        return
    host, _, port = one.upstream.rpartition(":")
    shown, common = _method(one.upstream_method)
    asking: Attributes = {**common, **api, "server.address": host.strip("[]")}
    if port.isdigit():
        asking["server.port"] = int(port)
    wrong = one.refused
    if one.first_byte and not wrong:
        asking["http.response.status_code"] = one.status
        wrong = str(one.status) if one.status >= 400 else ""
    if wrong:
        asking["error.type"] = wrong
    yield ReadableSpan(
        shown,
        context=_context(trace, trace.asking, remote=False),
        parent=_context(trace, trace.span, remote=False),
        resource=resource,
        attributes=asking,
        events=[Event("first byte", timestamp=at(one.first_byte))] if one.first_byte else (),
        kind=SpanKind.CLIENT,
        status=Status(StatusCode.ERROR if wrong else StatusCode.UNSET),
        start_time=at(one.asked),
        end_time=at(one.ended),
        instrumentation_scope=_SCOPE,
    )


def _method(method: str) -> tuple[str, Attributes]:
    """Return how a method is called in the name of a span, and its attributes: one that anybody may invent must not become a name."""
    if method in _METHODS:
        return method, {"http.request.method": method}
    return "HTTP", {"http.request.method": "_OTHER", "http.request.method_original": method[:64]}


def _context(trace: Trace, span: int, *, remote: bool) -> SpanContext:
    return SpanContext(trace.id, span, remote, _SAMPLED)
