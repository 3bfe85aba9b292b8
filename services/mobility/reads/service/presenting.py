"""Nodes that were found, as answers show them, with what layers say of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal

from sqlalchemy.orm import Session

from services.mobility.layers import store as layers
from services.mobility.models import Node
from services.mobility.reads.rules import shown
from services.mobility.reads.store import nodes as store

EVERY: Final = "*"  # all layers
Wanted = Collection[int] | Literal["*"] | None  # layers whose data is shown: ids, all of them, or none at all


def present(
    session: Session, nodes: Sequence[Node], wanted_layers: Wanted, geom: bool, distances: Mapping[int, float] | None = None
) -> list[dict[str, Any]]:
    """Show nodes in this order.

    wanted_layers: None shows no `layers`; otherwise a node without such data shows empty ones. distances: metres, by the nodes' ids.
    """
    names = layers.names(session, sorted({node.layer_id for node in nodes if node.layer_id is not None}))
    records: dict[int, dict[str, dict[str, Any]]] | None = None
    if wanted_layers is not None:
        records = {node.id: {} for node in nodes}
        only = None if wanted_layers == EVERY else sorted(wanted_layers)
        for record, name in store.records(session, list(records), only):
            records[record.node_id][name] = shown.record(record)
    return [
        shown.node(
            node,
            None if node.layer_id is None else names.get(node.layer_id),
            None if records is None else records[node.id],
            geom=geom,
            distance=None if distances is None else distances.get(node.id),
        )
        for node in nodes
    ]
