"""Alembic's entry: runs on the connection that `services.common.migrations.migrate` made."""

from services.auth.models import db
from services.common.migrations import run_migrations

run_migrations(db.metadata)
