"""Routes: nodes that go through others, their members. Where a route has no geometry of its own, its members give it one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import shapely

from services.mobility import refusals
from services.mobility.geometry.boxes import Box
from services.mobility.geometry.geometries import Geometry
from services.mobility.nodes.rules.bulk import Given

MOST_BYTES: Final = 16 * 1024 * 1024  # of the members' geometries of all routes of a request


def in_order(routes: Sequence[Given]) -> list[Given]:
    """Order routes so that each comes after those that it goes through. Raises Refusal 422 for a circle."""
    waits = {route.cdk_id: set[str]() for route in routes}
    followers: dict[str, list[Given]] = {}
    for route in routes:
        waits[route.cdk_id] = {member for member in route.members if member in waits}
        for member in waits[route.cdk_id]:
            followers.setdefault(member, []).append(route)
    found = [route for route in routes if not waits[route.cdk_id]]
    for route in found:  # grows meanwhile
        for follower in followers.get(route.cdk_id, ()):
            waits[follower.cdk_id].discard(route.cdk_id)
            if not waits[follower.cdk_id]:
                found.append(follower)
    if len(found) < len(routes):
        wrong = next(route for route in routes if waits[route.cdk_id])
        raise refusals.invalid(f"The route '{wrong.cdk_id}' goes through itself.", "route-circular", wrong.where)
    return found


class Sizes:
    """Counts how much the geometries of a request's routes take. Its methods raise Refusal 422."""

    def __init__(self) -> None:
        self._total = 0

    def add(self, route: Given, sizes: Mapping[str, int]) -> int:
        """Return the most bytes that a route's geometry may have. sizes: bytes by cdk_id of the members."""
        found = sum(sizes[member] for member in set(route.members))
        self._total += found
        if self._total > MOST_BYTES:
            raise refusals.invalid(
                f"The geometries of the routes' members have more than {MOST_BYTES} bytes together. Send fewer routes at a time.",
                "routes-too-large",
                route.where,
            )
        return found


def derive(members: Sequence[bytes]) -> Geometry:
    """Make the geometry of a route of its members' (WKB), as the original: their box if there is an area, else the lines, else the points.

    Each piece once, in the order of the members.
    """
    pieces = shapely.get_parts(shapely.from_wkb(list(dict.fromkeys(members))))
    dimensions = shapely.get_dimensions(pieces)
    box = Box(*shapely.total_bounds(pieces).tolist())
    if (dimensions == 2).any():
        shape = shapely.box(box.west, box.south, box.east, box.north)
    elif (dimensions == 1).any():
        lines = _each_once(pieces[dimensions == 1])
        box = Box(*shapely.total_bounds(lines).tolist())
        shape = shapely.multilinestrings(lines) if len(lines) > 1 else lines[0]
    else:
        points = _each_once(pieces)
        shape = shapely.multipoints(points) if len(points) > 1 else points[0]
    return Geometry(shapely.to_wkb(shape, byte_order=1), box)


def _each_once(pieces: Any) -> Any:
    return shapely.from_wkb(list(dict.fromkeys(shapely.to_wkb(pieces))))
