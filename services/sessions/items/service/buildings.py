"""Buildings on the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shapely import MultiPolygon

from services.sessions import refusals
from services.sessions.access import Seat
from services.sessions.items.rules import lists, polygons
from services.sessions.items.service.turns import Turn, Turns
from services.sessions.models import Item


class Buildings:
    """What clients do with buildings. Thread-safe."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def place(self, seat: Seat, stakeholder_id: int, name: str, floors: int, outline: MultiPolygon) -> int:
        """Place a building of a stakeholder. Returns its id. Raises Refusal 400 (or 403), 404, 409."""

        def work(turn: Turn) -> int:
            stakeholder = _playing(turn, stakeholder_id)
            content = {"name": name, "stakeholderID": stakeholder_id, "floors": floors, **_sizes(outline, floors)}
            _has_room(turn, content)
            _fits(turn, outline)
            building = turn.changes.add(lists.BUILDINGS, content)
            turn.log("BUILDING_PLACE", stakeholder_id, f"{stakeholder.content['name']} placed the building {name} ({building.id}).")
            return building.id

        return self._turns.run(seat, work)

    def move(self, seat: Seat, stakeholder_id: int, building_id: int, outline: MultiPolygon) -> bool:
        """Give a building another outline. Raises as `place`."""

        def work(turn: Turn) -> bool:
            stakeholder, building = _own(turn, stakeholder_id, building_id)
            content = {**building.content, **_sizes(outline, building.content["floors"])}
            _has_room(turn, content, instead=building)
            _fits(turn, outline, besides=building_id)
            turn.changes.change(building, content)
            text = f"{stakeholder.content['name']} moved the building {building.content['name']} ({building.id})."
            turn.log("BUILDING_MOVE", stakeholder_id, text)
            return True

        return self._turns.run(seat, work)

    def remove(self, seat: Seat, stakeholder_id: int, building_id: int) -> bool:
        """Remove a building. Raises as `place`."""

        def work(turn: Turn) -> bool:
            stakeholder, building = _own(turn, stakeholder_id, building_id)
            turn.changes.remove(building)
            text = f"{stakeholder.content['name']} removed the building {building.content['name']} ({building.id})."
            turn.log("BUILDING_REMOVE", stakeholder_id, text)
            return True

        return self._turns.run(seat, work)


def _playing(turn: Turn, stakeholder_id: int) -> Item:
    found = turn.stakeholder(stakeholder_id)
    turn.in_play()
    return found


def _own(turn: Turn, stakeholder_id: int, building_id: int) -> tuple[Item, Item]:
    """Return a stakeholder and its building; a host changes the buildings of all."""
    stakeholder = _playing(turn, stakeholder_id)
    building = turn.item(lists.BUILDINGS, building_id, "building")
    owner = building.content["stakeholderID"]
    if owner != stakeholder_id and not turn.is_host:
        raise refusals.insufficient_rights(f"building {building_id} is of stakeholder {owner}, not of {stakeholder_id}")
    return stakeholder, building


def _has_room(turn: Turn, content: Mapping[str, Any], instead: Item | None = None) -> None:
    """Check that a session can hold a building. instead: the one that it takes the place of."""
    count, points = turn.changes.amount(lists.BUILDINGS)
    if instead is None and count >= lists.MOST_BUILDINGS:
        raise refusals.conflict(f"This session has {lists.MOST_BUILDINGS} buildings, as many as may be. Remove one first.")
    more = polygons.points_of(content) - (0 if instead is None else instead.points)
    if more > 0 and points + more > lists.MOST_POINTS:
        raise refusals.conflict(
            f"The buildings of this session have {points} points; with this one they would have more than {lists.MOST_POINTS}. Draw it with"
            " fewer, or remove a building."
        )


def _fits(turn: Turn, outline: MultiPolygon, besides: int | None = None) -> None:
    """Check that an outline is inside the map and on no other building. besides: id of the building that moves."""
    try:
        polygons.within(outline, turn.session.map_size_m)
    except ValueError as error:
        raise refusals.invalid_request(f"the polygon {error}.") from None
    others: Sequence[Item] = [one for one in turn.changes.near(lists.BUILDINGS, outline.bounds) if one.id != besides]
    found = polygons.overlap(outline, [one.content["polygons"] for one in others])
    if found is not None:
        place, shared = found
        other = others[place]
        raise refusals.conflict(f"The polygon overlaps the building {other.content['name']} (id {other.id}) by {shared:.2f} m2.")


def _sizes(outline: MultiPolygon, floors: int) -> dict[str, Any]:
    area = round(outline.area, 2)
    return {"polygons": polygons.to_geojson(outline), "areaM2": area, "floorAreaM2": round(area * floors, 2)}
