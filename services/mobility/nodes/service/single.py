"""Writes of one record: merge into it, delete it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from sqlalchemy.orm import Session

from services.common.refusal import Refusal
from services.mobility import refusals
from services.mobility.access import Caller
from services.mobility.layers import store as layers
from services.mobility.layers.writing import Writing
from services.mobility.models import Layer
from services.mobility.nodes.rules import records as rules
from services.mobility.nodes.rules import validity
from services.mobility.nodes.rules.versions import UNCONDITIONAL, Conditions, etag
from services.mobility.nodes.store import nodes, records
from services.mobility.nodes.store.records import Kept

Fate = Literal["kept", "deleted"]


class SingleWrites:
    """Writes of what one layer says of one node. Thread-safe."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    def merge(
        self,
        who: Callable[[], Caller],
        cdk_id: str,
        layer_name: str,
        body: Callable[[], dict[str, Any]],
        conditions: Conditions = UNCONDITIONAL,
    ) -> None:
        """Merge data and modalities into a record; a validity replaces the old one.

        body: reads the request, once the caller may write. conditions: on the record as it is. Raises Refusal 401, 403, 404, 412, 422.
        """
        sent = _Sent(body)

        def work(session: Session, layer: Layer) -> None:
            node = nodes.lock(session, cdk_id, alone=False)
            if node is None:
                raise refusals.node_not_found(cdk_id)
            given = sent.read()
            if given.get("data") is None:
                raise refusals.no_data()
            data = rules.read_data(given["data"])
            bits = rules.read_modalities(given.get("modalities"), f"Incorrect modality encountered in object with cdk_id={cdk_id}")
            times = validity.read(given.get("validity"), cdk_id, {})
            node_id, _, box = node
            old = records.lock(session, node_id, layer.id)
            _check(conditions, old)
            if old is not None:
                data = {**old.data, **data}
                bits = old.modalities if bits is None else bits | (old.modalities or 0)
                times = old.validity if times == (None, None) else times
            rules.to_json(data)  # is not too large
            records.write(session, node_id, layer.id, Kept(data, bits, times))
            layers.grow(session, layer, box)

        self._writing.run(layer_name, who, work, before=sent.fetch)

    def delete(
        self, who: Callable[[], Caller], cdk_id: str, layer_name: str, conditions: Conditions = UNCONDITIONAL, *, also_node: bool = False
    ) -> Fate | None:
        """Delete a record, if there is one. conditions: on it as it is.

        also_node: also the node, if the layer created it, no other layer says something of it, and no route goes through it. While others
        have data there it stays, without a layer that created it. Returns what became of the node, None when nobody asked. Raises Refusal
        401, 403, 404, 412.
        """

        def work(session: Session, layer: Layer) -> Fate | None:
            node = nodes.lock(session, cdk_id, alone=also_node)
            if node is None:
                raise refusals.node_not_found(cdk_id)
            node_id, creator, _ = node
            _check(conditions, records.delete(session, node_id, layer.id))
            return _let_go(session, node_id, mine=creator == layer.id) if also_node else None

        return self._writing.run(layer_name, who, work)


class _Sent:
    """The body of a request: read before the transaction, as a slow client must hold no lock, and refused where the checks come to it."""

    def __init__(self, body: Callable[[], dict[str, Any]]) -> None:
        self._body = body
        self._found: dict[str, Any] | Refusal | None = None

    def fetch(self) -> None:
        """Read the body."""
        try:
            self._found = self._body()
        except Refusal as refusal:
            self._found = refusal

    def read(self) -> dict[str, Any]:
        """Return the body. Raises the refusal with which it was read."""
        if isinstance(self._found, Refusal):
            raise self._found
        assert self._found is not None
        return self._found


def _check(conditions: Conditions, record: Kept | None) -> None:
    if not conditions:
        return
    if record is None:
        return conditions.check(None)
    begins, ends = record.validity
    conditions.check(etag(record.data, record.modalities, None if begins is None or ends is None else (begins, ends)))


def _let_go(session: Session, node_id: int, *, mine: bool) -> Fate:
    """Delete a node if nobody else needs it. mine: the layer created it."""
    if not mine:
        return "kept"
    if nodes.has_records(session, node_id):
        nodes.disown(session, node_id)
        return "kept"
    if nodes.is_member(session, node_id):  # its layer may delete it once the route is gone
        return "kept"
    nodes.delete(session, node_id)
    return "deleted"
