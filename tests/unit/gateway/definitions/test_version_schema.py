"""One version of an API: its name, its end and how its paths match."""

from __future__ import annotations

from typing import Any

import pytest

from services.gateway.definitions.model import Version
from services.gateway.definitions.reader import Reader, Report
from services.gateway.definitions.version_schema import VersionReader


def version(**fields: Any) -> Version:
    report = Report()
    found = VersionReader("v1", Reader({"name": "v1", **fields}, "", report)).version
    assert report.mistakes == []
    return found


def wrong(**fields: Any) -> list[str]:
    report = Report()
    VersionReader("v1", Reader({"name": "v1", **fields}, "", report))
    assert all(mistake.message for mistake in report.mistakes)
    return [mistake.pointer for mistake in report.mistakes]


def test_an_empty_version() -> None:
    assert version() == Version("v1")


@pytest.mark.parametrize("name", ["", "V1", "v1 ", None])
def test_the_key_is_its_name(name: str | None) -> None:
    assert version(name=name) == Version("v1")


@pytest.mark.parametrize(("given", "expected"), [("", None), ("-1", None), ("1970-01-02 00:00", 86_400)])
def test_ends(given: str, expected: float | None) -> None:
    assert version(expires=given).expires == expected


def test_an_end_that_cannot_be_read_is_a_mistake() -> None:
    assert wrong(expires="tomorrow") == ["/expires"]


def test_how_its_paths_match() -> None:
    assert version(path_matching="exact", ignore_endpoint_case=True) == Version("v1", None, "exact", True)
    assert wrong(path_matching="regex") == ["/path_matching"]
