"""How nodes and records look in an answer: the one place where their JSON is made. No framework."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from services.mobility import modalities, moments
from services.mobility.geometry import geometries

NO_LAYER: Final = "none"  # shown as the layer of a node whose creator has deleted it while others have data there


class NodeRow(Protocol):
    """What is read of a node to show it."""

    @property
    def cdk_id(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def node_type(self) -> str: ...
    @property
    def modalities(self) -> int | None: ...
    @property
    def geom(self) -> bytes: ...


class RecordRow(Protocol):
    """What is read of a record to show it."""

    @property
    def data(self) -> dict[str, Any]: ...
    @property
    def modalities(self) -> int | None: ...
    @property
    def valid_from(self) -> dt.datetime | None: ...
    @property
    def valid_to(self) -> dt.datetime | None: ...


def node(
    row: NodeRow,
    layer: str | None,
    records: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    geom: bool = False,
    distance: float | None = None,
) -> dict[str, Any]:
    """Show a node.

    layer: the name of its creator. records: what layers say of it, as `record` shows it, by the layers' names; None: none was asked for.
    geom: with its geometry, as GeoJSON. distance: metres from the place that was asked for; shown to the centimetre.
    """
    shown: dict[str, Any] = {"cdk_id": row.cdk_id, "name": row.name or "", "node_type": row.node_type}
    if row.modalities is not None:
        shown["modalities"] = modalities.names(row.modalities)
    if records is not None:
        shown["layers"] = records
    shown["layer"] = layer or NO_LAYER
    if distance is not None:
        shown["distance"] = round(distance, 2)
    if geom:
        shown["geom"] = geometries.to_geojson(row.geom)
    return shown


def record(row: RecordRow) -> dict[str, Any]:
    """Show what a layer says of a node: `{"data", "modalities"?, "validity"?}`. validity: from, to; ISO 8601, UTC."""
    shown: dict[str, Any] = {"data": row.data}
    if row.modalities is not None:
        shown["modalities"] = modalities.names(row.modalities)
    if row.valid_from is not None or row.valid_to is not None:
        shown["validity"] = [moments.show(row.valid_from), moments.show(row.valid_to)]
    return shown


def collection(nodes: Sequence[Mapping[str, Any]], total: int | None, links: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Show nodes that have their geometry as a GeoJSON FeatureCollection (RFC 7946). total: if it is known. links: relation, address."""
    found: dict[str, Any] = {"type": "FeatureCollection", "numberReturned": len(nodes)}
    if total is not None:
        found["numberMatched"] = total
    found["links"] = [{"rel": rel, "href": href, "type": "application/geo+json"} for rel, href in links]
    found["features"] = [feature(one) for one in nodes]
    return found


def feature(node: Mapping[str, Any]) -> dict[str, Any]:
    """Show a node that has its geometry as a GeoJSON Feature."""
    properties = {name: value for name, value in node.items() if name != "geom"}
    return {"type": "Feature", "id": node["cdk_id"], "geometry": node["geom"], "properties": properties}
