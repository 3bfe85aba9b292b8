"""Alembic's environment for the gateway's database."""

from __future__ import annotations

from services.common.database import run_migrations
from services.gateway.stores.base import Base

run_migrations(Base.metadata)
