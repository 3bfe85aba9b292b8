"""`/` on both ports: a page for browsers, for programs what they have always got."""

from __future__ import annotations

import json

import requests

from tests.support.gateway import Gateway

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def test_the_public_port(wire_gateway: Gateway) -> None:
    plain = requests.get(wire_gateway.url + "/", timeout=10)
    assert (plain.status_code, plain.headers["Content-Type"], plain.headers["Vary"]) == (404, "application/json", "Accept")
    assert list(plain.json()) == ["error", "code", "detail", "request_id"]
    for accept in ("*/*", "application/json", "application/problem+json", "text/html;q=0.1, application/json"):
        assert "json" in requests.get(wire_gateway.url + "/", headers={"Accept": accept}, timeout=10).headers["Content-Type"]
    page = requests.get(wire_gateway.url + "/", headers={"Accept": BROWSER}, timeout=10)
    assert (page.status_code, page.headers["Content-Type"], page.headers["Vary"]) == (404, "text/html; charset=utf-8", "Accept")
    assert "No API listens at this address." in page.text
    assert not any(name in page.text for name in ("/odd", "keyed", "8081", str(wire_gateway.operator_port)))
    assert "default-src 'none'; style-src 'sha256-" in page.headers["Content-Security-Policy"]
    line = wire_gateway.logged(request_id=page.headers["X-Request-Id"])
    assert (line["status"], line["refused"], line["path"]) == (404, "not-found", "/")
    head = requests.head(wire_gateway.url + "/", headers={"Accept": BROWSER}, timeout=10)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (404, str(len(page.content)), b"")


def test_elsewhere_and_for_forms_nothing_changes(wire_gateway: Gateway) -> None:
    for method, path in (("GET", "/nowhere"), ("GET", "/index.html"), ("POST", "/")):
        answer = requests.request(method, wire_gateway.url + path, headers={"Accept": BROWSER}, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_the_operators_port(wire_gateway: Gateway) -> None:
    plain = requests.get(wire_gateway.operator_url + "/", timeout=10)
    assert (plain.status_code, plain.json()["code"], plain.headers["Vary"]) == (404, "not-found", "Accept")
    page = requests.get(wire_gateway.operator_url + "/", headers={"Accept": BROWSER}, timeout=10)
    assert (page.status_code, page.headers["Content-Type"], page.headers["Vary"]) == (200, "text/html; charset=utf-8", "Accept")
    for link in ("/health", "/ready", "/hello", "/metrics"):
        assert f'<a href="{link}">' in page.text
        assert requests.get(wire_gateway.operator_url + link, timeout=10).status_code == 200
    assert wire_gateway.env["GATEWAY_OPERATOR_KEY"] not in page.text
    assert f'curl -H "authorization: $KEY" {wire_gateway.operator_url}/api/apis' in page.text
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = requests.request(method, wire_gateway.operator_url + "/", headers={"Accept": BROWSER}, timeout=10)
        assert (answer.status_code, json.loads(answer.text)["code"]) == (404, "not-found"), method
