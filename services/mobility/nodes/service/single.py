"""Writes of one record: merge into it, delete it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from services.mobility import refusals
from services.mobility.access import Caller
from services.mobility.layers.writing import Writing
from services.mobility.models import Layer
from services.mobility.nodes.rules import records as rules
from services.mobility.nodes.store import nodes, records


class SingleWrites:
    """Writes of what one layer says of one node. Thread-safe."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    def merge(self, who: Callable[[], Caller], cdk_id: str, layer_name: str, body: Callable[[], dict[str, Any]]) -> None:
        """Merge data and modalities into a record. body: reads the request, once the node is found. Raises Refusal 401, 403, 404, 422."""

        def work(session: Session, layer: Layer) -> None:
            node_id = nodes.find_id(session, cdk_id)
            if node_id is None:
                raise refusals.node_not_found(cdk_id)
            given = body()
            if given.get("data") is None:
                raise refusals.no_data()
            data = rules.read_data(given["data"])
            bits = rules.read_modalities(given.get("modalities"), f"Incorrect modality encountered in object with cdk_id={cdk_id}")
            old, old_bits = records.lock(session, node_id, layer.id)
            merged = old_bits if bits is None else bits | (old_bits or 0)
            records.write(session, node_id, layer.id, {**old, **data}, merged)

        self._writing.run(layer_name, who, work)
