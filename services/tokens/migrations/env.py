"""Alembic's entry: runs on the connection that `services.common.database.migrate` made."""

from services.common.database import run_migrations
from services.tokens.models import db

run_migrations(db.metadata)
