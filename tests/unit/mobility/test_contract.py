"""What is written down: the migrations, the settings."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.common import openapi
from services.common.database import Database
from services.common.migrations import migrate
from services.common.settings import markdown
from services.mobility.models import db
from services.mobility.settings import Settings
from tests.support.stores import Prepare


@pytest.fixture(scope="session")
def prepare_database() -> Prepare | None:
    """The migrations themselves are looked at."""
    return None


def test_migrations_make_the_tables_that_the_code_knows(database_url: str) -> None:
    """All but what models cannot say: the index of boxes, which on SQLite is tables of its own."""
    migrate("mobility", database_url)
    migrate("mobility", database_url)  # a second time changes nothing
    database = Database(db, database_url)
    with database.engine.connect() as connection:
        options = {"compare_type": True, "include_name": lambda name, *_: not str(name).startswith(("nodes_boxes", "ix_nodes_box"))}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, db.metadata) == []
    database.dispose()


def test_readme_lists_every_setting() -> None:
    assert markdown(Settings, "MOBILITY") in (openapi.snapshot("mobility").parent / "README.md").read_text()
