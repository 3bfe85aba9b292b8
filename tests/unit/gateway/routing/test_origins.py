"""Patterns of origins: what they match, and which ones are mistakes."""

from __future__ import annotations

import pytest

from services.gateway.routing.origins import ANY, origin_pattern, why_never


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("https://App.Example", ["https://app.example"], ["http://app.example", "https://app.example:8443", "https://app.example.evil"]),
        (
            "https://*.app.example",
            ["https://a.app.example", "https://a.b.app.example"],
            ["https://app.example", "https://evil-app.example"],
        ),
        ("https://pr-*.app.example", ["https://pr-7.app.example"], ["https://pr-7.evil/.app.example", "https://a.app.example"]),
        ("https://*.app.example:8443", ["https://a.app.example:8443"], ["https://a.app.example", "https://evil:1.app.example:8443"]),
        ("http://localhost:*", ["http://localhost:3000"], ["http://localhost", "http://localhost:1.evil", "http://localhost:"]),
        ("https://*", ["https://a.example"], ["http://a.example", "https://a.example:1"]),
        ("http://*:3000", ["http://a:3000"], ["http://a:30001", "http://a"]),
        ("*.app.example", ["https://a.app.example", "http://a.app.example"], ["https://a.app.example:1", "https://evil?.app.example"]),
        ("null", ["null"], ["https://null"]),
    ],
)
def test_what_a_pattern_matches(pattern: str, matching: list[str], others: list[str]) -> None:
    found = origin_pattern(pattern)
    assert [one for one in matching + others if found.matches(one)] == matching


def test_an_overlap_is_not_a_match() -> None:
    assert not origin_pattern("https://a.*.a.example").matches("https://a.a.example")


def test_a_star_alone_is_every_origin() -> None:
    assert origin_pattern("*") is ANY
    assert ANY.matches("https://a.example")


@pytest.mark.parametrize(
    "wrong", ["", " ", "https://a b", "https://münchen.example", "https://*app.example", "https://app.*", "https://app*", "https://*.",
              "https://*.*.example", "https://app.example*:8443", "https://*.:80"]
)  # fmt: skip
def test_mistakes(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        origin_pattern(wrong)


@pytest.mark.parametrize("wrong", ["app.example", "https://app.example/", "https://app.example/a", "https://app.example:x", "null"])
def test_warnings(wrong: str) -> None:
    assert why_never(wrong)


@pytest.mark.parametrize("right", ["*", "https://app.example", "https://[::1]:80", "https://*.app.example", "*.app.example", "http://a:*"])
def test_no_warnings(right: str) -> None:
    assert why_never(right) == ""
