"""What is written down: the migrations, the settings."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.common import openapi
from services.common.database import Database
from services.common.migrations import migrate
from services.common.settings import markdown
from services.tokens.models import db
from services.tokens.settings import Settings
from tests.support.migrating import migrate_to
from tests.support.stores import Prepare


@pytest.fixture(scope="session")
def prepare_database() -> Prepare | None:
    """The migrations themselves are looked at."""
    return None


def test_migrations_make_the_tables_that_the_code_knows(database_url: str) -> None:
    migrate("tokens", database_url)
    migrate("tokens", database_url)  # a second time changes nothing
    database = Database(db, database_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []
    database.dispose()


def test_turns_of_before_the_pace_was_known_go_on_as_they_are(database_url: str) -> None:
    database = Database(db, database_url)
    migrate_to("tokens", "0001", database)
    with database.engine.begin() as connection:
        values = "('a', 'done', '#ff6868', 1, '2026-01-01 00:00:00')"
        connection.execute(sa.text(f"INSERT INTO interactions (id, status, color, seq, requested_at) VALUES {values}"))
    migrate("tokens", database_url)
    with database.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT id, status, done_at FROM interactions")).all() == [("a", "done", None)]
    database.dispose()


def test_readme_lists_every_setting() -> None:
    assert markdown(Settings, "TOKENS") in (openapi.snapshot("tokens").parent / "README.md").read_text()
