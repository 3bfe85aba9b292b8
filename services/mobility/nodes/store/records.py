"""What layers say of nodes, in the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.common.upsert import insert
from services.mobility.models import Record


def lock(session: Session, node_id: int, layer_id: int) -> tuple[dict[str, Any], int | None]:
    """Read a record and lock it until the transaction ends; an empty one is created when there is none. Returns data, modalities."""
    fresh = {"node_id": node_id, "layer_id": layer_id, "data": {}}
    session.execute(insert(session.get_bind().dialect.name, Record).values(**fresh).on_conflict_do_nothing())
    mine = (Record.node_id == node_id, Record.layer_id == layer_id)
    data, modalities = session.execute(sa.select(Record.data, Record.modalities).where(*mine).with_for_update()).one()
    return data, modalities


def write(session: Session, node_id: int, layer_id: int, data: Mapping[str, Any], modalities: int | None) -> None:
    """Write a record that is there."""
    mine = (Record.node_id == node_id, Record.layer_id == layer_id)
    session.execute(sa.update(Record).where(*mine).values(data=dict(data), modalities=modalities))
