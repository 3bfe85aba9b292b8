"""W3C Trace Context: what is understood, and what a service passes on to its neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from flask import Flask

from services.common import trace_context
from services.common.app import create_app
from services.common.http_client import Client
from services.common.trace_context import Parent, parse

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("value", "sampled"),
    [
        (GOOD, True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"cc-{TRACE}-{SPAN}-01", True),  # of a version to come
        (f"cc-{TRACE}-{SPAN}-01-what-it-may-be", True),
    ],
)
def test_a_parent(value: str, sampled: bool) -> None:
    assert parse(value.encode()) == Parent(int(TRACE, 16), int(SPAN, 16), sampled)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        GOOD.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"{GOOD}-more",
        f"{GOOD},{GOOD}",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 600}",
        f" {GOOD}",
        f"{GOOD}\n",
    ],
)
def test_what_is_not_a_parent(value: str) -> None:
    assert parse(value.encode()) is None


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """The headers of the calls that a client makes; nobody is called."""
    found: list[dict[str, str]] = []

    def send(self: requests.Session, method: str, url: str, **options: object) -> requests.Response:
        found.append(dict(options.get("headers") or {}))  # type: ignore[call-overload]
        return requests.Response()

    monkeypatch.setattr(requests.Session, "request", send)
    yield found
    trace_context.enter(None, None)


@pytest.fixture
def app() -> Flask:
    app = create_app("example", version="1")

    @app.get("/asks")
    def asks() -> str:
        Client().get("http://neighbour.example/")
        return ""

    return app


def traced(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("trace")}


def test_a_service_passes_it_on(app: Flask, sent: list[dict[str, str]]) -> None:
    app.test_client().get("/asks", headers={"traceparent": GOOD, "tracestate": "vendor=1"})
    app.test_client().get("/asks", headers={"traceparent": GOOD})
    assert [traced(one) for one in sent] == [{"traceparent": GOOD, "tracestate": "vendor=1"}, {"traceparent": GOOD}]
    assert all(one["X-Request-Id"] for one in sent)


@pytest.mark.parametrize("headers", [{}, {"traceparent": "00-x"}, {"tracestate": "vendor=1"}])
def test_a_service_invents_and_repeats_nothing(app: Flask, sent: list[dict[str, str]], headers: dict[str, str]) -> None:
    client = app.test_client()
    client.get("/asks", headers={"traceparent": GOOD, "tracestate": "vendor=1"})
    client.get("/asks", headers={"tracestate": "vendor=1"} | headers)
    assert traced(sent[1]) == {}
