"""Databases as older or newer code had them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic import command
from alembic.config import Config

from services.common.core_database import Transactions
from services.common.migrations import migrations_folder


def migrate_to(service: str, revision: str, database: Transactions[Any], step: Callable[..., None] = command.upgrade) -> None:
    """Bring the database of a service to one of its migrations. step: or `alembic.command.downgrade`."""
    configuration = Config()
    configuration.set_main_option("script_location", str(migrations_folder(service)))
    with database.engine.begin() as connection:
        configuration.attributes["connection"] = connection
        step(configuration, revision)
