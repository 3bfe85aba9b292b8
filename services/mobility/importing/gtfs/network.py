"""Read what a feed's trips run on: agencies, stops, routes and service days. All of it is in memory, about 0.7 KB a stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.mobility.importing.gtfs import times
from services.mobility.importing.gtfs.modes import modality
from services.mobility.importing.gtfs.tables import Feed
from services.mobility.importing.gtfs.times import Service
from services.mobility.importing.problems import Problems, Stopped

STOP, STATION = "0", "1"  # `location_type`; "" is a stop
_PARTS: Final = frozenset({"2", "3", "4"})  # entrances, nodes and boarding areas of stations: no vehicle stops at them


@dataclass(slots=True)
class Stop:
    """A stop or station. line: in stops.txt. modalities: of the trips that stop there. borrowed: whether its place is its station's."""

    id: str
    line: int
    name: str
    parent: str
    lon: float
    lat: float
    borrowed: bool
    modalities: set[str]


@dataclass(frozen=True, slots=True)
class Route:
    """A route. line: in routes.txt. data: all that the row says. modality: None for a type that has none."""

    line: int
    data: Mapping[str, str]
    modality: str | None


@dataclass(frozen=True, slots=True)
class Agency:
    id: str
    name: str
    timezone: str


class Network:
    """Where and when trips may run. read: takes the number of bytes as they are read."""

    def __init__(self, feed: Feed, problems: Problems, read: Callable[[int], None]) -> None:
        self._feed = feed
        self._problems = problems
        self._read = read
        self.agencies: dict[str, Agency] = {}
        self.stops: list[Stop] = []
        self.routes: list[Route] = []
        self.services: dict[str, Service] = {}
        self.stop_numbers: dict[str, int] = {}
        self.route_numbers: dict[str, int] = {}

    def read(self) -> bool:
        """Read the tables; say whether there are lines in the feed. Raises Stopped."""
        self._stops()
        missing = [name for name in ("routes.txt", "trips.txt", "stop_times.txt") if not self._feed.has(name)]
        if missing:
            self._problems.note("tables that are missing", f"{', '.join(missing)}: missing, so only the stops are imported")
            return False
        self._agencies()
        self._routes()
        self._services()
        return True

    def _stops(self) -> None:
        columns = ("stop_id", "stop_name", "stop_lat", "stop_lon", "location_type", "parent_station")
        waiting: list[tuple[int, str, str, str]] = []
        places: dict[str, tuple[float, float]] = {}
        first: dict[str, int] = {}
        with self._feed.table("stops.txt", self._read).chosen(columns) as rows:
            for line, (stop_id, name, lat, lon, kind, parent) in rows:
                where = f"stops.txt, line {line} ({stop_id})"
                if not stop_id:
                    self._problems.wrong("stops", f"stops.txt, line {line}: no stop_id")
                elif stop_id in first:
                    self._problems.wrong("stops", f"{where}: line {first[stop_id]} has this stop_id, too")
                elif kind in _PARTS:
                    first[stop_id] = line
                    self._problems.notes["entrances and other parts of stations, which are no stops"] += 1
                elif kind not in ("", STOP, STATION):
                    self._problems.wrong("stops", f"{where}: location_type {kind!r} is none of 0 to 4")
                else:
                    first[stop_id] = line
                    place = _place(lat, lon)
                    if place is not None:
                        places[stop_id] = place
                        self._add_stop(stop_id, line, name, parent, place, False)
                    elif lat or lon:
                        self._problems.wrong("stops", f"{where}: {lat!r}, {lon!r} is no place")
                    else:
                        waiting.append((line, stop_id, name, parent))
        for line, stop_id, name, parent in waiting:
            where = f"stops.txt, line {line} ({stop_id})"
            place = places.get(parent)
            if place is None:
                self._problems.wrong("stops", f"{where}: it has no place, nor has it a station with one")
                continue
            self._problems.note("stops at the place of their station", f"{where}: it has no place of its own and gets that of {parent}")
            self._add_stop(stop_id, line, name, parent, place, True)

    def _add_stop(self, stop_id: str, line: int, name: str, parent: str, place: tuple[float, float], borrowed: bool) -> None:
        self.stop_numbers[stop_id] = len(self.stops)
        self.stops.append(Stop(stop_id, line, name, parent, *place, borrowed, set()))

    def _agencies(self) -> None:
        if not self._feed.has("agency.txt"):
            raise Stopped("agency.txt is missing: without its agency_timezone nobody knows what the times of the lines mean")
        with self._feed.table("agency.txt", self._read).chosen(("agency_id", "agency_name", "agency_timezone")) as rows:
            for line, (agency_id, name, timezone) in rows:
                if agency_id in self.agencies:
                    self._problems.wrong("agencies", f"agency.txt, line {line}: agency_id {agency_id!r} stands twice")
                    continue
                if not timezone:
                    self._problems.wrong("agencies", f"agency.txt, line {line}: no agency_timezone")
                self.agencies[agency_id] = Agency(agency_id, name, timezone)
        if not self.agencies:
            raise Stopped("agency.txt has no agency")

    def agency(self, route: Mapping[str, str]) -> Agency | None:
        """Return the agency of a route; a feed with one agency need not say it."""
        given = route.get("agency_id", "")
        if not given and len(self.agencies) == 1:
            return next(iter(self.agencies.values()))
        return self.agencies.get(given)

    def _routes(self) -> None:
        found: list[Route] = []
        first: dict[str, int] = {}
        for line, row in self._feed.table("routes.txt", self._read):
            route_id = row.get("route_id", "")
            where = f"routes.txt, line {line} ({route_id})"
            if not route_id:
                self._problems.wrong("routes", f"routes.txt, line {line}: no route_id")
                continue
            if route_id in first:
                self._problems.wrong("routes", f"{where}: line {first[route_id]} has this route_id, too")
                continue
            first[route_id] = line
            data = {key: value for key, value in row.items() if key and value}
            if self.agency(data) is None:
                self._problems.wrong("routes", f"{where}: agency.txt has no agency {data.get('agency_id', '')!r}")
                continue
            mode = modality(data.get("route_type", ""))
            if mode is None:
                self._problems.note("routes without a modality", f"{where}: route_type {data.get('route_type', '')!r} is no modality")
            found.append(Route(line, data, mode))
        # one modality after the other: a request is of one
        self.routes = sorted(found, key=lambda route: (route.modality or "", route.line))
        self.route_numbers = {route.data["route_id"]: number for number, route in enumerate(self.routes)}

    def _services(self) -> None:
        if self._feed.has("calendar.txt"):
            with self._feed.table("calendar.txt", self._read).chosen(("service_id", *times.DAYS, "start_date", "end_date")) as rows:
                for line, (service_id, *days, start, end) in rows:
                    first, last = times.day(start), times.day(end)
                    where = f"calendar.txt, line {line} ({service_id})"
                    if not service_id or service_id in self.services:
                        self._problems.wrong("services", f"{where}: service_id is missing or stands twice")
                    elif first is None or last is None or any(day not in ("0", "1") for day in days):
                        self._problems.wrong("services", f"{where}: days are 0 or 1, dates are YYYYMMDD")
                    else:
                        self.services[service_id] = Service("".join(days), first, last)
        if self._feed.has("calendar_dates.txt"):
            with self._feed.table("calendar_dates.txt", self._read).chosen(("service_id", "date", "exception_type")) as rows:
                for line, (service_id, date, kind) in rows:
                    day = times.day(date)
                    if not service_id or day is None or kind not in ("1", "2"):
                        self._problems.wrong(
                            "services", f"calendar_dates.txt, line {line}: needs a service_id, a date and exception_type 1 or 2"
                        )
                        continue
                    service = self.services.setdefault(service_id, Service())
                    (service.added if kind == "1" else service.removed).append(day)


def short_names(routes: Sequence[Route], agency: Callable[[Mapping[str, str]], Agency | None]) -> Counter[tuple[str, str]]:
    """Count the routes of each agency that have one short name."""
    found: Counter[tuple[str, str]] = Counter()
    for route in routes:
        one = agency(route.data)
        found[one.id if one else "", route.data.get("route_short_name", "").lower()] += 1
    return found


def _place(lat: str, lon: str) -> tuple[float, float] | None:
    """Return lon and lat. None for what is no place on Earth."""
    try:
        found = float(lon), float(lat)
    except ValueError:
        return None
    return found if -180 <= found[0] <= 180 and -90 <= found[1] <= 90 else None
