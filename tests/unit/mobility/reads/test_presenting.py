"""How nodes that were found are shown."""

from __future__ import annotations

import datetime as dt

from services.mobility.models import Layer, Node, Record
from services.mobility.reads.service import presenting
from tests.unit.mobility.conftest import API


def test_a_node_shows_the_layers_that_are_wanted_and_its_creator(api: API) -> None:
    with api.parts.database.transaction() as session:
        rail = session.query(Layer).where(Layer.name == "a.rail").one()
        poi = session.query(Layer).where(Layer.name == "b.poi").one()
        place = {"min_lon": 4.5, "min_lat": 52.25, "max_lon": 4.5, "max_lat": 52.25}
        geom = bytes.fromhex("01010000000000000000001240000000000020" + "4a40")
        kept = Node(cdk_id="x.kept", node_type="route", layer_id=None, modalities=5, geom=geom, **place)
        made = Node(cdk_id="x.made", node_type="node", name="Made", layer_id=rail.id, geom=geom, **place)
        session.add_all([kept, made])
        session.flush()
        since = dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC)
        session.add(Record(node_id=kept.id, layer_id=rail.id, data={"b": 1, "a": None}, modalities=4, valid_from=since))
        session.add(Record(node_id=kept.id, layer_id=poi.id, data={}))
        rail_id, both = rail.id, [made, kept]

    with api.parts.database.read() as session:
        bare = presenting.present(session, both, None, geom=False)
        chosen = presenting.present(session, both, {rail_id}, geom=True, distances={both[0].id: 12.3456})
        every = presenting.present(session, both, presenting.EVERY, geom=False)

    assert bare == [
        {"cdk_id": "x.made", "name": "Made", "node_type": "node", "layer": "a.rail"},
        {"cdk_id": "x.kept", "name": "", "node_type": "route", "modalities": ["tram", "rail"], "layer": "none"},
    ]
    assert chosen[0]["layers"] == {}
    assert chosen[0]["distance"] == 12.35
    assert "distance" not in chosen[1]
    assert chosen[1]["geom"] == {"type": "Point", "coordinates": [4.5, 52.25]}
    shown = {"data": {"b": 1, "a": None}, "modalities": ["rail"], "validity": ["2026-01-02T03:00:00Z", None]}
    assert chosen[1]["layers"] == {"a.rail": shown}
    assert list(chosen[1]["layers"]["a.rail"]["data"]) == ["b", "a"]  # as it was sent
    assert list(every[1]["layers"]) == ["a.rail", "b.poi"]
    assert list(chosen[1]) == ["cdk_id", "name", "node_type", "modalities", "layers", "layer", "geom"]
