"""Pages know no SQL, so they are tried on SQLite; a test that is for both stores says so by `BOTH_STORES`."""

from __future__ import annotations

import pytest

BOTH_STORES = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """A database for a test: of SQLite, unless it names another kind."""
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url
