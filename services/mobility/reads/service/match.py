"""Finds the nodes that a client's own objects are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy.orm import Session

from services.common.clock import Clock
from services.common.database import Database
from services.mobility import refusals
from services.mobility.access import Caller
from services.mobility.geometry import distances, geometries
from services.mobility.geometry.boxes import around
from services.mobility.reads.rules import match as rules
from services.mobility.reads.rules.match import Candidate, Wanted
from services.mobility.reads.service.lists import DEADLINE_S
from services.mobility.reads.store import match as store
from services.mobility.reads.store.deadline import limited
from services.mobility.sessions.service import Sessions

LONGEST_S: Final = 30  # of the searches of one request: callers do not wait much longer, and a connection is held
CIRCLE_MOST: Final = 1000  # nodes of a circle that are compared; one with more, or that is too crowded to search, is halved until it is not
_NOWHERE_M: Final = 0.01  # a circle that is not halved
_KEPT: Final = ("data", "modalities", "validity")  # of an object, in what can be sent to the bulk call


class Matching:
    """Matches points. Thread-safe."""

    def __init__(self, database: Database, sessions: Sessions, clock: Clock) -> None:
        self._database = database
        self._sessions = sessions
        self._clock = clock

    def match(self, caller: Caller, body: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Answer a request to match; renews the caller's session first, as in the original. body: reads it. Raises Refusal 422."""
        self._database.run(lambda session: self._sessions.renew(session, caller))
        wanted = rules.read(body())
        with self._database.read() as session:
            unknown = sorted(set(wanted.known.values()) - store.existing(session, sorted(set(wanted.known.values()))))
            if unknown:
                listed = ", ".join(unknown[:20]) + (", …" if len(unknown) > 20 else "")
                text = f"'known' object specifies cdk_ids that do not exist in CitySDK: {listed}"
                raise refusals.invalid(text, "known-not-found")
            layer_ids = store.layer_ids(session, list(wanted.filters))
            filters = {layer_ids[layer]: keys for layer, keys in wanted.filters.items() if layer in layer_ids}
            until = self._clock.monotonic() + LONGEST_S
            found: list[list[Candidate]] = [[] for _ in wanted.nodes]
            for index, place in _places(wanted).items():
                if self._clock.monotonic() > until:
                    raise refusals.match_too_slow(LONGEST_S)
                if filters:
                    found[index] = _candidates(session, wanted, filters, wanted.nodes[index].get("name"), place)
        return _answer(wanted, rules.assign(found, wanted.known.values()))


def _places(wanted: Wanted) -> dict[int, tuple[float, float]]:
    """Read where the objects are that are not known: longitude and latitude by index. Raises Refusal 422."""
    given = {index: node.get("geom") for index, node in enumerate(wanted.nodes) if str(node["id"]) not in wanted.known}
    for index, geom in given.items():
        where = {"index": index}
        if geom is None:
            raise refusals.invalid(f"Parameter 'geom' missing for node with id={wanted.nodes[index]['id']}.", "geom-missing", where)
        if not isinstance(geom, dict) or geom.get("type") != "Point":
            raise refusals.invalid('Geometry encountered that is not a "Point".', "geom-not-a-point", where)
    boxes = [one.box for one in geometries.read_all(list(given.values()), wanted.srid, list(given))]
    return {index: (box.west, box.south) for index, box in zip(given, boxes, strict=True)}


def _candidates(session: Session, wanted: Wanted, filters: store.Filters, name: str | None, place: tuple[float, float]) -> list[Candidate]:
    if not name:  # then nothing is similar
        return []
    lon, lat = place
    radius_m = float(wanted.radius_m)
    with limited(session, DEADLINE_S):
        rows = store.near(session, around(lon, lat, radius_m), filters, CIRCLE_MOST)
        while rows is None and radius_m > _NOWHERE_M:
            radius_m /= 2
            rows = store.near(session, around(lon, lat, radius_m), filters, CIRCLE_MOST)
    if rows is None:
        raise refusals.invalid(f"More than {CIRCLE_MOST} nodes of these layers are in one place.", "match-too-many")
    metres = distances.metres(lon, lat, [row.geom for row in rows])
    near = ((row.cdk_id, row.name, distance) for row, distance in zip(rows, metres, strict=True))
    return rules.candidates(name, wanted.radius_m, near)


def _answer(wanted: Wanted, matches: Mapping[int, Candidate]) -> dict[str, Any]:
    nodes, found, not_found, debug = [], [], [], []
    for index, node in enumerate(wanted.nodes):
        name = {"name": node.get("name")}
        known, match = wanted.known.get(str(node["id"])), matches.get(index)
        cdk_id = known if match is None else match.cdk_id
        if cdk_id is None:
            nodes.append(node)
            not_found.append({"id": node["id"]})
            debug.append({"found": False, "id": node["id"], **name})
            continue
        nodes.append({"cdk_id": cdk_id, **{key: node[key] for key in _KEPT if node.get(key) is not None}})
        found.append({"id": node["id"], "cdk_id": cdk_id})
        more = {"known": True} if match is None else _explained(match)
        debug.append({"found": True, "id": node["id"], "cdk_id": cdk_id, **name, **more})
    totals = {"found": len(found), "not_found": len(not_found)}
    results: dict[str, Any] = {"found": found, "not_found": not_found, "totals": totals}
    if wanted.debug:
        results["debug"] = debug
    return {"match": {"params": wanted.echo, "results": results}, "nodes": nodes}


def _explained(match: Candidate) -> dict[str, Any]:
    numbers = {"distance": match.distance_m, "similarity": match.similarity, "score": match.score}
    return {"cdk_name": match.name, **{name: round(number, 3) for name, number in numbers.items()}}
