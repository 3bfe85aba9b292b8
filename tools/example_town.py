"""Write the example data of the mobility service: `python -m tools.example_town [FOLDER]`.

Markerstad does not exist. It lies where the Markerwaard was planned, a polder that was never made: nobody's facts are copied, and on a map
nothing real is covered. Everything here is made up for Gatehouse and may be used for anything (CC0).
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parents[1] / "services" / "mobility" / "examples"
CENTRE = (5.2000, 52.5300)  # lon, lat of the market square
FROM, TO = "20260101", "20301231"
MINUTE = 60
HOUR = 3600

# id: name, metres east and north of the market square
PLACES: dict[str, tuple[str, int, int]] = {
    "markt": ("Markt", 0, 0), "raadhuis": ("Raadhuis", 350, 40), "museum": ("Museum", 760, 60), "park": ("Stadspark", 1240, -30),
    "ziekenhuis": ("Ziekenhuis", 1800, -80), "campus": ("Campus Oost", 2500, -60), "oostpoort": ("Oostpoort", 3200, 20),
    "visbrug": ("Visbrug", -380, -20), "werf": ("Oude Werf", -820, 30), "sluis": ("Sluis", -1300, 120),
    "westdijk": ("Westdijk", -1950, 180), "haven": ("Haven", -2500, 420), "noordplein": ("Noordplein", 60, 520),
    "molen": ("De Molen", 110, 1040), "bibliotheek": ("Bibliotheek", 90, 300), "stadion": ("Stadion", 240, 1680),
    "noordwijk": ("Noorderwijk", 420, 2300), "dijkzicht": ("Dijkzicht", 610, 2900), "zuidplein": ("Zuidplein", -40, -480),
    "markthal": ("Markthal", -60, -900), "zwembad": ("Zwembad", 70, -1450), "school": ("Zuiderschool", 180, -1980),
    "zuiderhof": ("Zuiderhof", 260, -2600), "kwekerij": ("Kwekerij", 980, -1200), "golfbaan": ("Golfbaan", 1750, -1700),
    "boerderij": ("Boerderij Zuid", 2600, -2200), "polderweg": ("Polderweg", 1500, 1100), "industrie": ("Industrieweg", 2100, 1500),
    "depot": ("Remise", 2600, 1750), "windpark": ("Windpark", 3400, 2300), "ringnoord": ("Ring Noord", -700, 900),
    "ringwest": ("Ring West", -1200, -350), "ringzuid": ("Ring Zuid", -600, -1150), "ringoost": ("Ring Oost", 900, 700),
    "eiland": ("Eiland", -5200, 2600), "vuurtoren": ("Vuurtoren", -6600, 4100), "strand": ("Strandpaviljoen", -3400, -900),
}  # fmt: skip
STATION = ("centraal", "Markerstad Centraal", 520, -300)
PLATFORMS = (("centraal-a", "A", 500, -290), ("centraal-b", "B", 545, -305))


class Trip(NamedTuple):
    """A trip, or with `every` the pattern of many. times: seconds between stops. start, until: of the service day, in seconds."""

    route: str
    direction: int
    service: str
    headsign: str
    stops: Sequence[str]
    times: Sequence[int]
    start: int
    until: int = 0
    every: int = 0


ROUTES = (
    # id, agency, short name, long name, route_type (1400 and such are the extended ones), colour
    ("T1", "MSV", "1", "Oostpoort – Haven", "0", "C8102E"),
    ("T2", "MSV", "2", "Dijkzicht – Zuiderhof", "0", "00629B"),
    ("B10", "MSV", "10", "Centraal – Boerderij Zuid / Golfbaan", "3", "4C8C2B"),
    ("B20", "MSV", "20", "Ringlijn", "704", "F2A900"),
    ("N1", "MSV", "N1", "Nachtbus", "3", "1B1B3A"),
    ("V1", "VEER", "V1", "Haven – Eiland – Vuurtoren", "4", "007A87"),
)
T1 = ("oostpoort", "campus", "ziekenhuis", "park", "museum", "raadhuis", "markt", "visbrug", "werf", "sluis", "westdijk", "haven")
T2 = (
    "dijkzicht",
    "noordwijk",
    "stadion",
    "molen",
    "noordplein",
    "bibliotheek",
    "markt",
    "zuidplein",
    "markthal",
    "zwembad",
    "school",
    "zuiderhof",
)
B10 = ("centraal-a", "zuidplein", "kwekerij", "golfbaan", "boerderij")
RING = ("centraal-b", "ringoost", "ringnoord", "sluis", "ringwest", "ringzuid", "markthal", "centraal-b")
NIGHT = ("centraal-b", "markt", "noordplein", "stadion", "polderweg", "industrie", "depot", "windpark")
FERRY = ("haven", "strand", "eiland", "vuurtoren")


def trips() -> Iterator[Trip]:
    """Give all trips."""
    order: Sequence[str]
    for direction, order in enumerate((T1, T1[::-1])):
        end = "Haven" if direction == 0 else "Oostpoort"
        times = [2 * MINUTE] * (len(order) - 1)
        yield Trip("T1", direction, "weekday", end, order, times, 6 * HOUR, 19 * HOUR, 10 * MINUTE)
        yield Trip("T1", direction, "weekday", end, order, times, 19 * HOUR, 24 * HOUR + 30 * MINUTE, 20 * MINUTE)
        yield Trip("T1", direction, "weekend", end, order, times, 8 * HOUR, 24 * HOUR, 20 * MINUTE)
    for direction, order in enumerate((T2, T2[::-1])):
        for hour in range(6, 23):
            whole = Trip("T2", direction, "weekday", order[-1].capitalize(), order, [90] * (len(order) - 1), hour * HOUR + 5 * MINUTE)
            yield whole
            yield whole._replace(service="weekend", start=whole.start + 10 * MINUTE)
            if 7 <= hour < 18:  # short working in the rush
                middle = order[3:10]
                yield whole._replace(
                    stops=middle, times=[90] * (len(middle) - 1), start=whole.start + 30 * MINUTE, headsign=PLACES[middle[-1]][0]
                )
    for direction in (0, 1):
        for hour in range(7, 21):
            order = B10 if direction == 0 else B10[::-1]
            yield Trip(
                "B10", direction, "weekday", "Boerderij Zuid" if direction == 0 else "Centraal", order, [240] * 4, hour * HOUR + 15 * MINUTE
            )
            branch = ("centraal-a", "zuidplein", "zwembad", "kwekerij", "golfbaan")[:: 1 if direction == 0 else -1]
            if hour % 2:
                yield Trip(
                    "B10", direction, "weekend", "Golfbaan" if direction == 0 else "Centraal", branch, [200] * 4, hour * HOUR + 45 * MINUTE
                )
    for hour in range(7, 20):
        yield Trip("B20", 0, "weekday", "Ring rechtsom", RING, [300] * 7, hour * HOUR)
    for hour in (24, 25, 26, 27):
        yield Trip("N1", 0, "weekend", "Windpark", NIGHT, [180, 150, 200, 240, 150, 160, 300], hour * HOUR + 10 * MINUTE)
        yield Trip("N1", 1, "weekend", "Centraal", NIGHT[::-1], [300, 160, 150, 240, 200, 150, 180], hour * HOUR + 40 * MINUTE)
    for direction, order in enumerate((FERRY, FERRY[::-1])):
        for hour in (8, 11, 14, 17):
            times = [15 * MINUTE, 25 * MINUTE, 20 * MINUTE][:: 1 if direction == 0 else -1]
            yield Trip("V1", direction, "weekend", PLACES[order[-1]][0], order, times, hour * HOUR + direction * 90 * MINUTE)
        yield Trip("V1", direction, "weekday", PLACES[order[-1]][0], order, times, 9 * HOUR + direction * 6 * HOUR)


def at(east: float, north: float) -> tuple[float, float]:
    """Return lon and lat of a place that many metres from the market square."""
    lat = CENTRE[1] + north / 111_195
    return round(CENTRE[0] + east / (111_195 * math.cos(math.radians(CENTRE[1]))), 6), round(lat, 6)


def clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _write(folder: Path, name: str, head: str, rows: Iterable[Sequence[object]]) -> None:
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head.split(","))
        writer.writerows(rows)


def feed(folder: Path) -> None:
    """Write the GTFS feed."""
    folder.mkdir(parents=True, exist_ok=True)
    zone = "Europe/Amsterdam"
    _write(
        folder,
        "agency.txt",
        "agency_id,agency_name,agency_url,agency_timezone,agency_lang",
        [
            ("MSV", "Markerstads Vervoer", "https://msv.example", zone, "nl"),
            ("VEER", "Veerdienst Markermeer", "https://veer.example", zone, "nl"),
        ],
    )
    _write(folder, "feed_info.txt", "feed_publisher_name,feed_publisher_url,feed_lang,feed_start_date,feed_end_date,feed_version",
           [("Gatehouse", "https://gatehouse.example", "nl", FROM, TO, "1")])  # fmt: skip
    _write(
        folder,
        "calendar.txt",
        "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date",
        [("weekday", 1, 1, 1, 1, 1, 0, 0, FROM, TO), ("weekend", 0, 0, 0, 0, 0, 1, 1, FROM, TO)],
    )
    holidays = [f"{year}{day}" for year in range(2026, 2031) for day in ("0101", "0427", "1225", "1226")]
    _write(folder, "calendar_dates.txt", "service_id,date,exception_type", sorted(
        [("weekday", day, 2) for day in holidays] + [("weekend", day, 1) for day in holidays]
    ))  # fmt: skip
    _write(folder, "routes.txt", "route_id,agency_id,route_short_name,route_long_name,route_type,route_color", ROUTES)
    _stops(folder)
    _trips(folder)


def _stops(folder: Path) -> None:
    station, name, east, north = STATION
    rows: list[Sequence[object]] = [(station, name, *at(east, north)[::-1], 1, "", "", 1)]
    rows += [(key, f"{name} ({letter})", *at(x, y)[::-1], 0, station, letter, 1) for key, letter, x, y in PLATFORMS]
    rows += [("centraal-in", f"{name}, ingang", *at(520, -270)[::-1], 2, station, "", 1)]
    rows += [(key, name, *at(x, y)[::-1], 0, "", "", int(x < 2000)) for key, (name, x, y) in PLACES.items()]
    _write(folder, "stops.txt", "stop_id,stop_name,stop_lat,stop_lon,location_type,parent_station,platform_code,wheelchair_boarding", rows)


def _trips(folder: Path) -> None:
    rows, times, frequencies = [], [], []
    for number, trip in enumerate(trips(), 1):
        trip_id = f"{trip.route}-{number}"
        rows.append((trip.route, trip.service, trip_id, trip.headsign, trip.direction))
        passed = trip.start
        for place, stop in enumerate(trip.stops):
            passed += trip.times[place - 1] if place else 0
            middle = trip.route == "T1" and place % 3 and place != len(trip.stops) - 1  # a feed may leave times out between others
            time = "" if middle else clock(passed)
            times.append((trip_id, time, time, stop, place + 1, int(not middle)))
        if trip.every:
            frequencies.append((trip_id, clock(trip.start), clock(trip.until), trip.every, 0))
    _write(folder, "trips.txt", "route_id,service_id,trip_id,trip_headsign,direction_id", rows)
    _write(folder, "stop_times.txt", "trip_id,arrival_time,departure_time,stop_id,stop_sequence,timepoint", times)
    _write(folder, "frequencies.txt", "trip_id,start_time,end_time,headway_secs,exact_times", frequencies)


POINTS: tuple[tuple[str, str, str, int, int, dict[str, Any]], ...] = (
    ("bakkerij", "Bakkerij De Korenaar", "bakery", 40, 60, {"opening_hours": "Mo-Sa 07:00-18:00"}),
    ("cafe", "Café 't Zwarte Schaap", "cafe", -70, 30, {"outdoor_seating": True}),
    ("museum", "Museum van de Zuiderzee", "museum", 790, 90, {"fee": True, "price_eur": 12.5}),
    ("fiets-1", "Fietsenstalling Centraal", "bicycle_parking", 560, -330, {"capacity": 1200, "covered": True}),
    ("fiets-2", "Fietsenstalling Markt", "bicycle_parking", 20, -40, {"capacity": 180, "covered": False}),
    ("laad-1", "Laadplein Oostpoort", "charging_station", 3240, 60, {"capacity": 16}),
    ("apotheek", "Apotheek Zuid", "pharmacy", -20, -510, {}),
    ("strand", "Strand", "beach", -3450, -940, {"supervised": None}),
    ("vuurtoren", "Vuurtoren", "viewpoint", -6620, 4120, {"height_m": 34}),
    ("bieb", "Bibliotheek Noord", "library", 95, 320, {"wheelchair": "yes"}),
)
AREAS = (
    ("centrum", "Centrum", "district", [(-600, -600), (900, -600), (900, 600), (-600, 600)]),
    ("noord", "Noord", "district", [(-1000, 600), (1400, 600), (1400, 3200), (-1000, 3200)]),
    ("zuid", "Zuid", "district", [(-1000, -2900), (3000, -2900), (3000, -600), (-1000, -600)]),
    ("markerstad", "Markerstad", "municipality", [(-3800, -3200), (3900, -3200), (3900, 3400), (-2800, 3400), (-3800, 1200)]),
)


def points() -> dict[str, Any]:
    """Return points of interest as GeoJSON."""
    return _collection(
        (key, {"name": name, "kind": kind, **more}, {"type": "Point", "coordinates": at(east, north)})
        for key, name, kind, east, north, more in POINTS
    )


def areas() -> dict[str, Any]:
    """Return administrative areas as GeoJSON."""
    return _collection(
        (key, {"name": name, "admin": kind}, {"type": "Polygon", "coordinates": [[at(*corner) for corner in (*corners, corners[0])]]})
        for key, name, kind, corners in AREAS
    )


def _collection(features: Iterable[tuple[str, dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    found = [{"type": "Feature", "id": key, "properties": properties, "geometry": place} for key, properties, place in features]
    return {"type": "FeatureCollection", "features": found}


def _json(path: Path, document: dict[str, Any]) -> None:
    lines = ",\n".join("  " + json.dumps(feature, ensure_ascii=False) for feature in document["features"])
    path.write_text('{"type": "FeatureCollection", "features": [\n' + lines + "\n]}\n", encoding="utf-8")


def main(folder: Path = FOLDER) -> None:
    """Write everything."""
    feed(folder / "gtfs")
    _json(folder / "places.geojson", points())
    _json(folder / "areas.geojson", areas())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
