"""The tables of actions: made on a database with data in it, and as the models say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic import command

from services.common.database import Database
from services.devices.models import Base, db
from tests.support.migrating import migrate_to
from tests.support.stores import Prepare

TABLES = ("actions", "action_states", "action_changes", "deliveries", "delivery_marks")


@pytest.fixture(scope="session")
def prepare_database() -> Prepare | None:
    return None


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(db, database_url)
    yield made
    made.dispose()


def test_up_and_down(database: Database) -> None:
    migrate_to("devices", "0002", database)
    for _ in range(2):
        migrate_to("devices", "0003", database)
        with database.read() as session:
            assert session.execute(sa.text("SELECT seq FROM action_changes")).scalar_one() == 0
        migrate_to("devices", "0002", database, command.downgrade)
        assert not set(TABLES) & set(sa.inspect(database.engine).get_table_names())


def test_as_the_models_say(database: Database) -> None:
    migrate_to("devices", "0003", database)
    inspected = sa.inspect(database.engine)
    for name in TABLES:
        table = Base.metadata.tables[name]
        columns = {column["name"]: column["nullable"] for column in inspected.get_columns(name)}
        assert columns == {column.name: column.nullable for column in table.columns}
        indexes = {str(index["name"]): [*index["column_names"]] for index in inspected.get_indexes(name)}
        assert indexes == {str(index.name): [column.name for column in index.columns] for index in table.indexes}
        assert inspected.get_pk_constraint(name)["constrained_columns"] == [column.name for column in table.primary_key]
