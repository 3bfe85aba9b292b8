"""What a feed becomes: stops are nodes of the type `ptstop`, lines are nodes of the type `ptline` whose members are stops.

A stop's id is `stop.<stop_id>`, a line's `line.<agency>.<short name>-<direction>`, with the route_id in place of a short name that is
missing or that several routes of the agency share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.mobility.importing.courses import COURSE, digest
from services.mobility.importing.gtfs.lines import Line, add_timetable, by_direction
from services.mobility.importing.gtfs.network import Network, Route, Stop, short_names
from services.mobility.importing.gtfs.tables import Feed
from services.mobility.importing.gtfs.trips import Trips
from services.mobility.importing.problems import Problems
from services.mobility.importing.seen import Seen
from services.mobility.importing.sending import Item, Kind
from services.mobility.nodes.rules import ids

_STOPS: Final = Kind("create", "ptstop")
_ELSEWHERE: Final = frozenset({"stop_name", "stop_lat", "stop_lon"})  # columns that the node itself holds


class Nodes:
    """The nodes of a feed for one layer. trips: None for a feed of stops alone.

    dry_run: lines are sent without their stops, which are not there.
    """

    def __init__(
        self, feed: Feed, network: Network, trips: Trips | None, layer: str, seen: Seen, problems: Problems, dry_run: bool
    ) -> None:
        self._feed = feed
        self._network = network
        self._trips = trips
        self._layer = layer
        self._seen = seen
        self._problems = problems
        self._dry_run = dry_run
        self._cdk_ids: dict[int, str] = {}
        self._shared = short_names(network.routes, network.agency)

    def __iter__(self) -> Iterator[Item]:
        """Give the stops, then the lines. Always in the same order for the same feed. Raises Stopped."""
        yield from self._stops()
        for route, patterns in self._trips.by_route() if self._trips is not None else ():
            station = {number: self._station(number) for _, stops in patterns for number in stops}
            for line in by_direction(patterns, station):
                item = self._line(route, line)
                if item is not None:
                    yield item

    def _stops(self) -> Iterator[Item]:
        by_line = {stop.line: number for number, stop in enumerate(self._network.stops)}
        for line, row in self._feed.table("stops.txt"):
            number = by_line.get(line)
            if number is None:
                continue
            stop = self._network.stops[number]
            where = f"stops.txt, line {line} ({stop.id})"
            given = f"stop.{stop.id}"
            if not self._seen.add(self._layer, given, where, self._problems):
                continue
            self._cdk_ids[number] = ids.of_text(self._layer, given, {})
            yield Item(_STOPS, self._stop(stop, given, row), where)

    def _stop(self, stop: Stop, given: str, row: Mapping[str, str]) -> dict[str, Any]:
        node: dict[str, Any] = {"id": given}
        if stop.name:
            node["name"] = stop.name
        node["geom"] = {"type": "Point", "coordinates": [stop.lon, stop.lat]}
        node["data"] = {key: value for key, value in row.items() if key and value and key not in _ELSEWHERE}
        if stop.borrowed:
            node["data"]["place_of"] = stop.parent
        if stop.modalities:
            node["modalities"] = sorted(stop.modalities)
        return node

    def _station(self, number: int) -> object:
        stop = self._network.stops[number]
        return stop.parent or stop.name or stop.id

    def _line(self, route: Route, line: Line) -> Item | None:
        route_id = route.data["route_id"]
        where = f"routes.txt, line {route.line} ({route_id}), direction {line.direction}"
        all_members = line.members()
        members = [number for number in all_members if number in self._cdk_ids]
        if len(members) < len(all_members) or len(members) < 2:
            self._problems.wrong("lines", f"{where}: {len(all_members) - len(members)} of its stops are left out")
            return None
        given = self._id(route, line)
        if not self._seen.add(self._layer, given, where, self._problems):
            return None
        node: dict[str, Any] = {"id": given, "name": _name(route, line)}
        places = [(stop.lon, stop.lat) for stop in (self._network.stops[number] for number in members)]
        node["geom"] = {"type": "LineString", "coordinates": places}  # the service would make it of points alone
        if not self._dry_run:
            node["cdk_ids"] = [self._cdk_ids[number] for number in members]
        node["data"] = self._data(route, line, members, where)
        if route.modality is not None:
            node["modalities"] = [route.modality]
        kind = Kind("create" if self._dry_run else "routes", "ptline", route.modality)
        return Item(kind, node, where)

    def _id(self, route: Route, line: Line) -> str:
        agency = self._network.agency(route.data)
        short = route.data.get("route_short_name", "")
        alone = short and self._shared[agency.id if agency else "", short.lower()] == 1
        parts = ("line", (agency.id or agency.name) if agency else "", short if alone else route.data["route_id"])
        return ".".join(part for part in parts if part) + f"-{line.direction}"

    def _data(self, route: Route, line: Line, members: list[int], where: str) -> dict[str, Any]:
        agency = self._network.agency(route.data)
        data: dict[str, Any] = {**route.data, COURSE: digest([self._cdk_ids[number] for number in members])}
        if agency is not None:
            data |= {key: value for key, value in (("agency_id", agency.id), ("agency_name", agency.name)) if value}
        if line.told:
            data["direction_id"] = line.direction
        headsign = line.headsign()
        if headsign:
            data["headsign"] = headsign
        if agency is None or not agency.timezone:
            return data
        data["timezone"] = agency.timezone
        calendars = {}
        for service in {service for pattern in line.patterns.values() for service, _ in pattern.starts}:
            text = self._network.services[service].text()
            if text is not None:
                calendars[service] = text
        left_out = add_timetable(data, line.timetable(members, calendars), calendars)
        if left_out:
            self._problems.note("lines whose timetable is larger than a record", f"{where}: {left_out} trips are left out of its timetable")
        return data


def _name(route: Route, line: Line) -> str:
    short, long = route.data.get("route_short_name", ""), route.data.get("route_long_name", "")
    return " ".join(part for part in (short, line.headsign() or long) if part) or route.data["route_id"]
