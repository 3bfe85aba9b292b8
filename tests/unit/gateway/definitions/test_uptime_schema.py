"""Uptime tests in a definition."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.compiler import parse
from services.gateway.definitions.model import TargetUrl, UptimeTest
from services.gateway.definitions.reader import Mistakes
from tests.unit.gateway.exchanges import document

WHERE = "/uptime_tests"


def read(*tests: Any, **more: Any) -> tuple[UptimeTest, ...]:
    return parse(document(uptime_tests={"check_list": list(tests), **more})).uptime_tests


def wrong(*tests: Any, **more: Any) -> dict[str, str]:
    with pytest.raises(Mistakes) as refused:
        read(*tests, **more)
    return {one.pointer.removeprefix(WHERE): one.message for one in refused.value.mistakes}


def test_without_tests() -> None:
    assert parse(document()).uptime_tests == ()
    assert read() == ()
    assert read({"url": "http://h/"}, disabled=True) == ()
    assert read(config={"expire_utime_after": 0, "recheck_wait": 12, "service_discovery": {"use_discovery_service": False}}) == ()


def test_a_url_alone() -> None:
    expected = UptimeTest(TargetUrl("http", "10.0.0.1", 8080, "/health", "full=1"))
    assert read("http://10.0.0.1:8080/health?full=1") == (expected,)
    assert read({"url": "http://10.0.0.1:8080/health?full=1"}, "http://10.0.0.1:8080/health?full=1") == (expected,)


@pytest.mark.parametrize(("text", "path"), [("http://h", ""), ("http://h/", "/"), ("http://h/a", "/a"), ("http://h/a/", "/a/")])
def test_the_path_stays_as_it_is_written(text: str, path: str) -> None:
    assert read(text)[0].url.path == path


def test_all_of_it() -> None:
    found = read({"url": "https://h/a", "method": "POST", "headers": {"X-A": "b"}, "body": "eyJhIjoxfQ==", "timeout": 0.5})
    assert found == (UptimeTest(TargetUrl("https", "h", 443, "/a", ""), "POST", (("X-A", "b"),), b'{"a":1}', 0.5),)


@pytest.mark.parametrize(("written", "seconds"), [(0, 5.0), (2, 2.0), (3600, 3600.0), (500_000_000, 0.5), (5_000_000_000, 5.0)])
def test_a_time_of_a_definition_for_tyk_is_in_nanoseconds(written: float, seconds: float) -> None:
    assert read({"url": "http://h/", "timeout": written})[0].timeout == seconds


@pytest.mark.parametrize(
    ("test", "place"),
    [
        ("", "/check_list/0"),
        ("h/health", "/check_list/0"),
        ({}, "/check_list/0/url"),
        ({"url": "tcp://h:1"}, "/check_list/0/url"),
        ({"url": "http://user:secret@h/"}, "/check_list/0/url"),
        ({"url": "http://h/", "protocol": "tcp"}, "/check_list/0/protocol"),
        ({"url": "http://h/", "enable_proxy_protocol": True}, "/check_list/0/enable_proxy_protocol"),
        ({"url": "http://h/", "commands": [{"name": "send", "message": "a"}]}, "/check_list/0/commands"),
        ({"url": "http://h/", "method": "get"}, "/check_list/0/method"),
        ({"url": "http://h/", "headers": {"Content-Length": "3"}}, "/check_list/0/headers/Content-Length"),
        ({"url": "http://h/", "headers": {"X-A": "a\r\nB: c"}}, "/check_list/0/headers/X-A"),
        ({"url": "http://h/", "body": "not base64"}, "/check_list/0/body"),
        ({"url": "http://h/", "timeout": -1}, "/check_list/0/timeout"),
        ({"url": "http://h/", "tiemout": 1}, "/check_list/0/tiemout"),
        (7, "/check_list/0"),
    ],
)
def test_mistakes(test: Any, place: str) -> None:
    found = wrong(test)
    assert place in found
    assert "secret" not in str(found)
    assert "target_url" not in str(found)


def test_tests_from_discovery_and_too_many_of_them() -> None:
    assert list(wrong(config={"service_discovery": {"use_discovery_service": True}})) == ["/config/service_discovery/use_discovery_service"]
    assert list(wrong(*(f"http://h/{number}" for number in range(101)))) == ["/check_list"]
