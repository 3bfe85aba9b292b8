"""Which node a client's own object is: the nearest with the most similar name. No framework.

The rule, for an object and a node within the radius:

* `similarity` of the names, 0 to 1, without case, accents and punctuation: 1 when they are equal; otherwise the share of pairs of letters
  that both have (the metric of the original, "strike a match"); at least 0.7 when one contains the other, which has 10 letters or more;
  0 when one has no name;
* `score = 4 * (1 - similarity)² + distance / radius`, the lower the better; it is a match below 1.5. So at the object's place a name may
  differ by 0.6, and at the edge of the radius by 0.35;
* a node is the match of one object only: the pair with the lowest score first, then the nearest, then by cdk_id and the objects' order.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.mobility import refusals

NODES_MOST: Final = 1000  # in a request: each costs a search
KNOWN_MOST: Final = 10_000
FILTERS_MOST: Final = 500  # values of all layers and keys; as many are compared with each node of a circle
RADIUS_M: Final = 250  # the original's
RADIUS_MOST_M: Final = 5000
THRESHOLD: Final = 1.5  # the original's; so are the next three
CONTAINED: Final = 0.7
CONTAINED_LEAST: Final = 10  # letters
BEST: Final = 8  # candidates of an object, from which its match is taken
GEOMETRY_TYPES: Final = ("point", "line", "polygon")
_COMPARED: Final = 200  # letters of a name
_BETWEEN_WORDS: Final = re.compile(r"[\W_]+")

Filters = Mapping[str, Mapping[str, Sequence[Any]]]  # layer → key → values, any of which will do; without values, that there is the key


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for. echo: its parameters, as the answer shows them. known: cdk_ids by the ids of its objects."""

    radius_m: int
    srid: int
    filters: Filters
    known: Mapping[str, str]
    debug: bool
    echo: Mapping[str, Any]
    nodes: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node within the radius of an object. distance_m: metres."""

    score: float
    distance_m: float
    cdk_id: str
    name: str
    similarity: float


def read(body: Mapping[str, Any]) -> Wanted:
    """Check a request, in the original's order. Raises Refusal 422."""
    match = body.get("match")
    params = match.get("params") if isinstance(match, dict) else None
    if not isinstance(match, dict) or not isinstance(params, dict):
        raise refusals.invalid("No 'match/params' object supplied", "match-params-missing")
    nodes = _nodes(body.get("nodes"))
    known = _known(match.get("known"))
    radius_m = _integer(params.get("radius", RADIUS_M))
    if radius_m is None or radius_m <= 0:
        raise refusals.invalid("Wrong value for parameter 'radius': must be integer and larger than 0.", "radius-invalid")
    if radius_m > RADIUS_MOST_M:
        raise refusals.invalid(f"Wrong value for parameter 'radius': at most {RADIUS_MOST_M} m.", "radius-invalid")
    srid = _integer(params.get("srid", 4326))
    if srid is None or srid <= 0:
        raise refusals.invalid(f"Invalid 'srid' parameter supplied. ({params['srid']})", "srid-invalid")
    filters = _filters(params.get("layers"))
    kind = params.get("geometry_type")
    if kind not in GEOMETRY_TYPES:
        known_ones = ", ".join(GEOMETRY_TYPES)
        raise refusals.invalid(f"Invalid geometry_type specified: {_shown(kind)}. Must be one of {known_ones}", "geometry-type-invalid")
    if kind != "point":
        raise refusals.invalid(f"Only points can be matched: geometry_type must be 'point', not '{kind}'.", "geometry-type-unsupported")
    echo = {**params, "radius": radius_m, "srid": srid}
    return Wanted(radius_m, srid, filters, known, bool(params.get("debug")), echo, nodes)


def similarity(one: str | None, other: str | None) -> float:
    """Say how similar two names are, 0 to 1."""
    first, second = _plain(one), _plain(other)
    if not first or not second:
        return 0.0
    if first == second:
        return 1.0
    pairs, others = _pairs(first), _pairs(second)
    total = pairs.total() + others.total()
    found = 2 * (pairs & others).total() / total if total else 0.0
    shorter, longer = sorted((first, second), key=len)
    return max(found, CONTAINED) if len(shorter) >= CONTAINED_LEAST and shorter in longer else found


def candidates(name: str | None, radius_m: float, around: Iterable[tuple[str, str | None, float]]) -> list[Candidate]:
    """Return the best candidates of an object, the best first. around: cdk_id, name and metres of nodes near it."""
    found = []
    for cdk_id, its_name, distance_m in around:
        if distance_m <= radius_m:
            similar = similarity(name, its_name)
            score = 4 * (1 - similar) ** 2 + distance_m / radius_m
            if score < THRESHOLD:
                found.append(Candidate(score, distance_m, cdk_id, its_name or "", similar))
    return sorted(found, key=lambda one: (one.score, one.distance_m, one.cdk_id))[:BEST]


def assign(found: Sequence[Sequence[Candidate]], taken: Iterable[str]) -> dict[int, Candidate]:
    """Give each object a node that no other has. found: the candidates of each. taken: cdk_ids that are given already. Returns by index."""
    pairs = sorted(
        ((one, index) for index, those in enumerate(found) for one in those),
        key=lambda pair: (pair[0].score, pair[0].distance_m, pair[0].cdk_id, pair[1]),
    )
    gone, given = set(taken), dict[int, Candidate]()
    for one, index in pairs:
        if index not in given and one.cdk_id not in gone:
            given[index] = one
            gone.add(one.cdk_id)
    return given


def _nodes(given: Any) -> list[Mapping[str, Any]]:
    if not isinstance(given, list):
        raise refusals.invalid("No 'nodes' object supplied - nothing to do", "nodes-missing")
    if len(given) > NODES_MOST:
        raise refusals.invalid(f"More than {NODES_MOST} nodes: match them in several requests.", "too-many-nodes")
    seen = set()
    for index, node in enumerate(given):
        where = {"index": index}
        if not isinstance(node, dict) or not is_id(node.get("id")):
            raise refusals.invalid("Node without ID encountered in JSON", "id-missing", where)
        if str(node["id"]) in seen:
            raise refusals.invalid(f'Duplicate ID encountered in JSON: "{_shown(node["id"])}"', "id-repeated", where)
        if not isinstance(node.get("name"), str | None):
            raise refusals.invalid(f"The name of the node with id={_shown(node['id'])} must be a text.", "name-invalid", where)
        seen.add(str(node["id"]))
    return given


def is_id(given: Any) -> bool:
    """Say whether a value may be the id of an object: a text or a whole number."""
    return isinstance(given, int | str) and not isinstance(given, bool) and given != ""


def _known(given: Any) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(cdk_id, str) for cdk_id in given.values()):
        raise refusals.invalid("'known' must be an object: cdk_ids by the ids of your nodes.", "known-invalid")
    if len(given) > KNOWN_MOST:
        raise refusals.invalid(f"'known' has more than {KNOWN_MOST} entries.", "known-invalid")
    return given


def _filters(given: Any) -> dict[str, dict[str, list[Any]]]:
    found: dict[str, dict[str, list[Any]]] = {}
    for layer, keys in given.items() if isinstance(given, dict) else ():
        if not isinstance(keys, dict):
            raise refusals.invalid('\'layers\' must be such as {"osm": {"railway": "station"}}.', "layers-invalid")
        for key, values in keys.items():
            those = values if isinstance(values, list) else [] if values is None else [values]
            if any(isinstance(value, list | dict) for value in those):
                raise refusals.invalid(f"The values of '{_shown(layer)}::{_shown(key)}' must be no arrays or objects.", "layers-invalid")
            found.setdefault(layer, {})[key] = those
    if not found:
        raise refusals.invalid("No 'layers' object supplied", "layers-missing")
    if sum(max(1, len(values)) for keys in found.values() for values in keys.values()) > FILTERS_MOST:
        raise refusals.invalid(f"'layers' has more than {FILTERS_MOST} values.", "layers-invalid")
    return found


def _integer(given: Any) -> int | None:
    """Read a whole number, as the original does also from a text."""
    if isinstance(given, str) and re.fullmatch(r"\d{1,9}", given, re.ASCII):
        return int(given)
    if isinstance(given, float) and given.is_integer():
        return int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def _shown(given: Any) -> str:
    return "" if given is None else str(given)[:100]


@functools.lru_cache(8192)
def _plain(name: str | None) -> str:
    """Return a name without case, accents and punctuation."""
    letters = unicodedata.normalize("NFKD", (name or "")[:_COMPARED].casefold())
    return _BETWEEN_WORDS.sub(" ", "".join(one for one in letters if not unicodedata.combining(one))).strip()


@functools.lru_cache(8192)
def _pairs(name: str) -> Counter[str]:
    """Return the pairs of letters that stand side by side in the words of a name."""
    return Counter(word[place : place + 2] for word in name.split(" ") for place in range(len(word) - 1))
