"""Numbers that rise with every write of a kind: a worker that missed an announcement sees by them that it must look again."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.common.database import Database
from services.gateway.stores.base import Base


class GenerationRow(Base):
    __tablename__ = "generations"

    name: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    number: Mapped[int] = mapped_column(sa.BigInteger)


def raise_generation(session: Session, name: str) -> None:
    """Inside the writer's transaction, so that the number never moves without the change it stands for."""
    raised = session.execute(sa.update(GenerationRow).where(GenerationRow.name == name).values(number=GenerationRow.number + 1))
    if not raised.rowcount:  # type: ignore[attr-defined]
        session.add(GenerationRow(name=name, number=1))


def current(database: Database, name: str) -> int:
    """0 = never written."""
    with database.read() as session:
        return session.scalar(sa.select(GenerationRow.number).where(GenerationRow.name == name)) or 0
