"""Layers in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.mobility.models import Layer


def find(session: Session, name: str) -> Layer | None:
    """Read a layer by its name."""
    return session.execute(sa.select(Layer).where(Layer.name == name)).scalar_one_or_none()


def names(session: Session, ids: Sequence[int]) -> Mapping[int, str]:
    """Return the names of layers by id."""
    rows: Any = session.execute(sa.select(Layer.id, Layer.name).where(Layer.id.in_(ids)))
    return dict(rows)
