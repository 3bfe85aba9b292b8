"""Addresses of the upstream in header fields of answers."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import compile_api
from services.gateway.exchange import ResponseHead
from services.gateway.middleware import answer_urls
from tests.unit.gateway.exchanges import built, definition, exchange, mistakes, ports


def processor(*headers: str, target_host: str = "https://api.example.com") -> dict[str, Any]:
    return {"name": "header_transform", "options": {"rev_proxy_header_cleanup": {"headers": list(headers), "target_host": target_host}}}


def changed(
    value: str, target: str = "http://up.test:8080/base/", *, strip: bool = True, listen_path: str = "/api/", path: str = "/api/x"
) -> str:
    proxy = {"listen_path": listen_path, "target_url": target, "strip_listen_path": strip}
    rule = built(answer_urls, ports(), proxy=proxy, response_processors=[processor("location", "Link")])
    asked = exchange("GET", path)
    asked.api = compile_api(definition(proxy=proxy), ports(), 1)
    head = ResponseHead(302, b"Found", [(b"Location", value.encode()), (b"X-Other", value.encode())])
    rule.on_response(asked, head)
    assert head.headers[1] == (b"X-Other", value.encode())
    return head.headers[0][1].decode()


def test_without_names_it_is_not_in_the_chain() -> None:
    assert built(answer_urls, ports()) is None
    assert built(answer_urls, ports(), response_processors=[{"name": "header_injector"}, processor()]) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("http://up.test:8080/base/x?q=http://up.test:8080/base", "https://api.example.com/api/x?q=https://api.example.com/api"),
        ("http://UP.test:8080/base", "https://api.example.com/api"),
        ("<http://up.test:8080/base/2>; rel=next", "<https://api.example.com/api/2>; rel=next"),
        ("/base/x?q=1", "/api/x?q=1"),
        ("/base", "/api"),
        ("/based/x", "/based/x"),
        ("//up.test:8080/base", "//up.test:8080/base"),
        ("x", "x"),
        ("https://up.test:8080/base/x", "https://up.test:8080/base/x"),
        ("http://up.test/base/x", "http://up.test/base/x"),
        ("http://up.test:8080/other", "http://up.test:8080/other"),
        ("http://up.test:8080/based", "http://up.test:8080/based"),
        ("http://up.test:80801/base", "http://up.test:80801/base"),
        ("http://up.test:8080.evil.test/base", "http://up.test:8080.evil.test/base"),
    ],
)
def test_only_addresses_of_the_upstream_change(value: str, expected: str) -> None:
    assert changed(value) == expected


@pytest.mark.parametrize("value", ["http://up.test/x", "http://up.test:80/x"])
def test_the_usual_port_need_not_be_written(value: str) -> None:
    assert changed(value, "http://up.test/") == "https://api.example.com/api/x"
    assert changed("http://up.test:8080/x", "http://up.test/") == "http://up.test:8080/x"


def test_a_listen_path_that_the_upstream_sees_is_there_already() -> None:
    assert changed("http://up.test/api/y", "http://up.test/", strip=False) == "https://api.example.com/api/y"
    assert changed("/base/api/y", strip=False) == "/api/y"
    assert changed("/base", strip=False) == "/"


@pytest.mark.parametrize("value", ["/base//evil.test/x", "/base/\\evil.test/x", "/base/\t/evil.test/x"])
def test_a_path_does_not_become_a_host(value: str) -> None:
    """An upstream may repeat what a client asked for."""
    assert changed(value, strip=False) == value
    assert changed(value, listen_path="/", path="/x") == value
    assert changed(value) == "/api" + value.removeprefix("/base")


def test_a_listen_path_with_a_name() -> None:
    assert changed("/base/y", listen_path="/{org}/api/", path="/acme/api/x") == "/acme/api/y"


@pytest.mark.parametrize(
    ("one", "place"),
    [
        (processor("Location", target_host=""), "/target_host"),
        (processor("Location", target_host="api.example.com"), "/target_host"),
        (processor("Location", target_host="https://api.example.com/v1"), "/target_host"),
        (processor("Location", target_host="https://a:b@api.example.com"), "/target_host"),
        (processor("Content-Length"), "/headers/0"),
    ],
)
def test_what_could_not_be_meant(one: dict[str, Any], place: str) -> None:
    assert mistakes(answer_urls, response_processors=[one]) == [f"/response_processors/0/options/rev_proxy_header_cleanup{place}"]
