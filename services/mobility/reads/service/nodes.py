"""Reads of one node."""

from __future__ import annotations

from typing import Any

from services.common.database import Database
from services.mobility import refusals
from services.mobility.reads.service import presenting
from services.mobility.reads.store import nodes as store


class Nodes:
    """Reads of one node. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def one(self, cdk_id: str) -> dict[str, Any]:
        """Read one node with all its layers. Raises Refusal 404."""
        with self._database.read() as session:
            node = store.find(session, cdk_id, geom=False)
            if node is None:
                raise refusals.no_such_node(cdk_id)
            return presenting.present(session, [node], presenting.EVERY, geom=False)[0]
