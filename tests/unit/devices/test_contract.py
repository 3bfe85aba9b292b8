"""What is written down: the migrations, the settings."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.common import openapi
from services.common.database import Database
from services.common.migrations import migrate
from services.common.settings import markdown
from services.devices.models import db
from services.devices.settings import Settings
from tests.support.stores import Prepare


@pytest.fixture(scope="session")
def prepare_database() -> Prepare | None:
    """The migrations themselves are looked at."""
    return None


def test_migrations_make_the_tables_that_the_code_knows(database_url: str) -> None:
    migrate("devices", database_url)
    migrate("devices", database_url)  # a second time changes nothing
    database = Database(db, database_url)

    def here(found: Any, _name: str | None, kind: str, reflected: bool, _other: Any) -> bool:
        """Leave out an index of the other store."""
        only = getattr(found, "_ddl_if", None) if kind == "index" and not reflected else None
        return only is None or only.dialect == database.dialect

    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": here})
        assert compare_metadata(context, db.metadata) == []
    database.dispose()


def test_readme_lists_every_setting() -> None:
    assert markdown(Settings, "DEVICES") in (openapi.snapshot("devices").parent / "README.md").read_text()
