"""Where calls may go, and what they carry."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.devices.actions.rules.webhooks import LARGEST_DATA, LONGEST_URL, MOST_HEADERS, as_json, body, check


@pytest.mark.parametrize(
    "url",
    ["http://a.example", "https://a.example:8443/p?q=1", "HTTPS://bücher.example/ü", "http://[2001:db8::1]:80/", "http://127.0.0.1/x#y"],
)
def test_urls(url: str) -> None:
    assert check({"type": "post", "url": url, "headers": {"Authorization": "Bearer x", "X-A": ""}}) == {}


@pytest.mark.parametrize(
    "url",
    [
        "", "a.example", "//a.example", "http://", "http:///p", "ftp://a.example/", "file:///etc/passwd", "http://a.example:0/",
        "http://a.example:99999/", "http://a.example:x/", "http://user:password@a.example/", "http://a b.example/", "http://a.example/\n",
        "http://[::1/", "http://[a]/", "http://a_b..c/", "http://a.example/\ud800", "http://a.example/$VALUE$",
        "http://a.example/" + "x" * LONGEST_URL,
    ],
)  # fmt: skip
def test_refused_urls(url: str) -> None:
    wrong = check({"type": "post", "url": url})
    assert wrong.keys() == {"url"}
    assert "password" not in str(wrong).replace("user name or password", "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "x"}, {"content-length": "1"}, {"Transfer-Encoding": "chunked"}, {"Webhook-Signature": "v1,x"}, {"webhook-id": "x"},
        {"Connection": "close"}, {"X-A": "a\r\nX-B: b"}, {"X-A": "a\0"}, {"X-A": "x" * 2001}, {"a b": "x"}, {"": "x"}, {"ä": "x"},
        {"X-A": "1", "x-a": "2"}, {"X-A": "at $DEVICE.NAME$"}, {f"X-{number}": "" for number in range(MOST_HEADERS + 1)},
    ],
)  # fmt: skip
def test_refused_headers(headers: dict[str, str]) -> None:
    wrong = check({"type": "post", "url": "http://a.example/", "headers": headers})
    assert len(wrong) == 1
    assert next(iter(wrong)).partition(".")[0] == "headers"


def test_body() -> None:
    records = [{"variable": "temp", "value": 2**53 + 1}, {"variable": "temp", "value": "ü\u2028"}]
    shown = json.loads(body({"id": "a"}, {"id": "d"}, "2026-01-01T00:00:00.000Z", 2, map(as_json, records)))
    assert shown == {"action": {"id": "a"}, "device": {"id": "d"}, "fired_at": "2026-01-01T00:00:00.000Z", "matched": 2, "data": records}


def test_body_is_bounded() -> None:
    record: dict[str, Any] = {"value": "x" * 5000}
    shown = json.loads(body({}, {}, "", 200, map(as_json, [record] * 200)))
    assert shown["matched"] == 200
    assert len(shown["data"]) == LARGEST_DATA // 5013
    large = [{"value": "x" * (LARGEST_DATA + 1)}] * 2
    assert len(json.loads(body({}, {}, "", 2, map(as_json, large)))["data"]) == 1
