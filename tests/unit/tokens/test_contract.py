"""What is written down: the OpenAPI document, the migrations, the settings."""

from __future__ import annotations

import json

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.common import openapi
from services.common.database import Database, migrate
from services.common.settings import markdown
from services.tokens.app import describe
from services.tokens.models import Base
from services.tokens.settings import Settings
from tests.support.stores import Prepare


@pytest.fixture(scope="session")
def prepare_database() -> Prepare | None:
    """The migrations themselves are looked at."""
    return None


def test_openapi_document_is_the_generated_one() -> None:
    written = json.loads(openapi.snapshot("tokens").read_text())
    assert written == json.loads(openapi.text(describe())), "run python -m services.common.openapi tokens"


def test_migrations_make_the_tables_that_the_code_knows(database_url: str) -> None:
    migrate("tokens", database_url)
    migrate("tokens", database_url)  # a second time changes nothing
    database = Database(database_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    database.dispose()


def test_readme_lists_every_setting() -> None:
    assert markdown(Settings, "TOKENS") in (openapi.snapshot("tokens").parent / "README.md").read_text()
