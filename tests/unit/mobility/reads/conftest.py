"""Nodes written straight into the database, for lists; no write's own rules are asked."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import shapely

from services.mobility.modalities import bits
from services.mobility.models import Layer, Member, Node, Record
from tests.unit.mobility.conftest import API, good

LON, LAT = 4.0, 52.0  # far enough from the station that every installation has


class Data:
    """Writes nodes into one application's database."""

    def __init__(self, api: API) -> None:
        self.api = api

    def layer(self, name: str) -> None:
        with self.api.parts.database.transaction() as session:
            more = {"data_sources": [], "realtime": False, "status": ""}
            session.add(Layer(name=name, category="mobility.x", organization="o", description="d", owner_id="a", owner="a@x.org", **more))

    def node(
        self,
        cdk_id: str,
        place: tuple[float, float] | str = (LON, LAT),
        *,
        kind: str = "node",
        name: str | None = None,
        layer: str = "a.rail",
        modalities: Sequence[str] = (),
        members: Sequence[str] = (),
        **data: Mapping[str, Any],
    ) -> None:
        """place: a point, or WKT. data: by layer, with `__` in the place of dots."""
        wkb = shapely.to_wkb(shapely.from_wkt(place), byte_order=1) if isinstance(place, str) else struct.pack("<BIdd", 1, 1, *place)
        west, south, east, north = shapely.bounds(shapely.from_wkb(wkb)).tolist()
        with self.api.parts.database.transaction() as session:
            ids = {one.name: one.id for one in session.query(Layer)}
            node = Node(
                cdk_id=cdk_id,
                name=name,
                node_type=kind,
                layer_id=ids[layer],
                modalities=bits(modalities) if modalities else None,
                geom=wkb,
                min_lon=west,
                min_lat=south,
                max_lon=east,
                max_lat=north,
            )
            session.add(node)
            session.flush()
            for key, values in data.items():
                session.add(Record(node_id=node.id, layer_id=ids[key.replace("__", ".")], data=dict(values)))
            for position, member in enumerate(members):
                session.add(
                    Member(route_id=node.id, position=position, node_id=session.query(Node.id).where(Node.cdk_id == member).scalar())
                )

    def ids(self, path: str = "/nodes", **query: Any) -> list[str]:
        """The cdk_ids of a list, in its order."""
        return [one["cdk_id"] for one in good(self.api.get(path, **query))["results"]]


@pytest.fixture
def data(api: API) -> Data:
    return Data(api)
