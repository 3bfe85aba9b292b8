"""Alembic's entry: runs on the connection that `services.common.migrations.migrate` made."""

from services.common.migrations import run_migrations
from services.mobility.models import db

run_migrations(db.metadata)
