"""What a bulk does, given what the database has of the nodes that it names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from services.mobility import refusals
from services.mobility.geometry.boxes import Box
from services.mobility.nodes.rules.bulk import Given


class Known(NamedTuple):
    """A node that exists. size: bytes of its geometry."""

    id: int
    cdk_id: str
    given_id: str | None
    layer_id: int | None
    node_type: str
    west: float
    south: float
    east: float
    north: float
    size: int


def check(nodes: Sequence[Given], known: Mapping[str, Known], layer_id: int) -> None:
    """Check that nodes which must exist do, and that those which a layer creates are not others' already.

    A node that its layer has let go, because others have data there, is the same node when that layer sends it again. Raises Refusal 404,
    422.
    """
    for node in nodes:
        there = known.get(node.cdk_id)
        if node.given_id is None:
            if there is None:
                raise refusals.node_not_found(node.cdk_id, node.where)
        elif there is not None and (there.given_id != node.given_id or there.layer_id not in (layer_id, None)):
            raise refusals.cdk_id_not_unique(node.cdk_id, node.where)


def check_members(nodes: Sequence[Given], existing: Collection[str]) -> None:
    """Check that members of routes exist. existing: cdk_ids, with those that the request creates. Raises Refusal 422."""
    for node in nodes:
        for member in node.members:
            if member not in existing:
                raise refusals.member_not_found(member, node.where)


def box_of(nodes: Sequence[Known]) -> Box:
    """Return the box around nodes."""
    return Box(
        min(node.west for node in nodes),
        min(node.south for node in nodes),
        max(node.east for node in nodes),
        max(node.north for node in nodes),
    )
