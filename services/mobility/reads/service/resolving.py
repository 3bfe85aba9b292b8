"""What the names in a query stand for: layers, members, the area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from services.mobility import refusals
from services.mobility.layers import store as layers
from services.mobility.models import Node
from services.mobility.nodes.store import nodes as node_ids
from services.mobility.reads.rules import names
from services.mobility.reads.rules.areas import Area
from services.mobility.reads.rules.queries import Query, Terms
from services.mobility.reads.service.presenting import EVERY, Wanted
from services.mobility.reads.service.sieve import Sieve
from services.mobility.reads.store import conditions
from services.mobility.reads.store import nodes as store
from services.mobility.reads.store.searching import Search

REGIONS: Final = "regions"
LISTS: Final[Mapping[str, str | None]] = {"nodes": None, "routes": "route", "ptstops": "ptstop", "ptlines": "ptline", REGIONS: None}
_REGIONS_LAYER: Final = "admr"


@dataclass
class Resolved:
    """search: None when nothing can be found. wanted: the layers that are shown."""

    search: Search | None
    sieve: Sieve
    wanted: Wanted


def resolve(session: Session, kind: str, query: Query, within: str | None) -> Resolved:
    """Prepare a list. kind: of `LISTS`. within: the cdk_id of the node whose area it is about. Raises Refusal 404, 422."""
    sieve = Sieve(place=query.place)
    search = Search(postgres=session.get_bind().dialect.name == "postgresql", either=query.either)
    if within is not None:
        container = store.find(session, within)
        if container is None:
            raise refusals.containing_node_not_found(within)
        sieve.area = Area(container.geom)
        search.boxes = [sieve.area.box]
        search.nodes.append(conditions.meets(sieve.area.box))
    if query.boxes:
        search.boxes = list(query.boxes)  # the smaller one, as a rule
        search.nodes.append(conditions.inside(query.boxes))
    possible = _of_layers(session, query, search)
    wanted: Wanted = EVERY if query.shows_every else None
    if not query.shows_every and (query.layers is not None or query.filters):
        wanted = {one for ids in search.layers for one in ids} | {layer for layer, _ in search.filters}
    _of_routes(session, query, search)
    if query.name is not None:
        _of_name(query, query.name, search, sieve)
    if query.modalities:
        search.nodes.append(conditions.travelled(query.modalities, either=query.any_modality))
    possible = _of_kind(session, kind, search) and possible
    return Resolved(search if possible else None, sieve, wanted)


def layer_ids(session: Session, terms: Terms) -> set[int]:
    """Return the ids of all layers that are named."""
    return {one for name in terms.names for one in layers.matching(session, name)}


def _layer_sets(session: Session, terms: Terms) -> list[tuple[int, ...]] | None:
    """Return sets of layers' ids, of each of which one has data on the node. None: nothing can be found, as no layer has such a name."""
    named = [tuple(layers.matching(session, name)) for name in terms.names]
    if terms.any:
        named = [tuple(dict.fromkeys(one for ids in named for one in ids))]
    return named if all(named) else None


def _of_layers(session: Session, query: Query, search: Search) -> bool:
    """Returns whether anything can be found."""
    if query.layers is not None:
        sets = _layer_sets(session, query.layers)
        if sets is None:
            return False
        search.layers = sets
    for one in query.filters:
        layer = layers.find(session, one.layer)
        if layer is not None:
            search.filters.append((layer.id, one))
        elif not query.either:
            return False
    return bool(search.filters) or not query.filters


def _of_routes(session: Session, query: Query, search: Search) -> None:
    def id_of(cdk_id: str) -> int:
        found = node_ids.find_id(session, cdk_id)
        if found is None:
            raise refusals.member_not_found(cdk_id)
        return found

    if query.starts_in is not None:
        search.sources.append(conditions.starting_in(id_of(query.starts_in)))
    if query.ends_in is not None:
        search.sources.append(conditions.ending_in(id_of(query.ends_in)))
    if query.contains:
        search.sources.append(conditions.going_through([id_of(one) for one in query.contains]))


def _of_name(query: Query, name: str, search: Search, sieve: Sieve) -> None:
    if not query.trigrams:
        search.nodes.append(conditions.named(search.postgres, name))
        return
    sieve.sought = names.trigrams(name)
    if not sieve.sought:
        raise refusals.parameter("name", name, "likeness needs a letter or a digit")
    search.nodes.append(conditions.alike(search.postgres, sieve.sought))


def _of_kind(session: Session, kind: str, search: Search) -> bool:
    node_type = LISTS[kind]
    if node_type is not None:
        search.nodes.append(conditions.of_type(node_type))
    if kind != REGIONS:
        return True
    layer = layers.find(session, _REGIONS_LAYER)
    if layer is not None:
        search.nodes.append(Node.layer_id == layer.id)
    return layer is not None
