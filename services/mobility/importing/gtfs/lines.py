"""Make lines of trips: what the trips of one route and direction share, in which order they pass all its stops, and its timetable.

A feed has trips; this API has lines, one for each route and direction, whose members are stops. Trips of one line may differ: short
workings, branches, detours. The members of a line are the stops of all its trips in one order that agrees with each of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any, Final

from services.mobility.importing.client import encode
from services.mobility.importing.gtfs.times import clock

LONGEST_TRIP: Final = 1000  # stops
LARGEST_DATA: Final = 98_000  # bytes of a record as it is sent; the service takes 100,000
FORWARD, BACKWARD, UNKNOWN = "0", "1", ""  # `direction_id`

Stops = tuple[int, ...]
Offsets = tuple[int, ...]


@dataclass(slots=True)
class Pattern:
    """Trips with the same stops. starts: by service and by seconds from the start to each stop."""

    trips: int = 0
    starts: defaultdict[tuple[str, Offsets], set[int]] = field(default_factory=lambda: defaultdict(set))
    headsigns: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Line:
    """The trips of one route in one direction. told: whether the feed says the direction."""

    direction: str
    told: bool
    patterns: dict[Stops, Pattern]

    def members(self) -> list[int]:
        """Return the stops of all trips in one order."""
        return merged([stops for stops, _ in self._by_weight()])

    def headsign(self) -> str:
        """Return the most frequent headsign."""
        found: Counter[str] = Counter()
        for pattern in self.patterns.values():
            found += pattern.headsigns
        return min(found, key=lambda text: (-found[text], text)) if found else ""

    def trips(self) -> int:
        return sum(pattern.trips for pattern in self.patterns.values())

    def timetable(self, members: Sequence[int], calendars: Mapping[str, str]) -> list[tuple[str, str, list[int]]]:
        """Return service, offsets as text and starts of all that runs. Services that run on the same days become one: the first by name."""
        first: dict[str, str] = {}
        for service in sorted({service for pattern in self.patterns.values() for service, _ in pattern.starts if service in calendars}):
            first.setdefault(calendars[service], service)
        found: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        for stops, pattern in self.patterns.items():
            places = places_of(stops, members)
            for (service, offsets), starts in pattern.starts.items():
                if service in calendars:
                    texts = [""] * len(members)
                    for place, offset in zip(places, offsets, strict=True):
                        texts[place] = str(offset)
                    found[first[calendars[service]], ",".join(texts)] |= starts
        return [(service, offsets, sorted(starts)) for (service, offsets), starts in sorted(found.items())]

    def _by_weight(self) -> list[tuple[Stops, Pattern]]:
        return sorted(self.patterns.items(), key=lambda one: (-one[1].trips, -len(one[0]), one[0]))


def merged(patterns: Iterable[Stops]) -> list[int]:
    """Return one sequence that holds each of these as a subsequence; the first ones shape it."""
    found: list[int] = []
    for stops in patterns:
        result: list[int] = []
        matcher = SequenceMatcher(None, found, stops, autojunk=False)
        for kind, a, b, c, d in matcher.get_opcodes():
            result += found[a:b]
            if kind != "equal":
                result += stops[c:d]
        found = result
    return found


def places_of(stops: Sequence[int], members: Sequence[int]) -> list[int]:
    """Return where a trip's stops are in the members, which hold them in this order."""
    found: list[int] = []
    place = -1
    for stop in stops:
        place = members.index(stop, place + 1)
        found.append(place)
    return found


def by_direction(patterns: Mapping[tuple[str, Stops], Pattern], station: Mapping[int, object]) -> list[Line]:
    """Divide the trips of a route into lines. patterns: by `direction_id` and stops. station: what tells two sides of a street to be one.

    Where the feed does not say the direction, trips that pass the same stations in the opposite order are the line back.
    """
    lines: dict[str, Line] = {}
    told = {direction for direction, _ in patterns if direction != UNKNOWN}
    for (direction, stops), pattern in sorted(patterns.items(), key=lambda one: (one[0][0] == UNKNOWN, -one[1].trips, one[0])):
        if direction == UNKNOWN:
            direction = _direction(stops, lines, station)
        line = lines.setdefault(direction, Line(direction, direction in told, {}))
        held = line.patterns.get(stops)
        if held is None:
            line.patterns[stops] = pattern
        else:
            held.trips += pattern.trips
            held.headsigns += pattern.headsigns
            for key, starts in pattern.starts.items():
                held.starts[key] |= starts
    return [lines[direction] for direction in sorted(lines)]


def _direction(stops: Stops, lines: Mapping[str, Line], station: Mapping[int, object]) -> str:
    order = [station.get(stop, stop) for stop in stops]
    for direction, line in lines.items():
        for known in line.patterns:
            place = {station.get(stop, stop): index for index, stop in enumerate(known)}
            shared = [place[one] for one in order if one in place]
            steps = sum((later > earlier) - (later < earlier) for earlier, later in pairwise(shared))
            if steps:
                return direction if steps > 0 else BACKWARD if direction == FORWARD else FORWARD
    return FORWARD


def add_timetable(data: dict[str, Any], timetable: Iterable[tuple[str, str, list[int]]], calendars: Mapping[str, str]) -> int:
    """Put a timetable into a line's data, as much of it as a record may hold. Returns how many trips are left out, also those after 99:59.

    Those with few trips are left out first.
    """
    room = LARGEST_DATA - len(encode(data)) - len(',"trips_left_out":"9999999"')
    kept: defaultdict[str, list[str]] = defaultdict(list)
    left_out = 0
    for service, offsets, starts in sorted(timetable, key=lambda one: -len(one[2])):
        written = [text for start in starts if (text := clock(start)) is not None]
        left_out += len(starts) - len(written)
        text = f"{offsets};{','.join(written)}"
        need = len(encode(f"times.{service}.999999")) + len(text) + 4
        if service not in kept:
            need += len(encode({f"calendar.{service}": calendars[service]}))
        if not written or need > room:
            left_out += len(written)
            continue
        room -= need
        kept[service].append(text)
    for service in sorted(kept):
        data[f"calendar.{service}"] = calendars[service]
        data |= {
            f"times.{service}.{number}": text for number, text in enumerate(sorted(kept[service], key=lambda one: one.partition(";")[2]))
        }
    if left_out:
        data["trips_left_out"] = left_out
    return left_out
