"""Alembic's environment for the gateway's database."""

from __future__ import annotations

from services.common.migrations import run_migrations
from services.gateway.stores.base import metadata

run_migrations(metadata)
