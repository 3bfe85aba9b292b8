"""Projects in the database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session as Transaction

from services.sessions.models import Project


def by_name(transaction: Transaction, name: str, *, lock: bool = False) -> Project | None:
    """Find a project that is not trashed. lock: nobody else changes it, or starts a session of it, until the transaction ends."""
    found = sa.select(Project).where(Project.name == name, Project.trashed_at.is_(None))
    return transaction.execute(found.with_for_update() if lock else found).scalar_one_or_none()


def add(transaction: Transaction, project: Project) -> None:
    """Add a project. Raises IntegrityError at the end of the transaction, or at the next query, for a name that is taken."""
    transaction.add(project)
