"""The body of a bulk: nodes to be written, with all that can be said of them without asking the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.mobility import refusals
from services.mobility.geometry import geometries
from services.mobility.geometry.geometries import Geometry
from services.mobility.nodes.rules import ids, params, records, validity
from services.mobility.nodes.rules.params import Params
from services.mobility.nodes.rules.validity import Validity

MOST_NODES: Final = 10_000
MOST_MEMBERS: Final = 200_000  # of all routes of a request
LONGEST_NAME: Final = 1000  # characters

NO_DATA: Final = "Node without data."
NO_GEOMETRY: Final = "New node without geom."
_NOT_BY_UPDATE: Final = "create_type 'update' writes to existing nodes only: the node has no cdk_id."
_NOT_BY_ROUTES: Final = "create_type 'routes' creates routes only: the node has no cdk_ids."


@dataclass(slots=True)
class Given:
    """A node of a request. index: its place there. id: as given, for the answer. data: JSON.

    given_id: of the node when it must be created if it does not exist; None for one that must exist. members: cdk_ids, of a route.
    """

    index: int
    cdk_id: str
    given_id: str | None
    id: object
    name: str | None
    members: Sequence[str]
    data: str
    modalities: int | None
    validity: Validity
    geometry: Geometry | None = None

    @property
    def where(self) -> dict[str, Any]:
        """What a refusal says of its place."""
        return {"index": self.index}


@dataclass(slots=True)
class Skipped:
    """A node of a request that is not written."""

    index: int
    reason: str


@dataclass(slots=True)
class Bulk:
    """A request: nodes, each of another cdk_id, and what is not written."""

    params: Params
    nodes: list[Given]
    skipped: list[Skipped]

    def mentioned(self) -> set[str]:
        """Return all cdk_ids that it names."""
        found = {node.cdk_id for node in self.nodes}
        for node in self.nodes:
            found.update(node.members)
        return found


def read(body: Mapping[str, Any], layer: str) -> Bulk:
    """Read a request. layer: the name of the one that it writes to. Raises Refusal 422, with the index of the node that is wrong."""
    given = body.get("nodes")
    if given is None:
        raise refusals.invalid("No 'nodes' object supplied - nothing to do", "nodes-missing")
    if not isinstance(given, list):
        raise refusals.invalid("'nodes' must be an array.", "nodes-invalid")
    if len(given) > MOST_NODES:
        raise refusals.invalid(f"At most {MOST_NODES} nodes may be in a request, not {len(given)}.", "too-many-nodes")
    how = params.read(body)
    bulk = Bulk(how, [], [])
    places: dict[int, Any] = {}
    for index, one in enumerate(given):
        node = _read_node(one, index, layer, how)
        if isinstance(node, Skipped):
            bulk.skipped.append(node)
            continue
        bulk.nodes.append(node)
        if node.given_id is not None and one.get("geom") is not None:
            places[len(bulk.nodes) - 1] = one["geom"]
    _check_together(bulk)
    found = geometries.read_all(list(places.values()), how.srid, [bulk.nodes[place].index for place in places])
    for place, geometry in zip(places, found, strict=True):
        bulk.nodes[place].geometry = geometry
    return bulk


def _read_node(given: object, index: int, layer: str, how: Params) -> Given | Skipped:
    where = {"index": index}
    if not isinstance(given, dict):
        raise refusals.invalid("A node must be an object.", "node-invalid", where)
    cdk_id, members = _identified(given, where)
    if given.get("data") is None:
        return Skipped(index, NO_DATA)
    given_id = None
    if cdk_id is None:
        if how.create_type == "update":
            return Skipped(index, _NOT_BY_UPDATE)
        if how.create_type == "routes" and not members:
            return Skipped(index, _NOT_BY_ROUTES)
        given_id, cdk_id = _named(given, layer, members, where)
    data = records.to_json(records.read_data(given["data"], where), where)
    return Given(
        index,
        cdk_id,
        given_id,
        given.get("id"),
        _name(given, where),
        members,
        data.decode(),
        records.read_modalities(given.get("modalities"), f"Incorrect modality encountered in object with cdk_id={cdk_id}", where),
        validity.read(given.get("validity"), cdk_id, where),
    )


def _identified(given: Mapping[str, Any], where: Mapping[str, Any]) -> tuple[str | None, Sequence[str]]:
    """Say which existing node it is, or of which members a new route."""
    cdk_id, cdk_ids = given.get("cdk_id"), given.get("cdk_ids")
    if cdk_id is not None and cdk_ids is not None:
        raise refusals.invalid("Node with both cdk_id and cdk_ids fields encountered.", "node-invalid", where)
    if cdk_ids is not None:
        if not isinstance(cdk_ids, list) or not cdk_ids:
            raise refusals.invalid("Invalid cdk_ids field encountered. Must be array.", "cdk-ids-invalid", where)
        if len(cdk_ids) > 1:
            return None, [ids.read(one, where) for one in cdk_ids]
        cdk_id = cdk_ids[0]
    if cdk_id is not None or cdk_ids is not None:
        return ids.read(cdk_id, where), ()
    if given.get("id") is None:
        raise refusals.invalid("Node without id, cdk_id or cdk_ids field encountered.", "node-invalid", where)
    return None, ()


def _named(given: Mapping[str, Any], layer: str, members: Sequence[str], where: Mapping[str, Any]) -> tuple[str, str]:
    """Return the given id and the cdk_id of a node that may be new."""
    for name in ("id", "name"):
        if given.get(name) is not None:
            text = ids.text_of(given[name], name, where)
            return text, ids.of_text(layer, text, where)
    cdk_id = ids.of_members(layer, members)
    return cdk_id, cdk_id


def _name(given: Mapping[str, Any], where: Mapping[str, Any]) -> str | None:
    if given.get("name") is None:
        return None
    name = ids.text_of(given["name"], "name", where)
    if len(name) > LONGEST_NAME:
        raise refusals.invalid(f"A name has at most {LONGEST_NAME} characters.", "name-too-long", where)
    return name


def _check_together(bulk: Bulk) -> None:
    seen: set[str] = set()
    members = 0
    for node in bulk.nodes:
        if node.cdk_id in seen:
            raise refusals.cdk_id_not_unique(node.cdk_id, node.where)
        seen.add(node.cdk_id)
        members += len(node.members)
        if members > MOST_MEMBERS:
            raise refusals.invalid(f"At most {MOST_MEMBERS} members may be in a request.", "too-many-members", node.where)


def results(bulk: Bulk, created: set[str], without_geometry: Sequence[Given]) -> dict[str, Any]:
    """Say what became of each node. created: cdk_ids of new nodes. without_geometry: new nodes that could not be created."""
    left = {node.index for node in without_geometry}
    skipped = sorted([*bulk.skipped, *(Skipped(index, NO_GEOMETRY) for index in left)], key=lambda one: one.index)
    written = [node for node in bulk.nodes if node.index not in left]
    new, old = list(_shown(written, created, new=True)), list(_shown(written, created, new=False))
    return {
        "created": new,
        "updated": old,
        "skipped": [{"index": one.index, "reason": one.reason} for one in skipped],
        "totals": {"created": len(new), "updated": len(old), "skipped": len(skipped)},
    }


def _shown(nodes: Sequence[Given], created: set[str], *, new: bool) -> Iterator[dict[str, Any]]:
    for node in nodes:
        if (node.cdk_id in created) == new:
            yield {"cdk_id": node.cdk_id} if node.id is None or node.given_id is None else {"id": node.id, "cdk_id": node.cdk_id}
