"""Areas and shapes whose sides are so near to each other that GEOS would compute for minutes."""

from __future__ import annotations

import random
from typing import Any

import pytest
import shapely

from services.mobility.reads.rules.areas import crowded
from tests.unit.mobility.conftest import API, good
from tests.unit.mobility.reads.adding import add


def comb(teeth: int, width: float) -> dict[str, Any]:
    """A polygon that stands upon 6° east, 51.9° north. width: degrees, of half a tooth."""
    top = [[6 + place * width, 52.1 if place % 2 else 52.01] for place in range(2 * teeth)]
    ring = [*top, [top[-1][0], 51.9], [6, 51.9]]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def scribble(sides: int, size: float) -> dict[str, Any]:
    """A polygon around 6° east, 52° north whose sides cross each other. size: degrees."""
    chance = random.Random(1)
    ring = [[6 + size * (chance.random() - 0.5), 52 + size * (chance.random() - 0.5)] for _ in range(sides)]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


@pytest.mark.parametrize("area", [comb(1500, 1e-6), scribble(1200, 0.5)], ids=["comb", "scribble"])
def test_in_a_crowded_area_nodes_are_found(sqlite_api: API, area: dict[str, Any], request: pytest.FixtureRequest) -> None:
    """To make it smaller took as long as a query may, and then longer than anybody waits."""
    name = f"crowded.{request.node.callspec.id}"
    add(sqlite_api, name, area)
    inside = shapely.point_on_surface(shapely.from_geojson(str(area).replace("'", '"')))
    add(sqlite_api, f"{name}.in", {"type": "Point", "coordinates": [inside.x, inside.y]})
    add(sqlite_api, f"{name}.out", {"type": "Point", "coordinates": [5, 52]})
    found = [node["cdk_id"] for node in good(sqlite_api.get(f"/{name}/nodes", per_page=1000))["results"]]
    assert f"{name}.in" in found
    assert not {name, f"{name}.out"} & set(found)


def test_what_is_crowded() -> None:
    def of(geometry: dict[str, Any]) -> bool:
        return crowded(shapely.from_geojson(str(geometry).replace("'", '"')))

    assert of(comb(1500, 1e-6))
    assert of(scribble(1200, 0.5))
    assert of(comb(12_000, 1e-4))  # many sides, far from each other
    assert not of(comb(1500, 2e-5))
    assert not of(scribble(5, 0.5))
    assert not of({"type": "Point", "coordinates": [4, 52]})
    assert not of({"type": "LineString", "coordinates": [[4, 52], [5, 52], [5, 53]]})
