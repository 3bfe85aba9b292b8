"""Which store a test is for."""

from __future__ import annotations

import pytest


@pytest.fixture
def postgresql_only(database_url: str) -> None:
    """Leave the test out on SQLite, which has one writer at a time and no partitions."""
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time, and no partitions")
