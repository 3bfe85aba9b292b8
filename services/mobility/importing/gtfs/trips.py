"""Read a feed's trips and their times into a database on disk that is gone after the run, and give them back route by route.

Memory does not grow with trips and times: SQLite sorts on disk, and one route's trips at a time are in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

from services.mobility.importing.gtfs import times
from services.mobility.importing.gtfs.lines import LONGEST_TRIP, Pattern, Stops
from services.mobility.importing.gtfs.network import Network, Route
from services.mobility.importing.gtfs.tables import Feed
from services.mobility.importing.problems import Problems
from services.mobility.importing.seen import scratch

_NOT_AVAILABLE: Final = "1"  # `pickup_type`, `drop_off_type`
_ROWS: Final = 20_000  # written at once
_DEPARTURES: Final = 20_000  # of one row of frequencies
_DEGREE_M: Final = 111_195.0
_TABLES: Final = (
    "CREATE TABLE trips (number INTEGER PRIMARY KEY, id TEXT UNIQUE, route INTEGER, service TEXT, direction TEXT, headsign TEXT)",
    "CREATE TABLE times (route INTEGER, trip INTEGER, sequence INTEGER, stop INTEGER, time INTEGER, served INTEGER)",
)
_NEW_TRIP: Final = "INSERT OR IGNORE INTO trips (id, route, service, direction, headsign) VALUES (?, ?, ?, ?, ?)"

_Time = tuple[int, int, int, int, int | None, int]  # a row of times


@dataclass(frozen=True, slots=True)
class _Trip:
    number: int
    service: str
    direction: str
    headsign: str


class Trips:
    """All trips of a feed. folder: for the database. read: takes the number of bytes as they are read."""

    def __init__(self, feed: Feed, network: Network, problems: Problems, folder: Path, read: Callable[[int], None]) -> None:
        self._feed = feed
        self._network = network
        self._problems = problems
        self._read = read
        self._database = scratch(folder / "feed.sqlite")
        for statement in _TABLES:
            self._database.execute(statement)
        self._frequencies: dict[int, list[tuple[int, int, int]]] = {}

    def close(self) -> None:
        self._database.close()

    def read(self) -> None:
        """Read the tables; the stops learn which modalities serve them. Raises Stopped."""
        self._trips()
        self._frequency()
        self._times()

    def _trips(self) -> None:
        insert = self._database.execute
        with self._feed.table("trips.txt", self._read).chosen(
            ("trip_id", "route_id", "service_id", "direction_id", "trip_headsign")
        ) as rows:
            for line, (trip_id, route_id, service_id, direction, headsign) in rows:
                where = f"trips.txt, line {line} ({trip_id})"
                route = self._network.route_numbers.get(route_id)
                if not trip_id or route is None:
                    self._problems.wrong("trips", f"{where}: {'no trip_id' if not trip_id else f'its route {route_id!r} is not there'}")
                elif direction not in ("", "0", "1"):
                    self._problems.wrong("trips", f"{where}: direction_id {direction!r} is neither 0 nor 1")
                elif service_id not in self._network.services:
                    self._problems.wrong("trips", f"{where}: its service {service_id!r} has no calendar")
                elif not insert(_NEW_TRIP, (trip_id, route, service_id, direction, headsign)).rowcount:
                    self._problems.wrong("trips", f"{where}: this trip_id stands twice")

    def _frequency(self) -> None:
        if not self._feed.has("frequencies.txt"):
            return
        find = self._finder()
        with self._feed.table("frequencies.txt", self._read).chosen(("trip_id", "start_time", "end_time", "headway_secs")) as rows:
            for line, (trip_id, start, end, headway) in rows:
                where = f"frequencies.txt, line {line} ({trip_id})"
                trip, since, until = find(trip_id), times.seconds(start), times.seconds(end)
                every = int(headway) if headway.isascii() and headway.isdecimal() and len(headway) < 7 else 0
                if trip is None:
                    self._problems.wrong("frequencies", f"{where}: there is no such trip")
                elif since is None or until is None or every <= 0 or (until - since) // every > _DEPARTURES:
                    self._problems.wrong("frequencies", f"{where}: needs start_time, end_time and seconds between departures")
                else:
                    self._frequencies.setdefault(trip[0], []).append((since, until, every))

    def _finder(self) -> Callable[[str], tuple[int, int] | None]:
        """Return what finds the number and the route of a trip by its id."""
        database = self._database

        @lru_cache(1 << 14)
        def find(trip_id: str) -> tuple[int, int] | None:
            found: tuple[int, int] | None = database.execute("SELECT number, route FROM trips WHERE id = ?", (trip_id,)).fetchone()
            return found

        return find

    def _times(self) -> None:
        columns = ("trip_id", "stop_sequence", "stop_id", "departure_time", "arrival_time", "pickup_type", "drop_off_type")
        find, stop_numbers, seconds, wrong = self._finder(), self._network.stop_numbers, times.seconds, self._problems.wrong
        waiting: list[_Time] = []
        modalities = [stop.modalities for stop in self._network.stops]
        modes = [route.modality for route in self._network.routes]
        last_id, trip = "", None
        with self._feed.table("stop_times.txt", self._read).chosen(columns) as rows:
            for line, (trip_id, sequence, stop_id, departure, arrival, pickup, drop_off) in rows:
                if trip_id != last_id:
                    trip, last_id = find(trip_id), trip_id
                stop = stop_numbers.get(stop_id)
                if trip is None or stop is None or not (sequence.isascii() and sequence.isdecimal() and len(sequence) < 10):
                    wrong("times", f"stop_times.txt, line {line}: {_missing(trip_id, trip, stop_id, stop)}")
                    continue
                text = departure or arrival
                time = seconds(text) if text else None
                if text and time is None:
                    wrong("times", f"stop_times.txt, line {line}: {text!r} is not a time")
                    continue
                served = not pickup == drop_off == _NOT_AVAILABLE
                waiting.append((trip[1], trip[0], int(sequence), stop, time, served))
                mode = modes[trip[1]]
                if served and mode is not None:
                    modalities[stop].add(mode)
                if len(waiting) >= _ROWS:
                    self._write(waiting)
        self._write(waiting)

    def _write(self, rows: list[_Time]) -> None:
        self._database.executemany("INSERT INTO times VALUES (?, ?, ?, ?, ?, ?)", rows)
        rows.clear()

    def count(self) -> int:
        """Return about how many lines there are."""
        found: tuple[int] = self._database.execute("SELECT count(*) FROM (SELECT DISTINCT route, direction FROM trips)").fetchone()
        return found[0]

    def by_route(self) -> Iterator[tuple[Route, dict[tuple[str, Stops], Pattern]]]:
        """Give each route that has trips with the patterns of these, by direction and stops. In the order of `routes`. Raises Stopped."""
        self._database.execute("CREATE INDEX trips_route ON trips (route)")
        # sorted on disk, by SQLite
        rows = self._database.execute("SELECT route, trip, sequence, stop, time, served FROM times ORDER BY route, trip, sequence")
        for route, of_route in groupby(rows, lambda row: row[0]):
            trips = {
                number: _Trip(number, service, direction, headsign)
                for number, service, direction, headsign in self._database.execute(
                    "SELECT number, service, direction, headsign FROM trips WHERE route = ?", (route,)
                )
            }
            patterns: dict[tuple[str, Stops], Pattern] = {}
            for number, of_trip in groupby(of_route, lambda row: row[1]):
                self._add_trip(self._network.routes[route], trips[number], of_trip, patterns)
            if patterns:
                yield self._network.routes[route], patterns

    def _add_trip(
        self,
        route: Route,
        trip: _Trip,
        rows: Iterator[_Time],
        patterns: dict[tuple[str, Stops], Pattern],
    ) -> None:
        stops: list[int] = []
        times_: list[int | None] = []
        last = -1
        for _, _, sequence, stop, time, served in rows:
            if sequence == last:
                self._problems.wrong("times", f"stop_times.txt: {self._named(route, trip)} has stop_sequence {sequence} twice")
            elif served and len(stops) <= LONGEST_TRIP:
                stops.append(stop)
                times_.append(time)
            last = sequence
        if not 2 <= len(stops) <= LONGEST_TRIP:
            self._problems.wrong("trips", f"stop_times.txt: {self._named(route, trip)} stops {len(stops)} times, not 2 to {LONGEST_TRIP}")
            return
        pattern = patterns.setdefault((trip.direction, tuple(stops)), Pattern())
        pattern.trips += 1
        if trip.headsign:
            pattern.headsigns[trip.headsign] += 1
        known = times.interpolated(times_, self._distances(stops) if None in times_ else ())
        if known is None:
            why = "has no time at its first or last stop" if None in (times_[0], times_[-1]) else "goes back in time"
            self._problems.wrong("trips without times", f"stop_times.txt: {self._named(route, trip)} {why}; its stops are kept")
            return
        key = (trip.service, tuple(time - known[0] for time in known))
        frequencies = self._frequencies.get(trip.number)
        if frequencies is None:
            pattern.starts[key].add(known[0])
            return
        for since, until, every in frequencies:
            pattern.starts[key].update(range(since, until, every))

    def _named(self, route: Route, trip: _Trip) -> str:
        found = self._database.execute("SELECT id FROM trips WHERE number = ?", (trip.number,)).fetchone()
        return f"trip {found[0]} of route {route.data['route_id']}"

    def _distances(self, stops: list[int]) -> list[float]:
        found = [0.0]
        for before, after in pairwise(stops):
            a, b = self._network.stops[before], self._network.stops[after]
            east = (b.lon - a.lon) * math.cos(math.radians((a.lat + b.lat) / 2))
            found.append(math.hypot(east, b.lat - a.lat) * _DEGREE_M)
        return found


def _missing(trip_id: str, trip: object, stop_id: str, stop: object) -> str:
    if trip is None:
        return f"there is no trip {trip_id!r}, or it is left out"
    return f"there is no stop {stop_id!r}, or it is left out" if stop is None else "stop_sequence is not a number"
