"""Layers in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.mobility.geometry.boxes import Box
from services.mobility.models import Layer


def find(session: Session, name: str) -> Layer | None:
    """Read a layer by its name."""
    return session.execute(sa.select(Layer).where(Layer.name == name)).scalar_one_or_none()


def names(session: Session, ids: Sequence[int]) -> Mapping[int, str]:
    """Return the names of layers by id."""
    found = session.execute(sa.select(Layer.id, Layer.name).where(Layer.id.in_(ids)))
    return {row.id: row.name for row in found}


def grow(session: Session, layer: Layer, box: Box) -> None:
    """Let the layer's box hold this one, too. The row is written, and so locked, only when it does not yet."""
    if _holds(layer, box):
        return
    session.execute(
        sa.update(Layer)
        .where(Layer.id == layer.id)
        .values(
            min_lon=_least(Layer.min_lon, box.west),
            min_lat=_least(Layer.min_lat, box.south),
            max_lon=_greatest(Layer.max_lon, box.east),
            max_lat=_greatest(Layer.max_lat, box.north),
        )
    )


def _holds(layer: Layer, box: Box) -> bool:
    west, south, east, north = layer.min_lon, layer.min_lat, layer.max_lon, layer.max_lat
    if west is None or south is None or east is None or north is None:
        return False
    return west <= box.west and south <= box.south and east >= box.east and north >= box.north


def _least(column: Any, value: float) -> sa.ColumnElement[float]:
    return sa.case((column < value, column), else_=value)


def _greatest(column: Any, value: float) -> sa.ColumnElement[float]:
    return sa.case((column > value, column), else_=value)
