"""The map library of the pages is the one that was published."""

from __future__ import annotations

import hashlib

import pytest

from services.common.pages.assets import LEAFLET


@pytest.mark.parametrize(("name", "digest"), [
    ("leaflet.js", "db49d009c841f5ca34a888c96511ae936fd9f5533e90d8b2c4d57596f4e5641a"),
    ("leaflet.css", "a7837102824184820dfa198d1ebcd109ff6d0ff9a2672a074b9a1b4d147d04c6"),
])  # fmt: skip
def test_the_library_is_as_it_was_published(name: str, digest: str) -> None:
    assert hashlib.sha256((LEAFLET / name).read_bytes()).hexdigest() == digest
    assert "BSD 2-Clause" in (LEAFLET / "LICENSE").read_text()
