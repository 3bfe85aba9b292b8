"""Alembic's entry: runs on the connection that `services.common.database.migrate` made."""

from services.auth.models import db
from services.common.database import run_migrations

run_migrations(db.metadata)
