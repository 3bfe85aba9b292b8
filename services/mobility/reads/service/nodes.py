"""Reads of one node."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.common.database import Database
from services.mobility import refusals
from services.mobility.layers import store as layers
from services.mobility.models import Record
from services.mobility.nodes.rules import versions
from services.mobility.nodes.store import nodes as node_ids
from services.mobility.reads.rules import queries, shown
from services.mobility.reads.service import presenting, resolving
from services.mobility.reads.service.presenting import Wanted
from services.mobility.reads.store import nodes as store


class Nodes:
    """Reads of one node. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def one(self, cdk_id: str, layer: str | None = None, *, geom: bool = False) -> dict[str, Any]:
        """Read one node. layer: whose data is shown, as lists have it (`,` and `|` are the same here). Raises Refusal 404, 422."""
        terms, every = queries.read_layers(layer)
        with self._database.read() as session:
            node = store.find(session, cdk_id, geom=geom)
            if node is None:
                raise refusals.no_such_node(cdk_id)
            wanted: Wanted = presenting.EVERY if every else None
            if terms is not None:
                wanted = resolving.layer_ids(session, terms)
            return presenting.present(session, [node], wanted, geom=geom)[0]

    def record(self, cdk_id: str, layer: str) -> tuple[dict[str, Any] | None, str | None]:
        """Read what a layer says of a node, None when it says nothing, and its entity tag. Raises Refusal 404."""
        with self._database.read() as session:
            found = _record(session, cdk_id, layer)
        if found is None:
            return None, None
        validity = None if found.valid_from is None or found.valid_to is None else (found.valid_from, found.valid_to)
        return shown.record(found), versions.etag(found.data, found.modalities, validity)

    def value(self, cdk_id: str, layer: str, key: str) -> Any:
        """Read one key, None when the data has none. Raises Refusal 404, also when the layer says nothing of the node."""
        with self._database.read() as session:
            found = _record(session, cdk_id, layer)
        if found is None:
            raise refusals.no_layer_data(layer, cdk_id)
        return found.data.get(key)


def _record(session: Session, cdk_id: str, layer: str) -> Record | None:
    node_id = node_ids.find_id(session, cdk_id)
    if node_id is None:
        raise refusals.no_such_node(cdk_id)
    found = layers.find(session, layer)
    if found is None:
        raise refusals.layer_not_found(layer)
    return next((record for record, _ in store.records(session, [node_id], [found.id])), None)
