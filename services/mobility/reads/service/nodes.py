"""Reads of nodes."""

from __future__ import annotations

from typing import Any

from services.common.database import Database
from services.mobility import modalities, refusals
from services.mobility.reads.rules import shown
from services.mobility.reads.store import nodes as store


class Nodes:
    """Reads of nodes. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def one(self, cdk_id: str) -> dict[str, Any]:
        """Read one node with all its layers. Raises Refusal 404."""
        with self._database.read() as session:
            node = store.find(session, cdk_id)
            if node is None:
                raise refusals.no_such_node(cdk_id)
            layers = {name: shown.record(record.data, record.modalities) for record, name in store.records(session, [node.id])}
        found: dict[str, Any] = {"cdk_id": node.cdk_id, "name": node.name or "", "node_type": node.node_type}
        if node.modalities is not None:
            found["modalities"] = modalities.names(node.modalities)
        if layers:
            found["layers"] = layers
        return found
