"""GTFS: what a feed becomes, and what is told about a feed that is not as it should be."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from services.mobility.importing.gtfs import tables
from services.mobility.importing.gtfs.modes import modality
from tests.unit.mobility.importing.conftest import Answer, Import, Service, done, stopped

EXAMPLE = Path(__file__).resolve().parents[4] / "services" / "mobility" / "examples" / "gtfs"
SMALL = {
    "agency.txt": "agency_name,agency_url,agency_timezone\nAb,http://x,Europe/Paris\n",
    "stops.txt": "stop_id,stop_name,stop_lat,stop_lon\nA,Aa,52.1,5.1\nB,Bb,52.2,5.2\nC,Cc,52.3,5.3\nD,Dd,52.4,5.4\n",
    "routes.txt": "route_id,route_short_name,route_type\nR,7,3\n",
    "calendar.txt": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
    "S,1,1,1,1,1,0,0,20260101,20261231\n",
    "trips.txt": "route_id,service_id,trip_id,direction_id\nR,S,T,0\n",
    "stop_times.txt": "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
    "T,8:00:00,8:00:00,A,1\nT,08:10:00,08:10:00,B,2\nT,08:20:00,08:20:30,C,5\n",
}  # fmt: skip
Feed = Callable[..., Path]


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    """Write a feed: the small one with other tables, or without those that are None."""

    def write(**changed: str | bytes | None) -> Path:
        folder = tmp_path / "feed"
        folder.mkdir(exist_ok=True)
        given: dict[str, str | bytes | None] = {**SMALL, **{f"{name}.txt": text for name, text in changed.items()}}
        for name, text in given.items():
            if text is None:
                (folder / name).unlink(missing_ok=True)
            else:
                (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return folder

    return write


def lines(service: Service) -> dict[str, dict[str, Any]]:
    return {cdk_id: node for cdk_id, node in service.nodes.items() if node.get("node_type") == "ptline"}


def only_line(service: Service) -> dict[str, Any]:
    [found] = lines(service).values()
    return found


def table(head: str, *rows: str) -> str:
    return "\n".join((head, *rows)) + "\n"


TIMES = "trip_id,arrival_time,departure_time,stop_id,stop_sequence"


def trip(name: str, *stops: str) -> list[str]:
    """Rows of stop_times: `A 8:00:00`, or `A` without a time."""
    return [f"{name},{time},{time},{stop},{place}" for place, (stop, _, time) in enumerate((one.partition(" ") for one in stops), 1)]


def test_stops_and_lines(run: Import, service: Service, feed: Feed) -> None:
    found = done(run("gtfs", feed(), "--json"))
    assert (found["created"], found["left_out"], found["notes"]) == (5, {}, {})
    stop = service.nodes["gtfs.stop.a"]
    assert (stop["id"], stop["name"], stop["node_type"], stop["modalities"]) == ("stop.A", "Aa", "ptstop", ["bus"])
    assert stop["geom"] == {"type": "Point", "coordinates": [5.1, 52.1]}
    assert stop["data"] == {"stop_id": "A"}
    [(cdk_id, line)] = lines(service).items()
    assert (cdk_id, line["id"]) == ("gtfs.line.ab.7.0", "line.Ab.7-0")
    assert line["cdk_ids"] == ["gtfs.stop.a", "gtfs.stop.b", "gtfs.stop.c"]
    assert line["data"].pop("course")
    assert line["data"] == {
        "route_id": "R",
        "route_short_name": "7",
        "route_type": "3",
        "agency_name": "Ab",
        "direction_id": "0",
        "timezone": "Europe/Paris",
        "calendar.S": "1111100 20260101 20261231",
        "times.S.0": "0,600,1230;08:00",
    }
    assert (line["create_type"], line["modalities"]) == ("routes", ["bus"])


def test_the_example_is_whole(run: Import, service: Service, tmp_path: Path) -> None:
    """As a zip, inside one folder, as some publishers pack them."""
    packed = tmp_path / "town.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in EXAMPLE.iterdir():
            archive.write(file, f"town/{file.name}")
    found = done(run("gtfs", packed, "--json"))
    assert found["left_out"] == {}
    assert found["created"] == len(service.nodes)
    names = set(lines(service))
    both = ("msv.1", "msv.10", "msv.2", "msv.n1", "veer.v1")
    assert names == {f"gtfs.line.{name}.{direction}" for name in both for direction in (0, 1)} | {"gtfs.line.msv.20.0"}
    assert len(service.nodes) - len(names) == 40
    ring = lines(service)["gtfs.line.msv.20.0"]["cdk_ids"]
    assert ring[0] == ring[-1] == "gtfs.stop.centraal.b"
    night = lines(service)["gtfs.line.msv.n1.0"]["data"]
    assert night["times.weekend.0"] == "0,180,330,530,770,920,1080,1380;24:10,25:10,26:10,27:10"
    tram = lines(service)["gtfs.line.msv.1.0"]["data"]
    assert tram["times.weekend.0"].startswith("0,") and tram["times.weekend.0"].count(":") == 48  # each 20 minutes from 8 to 24
    assert "+20260427" in tram["calendar.weekend"] and "-20260427" in tram["calendar.weekday"]


def test_resume_goes_on_with_the_lines(run: Import, service: Service) -> None:
    service.fail_with("/nodes/gtfs", None, Answer(418, {"status": "fail", "message": "no"}))
    stopped(run("gtfs", EXAMPLE))
    assert len(service.nodes) == 40
    found = done(run("gtfs", EXAMPLE, "--resume", "--json"))
    assert (found["resumed"], found["created"], found["updated"]) == (40, 11, 0)


def test_a_line_that_takes_another_course_is_created_again(run: Import, service: Service, feed: Feed) -> None:
    """The service keeps the members of a line; with another course its timetable would name the wrong stops."""
    done(run("gtfs", feed(), "--json"))
    assert done(run("gtfs", feed(), "--json"))["updated"] == 5
    assert service.deleted == []
    other = feed(stop_times=SMALL["stop_times.txt"].replace(",C,", ",D,"))
    assert done(run("gtfs", other, "--json"))["created"] == 1
    assert service.deleted == ["gtfs.line.ab.7.0"]
    assert [one[-1] for one in only_line(service)["cdk_ids"]] == [*"abd"]
    service.in_use.add("gtfs.line.ab.7.0")
    found = done(run("gtfs", feed(), "--json"))
    assert found["notes"] == {"lines without a timetable": 1}
    assert only_line(service)["data"] == {
        "route_id": "R",
        "route_short_name": "7",
        "route_type": "3",
        "agency_name": "Ab",
        "direction_id": "0",
    }


def test_a_dry_run_needs_no_stops(run: Import, service: Service, feed: Feed) -> None:
    """The stops of the run are not there, so lines are checked as nodes with a geometry."""
    found = done(run("gtfs", feed(), "--dry-run", "--json"))
    assert (found["created"], service.nodes) == (5, {})
    [line] = service.bodies[-1]["nodes"]
    assert "cdk_ids" not in line
    assert line["geom"] == {"type": "LineString", "coordinates": [[5.1, 52.1], [5.2, 52.2], [5.3, 52.3]]}


def test_members_are_the_stops_of_all_patterns_in_order(run: Import, service: Service, feed: Feed) -> None:
    rows = [*trip("T", "A 8:00:00", "B 8:10:00", "D 8:30:00"), *trip("U", "A 9:00:00", "C 9:05:00", "D 9:15:00")]
    done(run("gtfs", feed(trips=SMALL["trips.txt"] + "R,S,U,0\n", stop_times=table(TIMES, *rows)), "--json"))
    line = only_line(service)
    assert [one[-1] for one in line["cdk_ids"]] == [*"abcd"]
    where = {one[-1]: place for place, one in enumerate(line["cdk_ids"])}
    texts = {line["data"]["times.S.0"], line["data"]["times.S.1"]}
    assert texts == {_text({"a": 0, "b": 600, "d": 1800}, where, "08:00"), _text({"a": 0, "c": 300, "d": 900}, where, "09:00")}


def _text(offsets: Mapping[str, int], where: Mapping[str, int], departures: str) -> str:
    found = [""] * len(where)
    for stop, offset in offsets.items():
        found[where[stop]] = str(offset)
    return f"{','.join(found)};{departures}"


def test_the_way_back_is_found_without_direction_id(run: Import, service: Service, feed: Feed) -> None:
    trips = table("route_id,service_id,trip_id", "R,S,T", "R,S,U")
    rows = [*trip("T", "A 8:00:00", "B 8:10:00", "C 8:20:00"), *trip("U", "C 9:00:00", "B 9:10:00", "A 9:20:00")]
    done(run("gtfs", feed(trips=trips, stop_times=table(TIMES, *rows)), "--json"))
    found = lines(service)
    assert sorted(found) == ["gtfs.line.ab.7.0", "gtfs.line.ab.7.1"]
    assert [[one[-1] for one in node["cdk_ids"]] for node in found.values()] == [[*"abc"], [*"cba"]]
    assert all("direction_id" not in node["data"] for node in found.values())


def test_missing_times_lie_between_the_known_ones(run: Import, service: Service, feed: Feed) -> None:
    """In proportion to the way: these stops are equally far from each other."""
    done(run("gtfs", feed(stop_times=table(TIMES, *trip("T", "A 8:00:00", "B", "C", "D 8:30:00"))), "--json"))
    assert only_line(service)["data"]["times.S.0"] == "0,600,1200,1800;08:00"


def test_frequencies_are_departures(run: Import, service: Service, feed: Feed) -> None:
    text = table("trip_id,start_time,end_time,headway_secs", "T,23:50:00,24:20:00,600", "T,06:00:00,06:00:01,3600")
    done(run("gtfs", feed(frequencies=text), "--json"))
    assert only_line(service)["data"]["times.S.0"] == "0,600,1230;06:00,23:50,24:00,24:10"


def test_a_feed_with_dates_alone(run: Import, service: Service, feed: Feed) -> None:
    """Regular days become a weekly rule, which is shorter; others stay a list."""
    rows = [f"S,2026010{day},1" for day in (5, 6, 7, 8, 9)] + [f"S,202601{day},1" for day in (12, 13, 15, 16)]
    dates = table("service_id,date,exception_type", *rows)
    done(run("gtfs", feed(calendar=None, calendar_dates=dates), "--json"))
    assert only_line(service)["data"]["calendar.S"] == "1101100 20260105 20260116 +20260107"
    done(run("gtfs", feed(calendar=None, calendar_dates=table("service_id,date,exception_type", "S,20260105,1", "S,20260206,1")), "--json"))
    assert only_line(service)["data"]["calendar.S"] == "0000000 20260105 20260206 +20260105 +20260206"


def test_services_of_the_same_days_become_one(run: Import, service: Service, feed: Feed) -> None:
    calendar = SMALL["calendar.txt"] + SMALL["calendar.txt"].splitlines()[1].replace("S,", "S2,", 1) + "\n"
    trips = SMALL["trips.txt"] + "R,S2,U,0\n"
    rows = [*trip("T", "A 8:00:00", "B 8:10:00"), *trip("U", "A 9:00:00", "B 9:10:00")]
    done(run("gtfs", feed(calendar=calendar, trips=trips, stop_times=table(TIMES, *rows)), "--json"))
    data = only_line(service)["data"]
    assert {key: value for key, value in data.items() if key.startswith(("calendar", "times"))} == {
        "calendar.S": "1111100 20260101 20261231",
        "times.S.0": "0,600;08:00,09:00",
    }


def test_a_timetable_that_is_too_large_is_cut_and_told(run: Import, service: Service, feed: Feed) -> None:
    trips, rows = [], []
    for number in range(4000):
        trips.append(f"R,S,T{number},0")
        rows += trip(
            f"T{number}",
            "A 8:00:00",
            f"B 8:{number // 60 % 60:02d}:{number % 60:02d}",
            f"C {9 + number // 3600}:{number // 60 % 60:02d}:{number % 60:02d}",
        )
    rows += [line for number in (1, 2) for line in trip(f"F{number}", f"A 1{number}:00:00", "B 14:10:00")]
    trips += ["R,S,F1,0", "R,S,F2,0"]
    path = feed(trips=table("route_id,service_id,trip_id,direction_id", *trips), stop_times=table(TIMES, *rows))
    result = run("gtfs", path)
    assert result.exit_code == 0
    data = only_line(service)["data"]
    kept = sum(len(value.partition(";")[2].split(",")) for key, value in data.items() if key.startswith("times."))
    assert data["trips_left_out"] + kept == 4002
    assert f"routes.txt, line 2 (R), direction 0: {data['trips_left_out']} trips are left out of its timetable" in result.stderr
    assert len(str(data).encode()) < 100_000


def test_stops_without_a_place_get_that_of_their_station(run: Import, service: Service, feed: Feed) -> None:
    stops = table(
        "stop_id,stop_name,stop_lat,stop_lon,location_type,parent_station",
        "P,Pp,52.0,5.0,1,", "A,Aa,,,0,P", "B,Bb,52.2,5.2,,", "C,Cc,52.3,5.3,0,", "E,Entrance,52,5,2,P",
    )  # fmt: skip
    found = done(run("gtfs", feed(stops=stops), "--json"))
    assert service.nodes["gtfs.stop.a"]["geom"]["coordinates"] == [5.0, 52.0]
    assert service.nodes["gtfs.stop.a"]["data"]["place_of"] == "P"
    assert "gtfs.stop.e" not in service.nodes
    assert found["notes"]["stops at the place of their station"] == 1


def test_names_that_routes_share_give_way_to_their_ids(run: Import, service: Service, feed: Feed) -> None:
    path = feed(
        routes=table("route_id,route_short_name,route_type", "R,7,3", "Q,7,0"),
        trips=table("route_id,service_id,trip_id,direction_id", "R,S,T,0", "Q,S,U,0"),
        stop_times=table(TIMES, *trip("T", "A 8:00:00", "B 8:10:00"), *trip("U", "B 8:00:00", "C 8:10:00")),
    )
    done(run("gtfs", path, "--json"))
    assert sorted(lines(service)) == ["gtfs.line.ab.q.0", "gtfs.line.ab.r.0"]
    assert [node["modalities"] for _, node in sorted(lines(service).items())] == [["tram"], ["bus"]]
    assert sorted(service.nodes["gtfs.stop.b"]["modalities"]) == ["bus", "tram"]


def test_a_feed_of_stops_alone(run: Import, service: Service, feed: Feed) -> None:
    found = done(run("gtfs", feed(routes=None, trips=None, stop_times=None, calendar=None, agency=None), "--json"))
    assert (found["created"], found["notes"]) == (4, {"tables that are missing": 1})


def test_quotes_marks_and_spaces(run: Import, service: Service, feed: Feed) -> None:
    head, first = "\ufeff stop_id , stop_name,stop_lat,stop_lon,stop_desc", 'A,"Aa, ""the"" stop",52.1, 5.1 ,"two\nlines"'
    text = "\r\n".join((head, first, "", "B,Bb,52.2,5.2", "C,Cc,52.3,5.3,", ""))
    done(run("gtfs", feed(stops=text), "--json"))
    assert service.nodes["gtfs.stop.a"]["name"] == 'Aa, "the" stop'
    assert service.nodes["gtfs.stop.a"]["data"]["stop_desc"] == "two\nlines"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"stops": SMALL["stops.txt"] + "A,Again,52,5\n"}, "stops.txt, line 6 (A): line 2 has this stop_id, too"),
        ({"stops": SMALL["stops.txt"] + "a!,Again,52,5\n"}, "the id 'stop.a!' becomes the same cdk_id gtfs.stop.a as 'stop.A'"),
        ({"stops": SMALL["stops.txt"] + "E,Ee,,\n"}, "stops.txt, line 6 (E): it has no place, nor has it a station with one"),
        ({"stops": SMALL["stops.txt"] + "E,Ee,95,5\n"}, "stops.txt, line 6 (E): '95', '5' is no place"),
        ({"stops": SMALL["stops.txt"] + "E,Ee,nan,5\n"}, "'nan', '5' is no place"),
        ({"routes": SMALL["routes.txt"] + "R,8,3\n"}, "routes.txt, line 3 (R): line 2 has this route_id, too"),
        ({"trips": SMALL["trips.txt"] + "X,S,U,0\n"}, "trips.txt, line 3 (U): its route 'X' is not there"),
        ({"trips": SMALL["trips.txt"] + "R,X,U,0\n"}, "trips.txt, line 3 (U): its service 'X' has no calendar"),
        ({"trips": SMALL["trips.txt"] + "R,S,T,0\n"}, "trips.txt, line 3 (T): this trip_id stands twice"),
        ({"trips": SMALL["trips.txt"] + "R,S,U,2\n"}, "direction_id '2' is neither 0 nor 1"),
        ({"stop_times": SMALL["stop_times.txt"] + "X,9:00:00,9:00:00,A,1\n"}, "stop_times.txt, line 5: there is no trip 'X'"),
        ({"stop_times": SMALL["stop_times.txt"] + "T,9:00:00,9:00:00,X,9\n"}, "stop_times.txt, line 5: there is no stop 'X'"),
        ({"stop_times": SMALL["stop_times.txt"] + "T,9:00:00,9:60:00,A,9\n"}, "stop_times.txt, line 5: '9:60:00' is not a time"),
        ({"stop_times": SMALL["stop_times.txt"] + "T,9:00:00,9:00:00,D,5\n"}, "trip T of route R has stop_sequence 5 twice"),
        ({"frequencies": "trip_id,start_time,end_time,headway_secs\nT,06:00:00,07:00:00,0\n"}, "frequencies.txt, line 2 (T): needs"),
        ({"calendar_dates": "service_id,date,exception_type\nS,20260230,1\n"}, "calendar_dates.txt, line 2: needs a service_id, a date"),
    ],
)
def test_what_is_wrong_is_named_and_may_be_left_out(run: Import, service: Service, feed: Feed, changed: dict[str, str], told: str) -> None:
    path = feed(**changed)
    assert told in stopped(run("gtfs", path))
    service.nodes.clear()
    found = done(run("gtfs", path, "--on-error", "skip", "--json"))
    assert sum(found["left_out"].values()) == 1
    assert only_line(service)["data"]["times.S.0"] == "0,600,1230;08:00"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"stops": None}, "there is no stops.txt in it"),
        ({"agency": None}, "agency.txt is missing"),
        ({"stops": b"stop_id,stop_name,stop_lat,stop_lon\nA,\xe9,52,5\n"}, "stops.txt, line 2 is not UTF-8"),
        ({"stops": SMALL["stops.txt"].encode("utf-16")}, "stops.txt, line 1 holds a zero byte"),
        ({"stops": "stop_id,stop_id\nA,B\n"}, "stops.txt: a column stands twice in the first line"),
        ({"stops": "stop_id,stop_name\n" + "x" * (1 << 20)}, "stops.txt, line 2 is longer than"),
        ({"stops": "stop_id,stop_name\n" + '"' + "x" * 200_000}, "stops.txt cannot be read: field larger than field limit"),
        ({"stops": "stop_id,stop_name\n" + '"' + '\n","' * 2000}, "goes on for more than 1000 lines"),
    ],
)
def test_what_cannot_be_read_is_told(run: Import, feed: Feed, changed: dict[str, Any], told: str) -> None:
    assert told in stopped(run("gtfs", feed(**changed), "--on-error", "skip"))


def test_a_trip_that_goes_back_in_time_keeps_its_stops(run: Import, service: Service, feed: Feed) -> None:
    path = feed(stop_times=table(TIMES, *trip("T", "A 8:00:00", "B 7:00:00", "C 8:10:00")))
    assert "trip T of route R goes back in time; its stops are kept" in stopped(run("gtfs", path))
    done(run("gtfs", path, "--on-error", "skip", "--json"))
    assert len(only_line(service)["cdk_ids"]) == 3
    assert not [key for key in only_line(service)["data"] if key.startswith("times")]


def test_zips_are_bounded(run: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tmp_path / "bomb.zip"
    monkeypatch.setattr(tables, "SMALL_TABLE", 1 << 16)
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("stops.txt", "stop_id\n" + "\n" * (1 << 20))
    assert "stops.txt is compressed more than 200 to one" in stopped(run("gtfs", bomb))
    many = tmp_path / "many.zip"
    content = bytearray(bomb.read_bytes())
    struct.pack_into("<I", content, content.rfind(b"PK\5\6") + 12, 1 << 30)  # of the directory's size
    many.write_bytes(content)
    assert "it holds too many or too large files" in stopped(run("gtfs", many))
    cut = tmp_path / "cut.zip"
    cut.write_bytes(bomb.read_bytes()[:100])
    assert "is neither a folder nor a zip file" in stopped(run("gtfs", cut))


def test_paths_in_a_zip_mean_nothing(run: Import, tmp_path: Path) -> None:
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("../stops.txt", SMALL["stops.txt"])
        archive.writestr("/tmp/stops.txt", SMALL["stops.txt"])
    assert "there is no stops.txt in it" in stopped(run("gtfs", evil))


@pytest.mark.parametrize(
    ("route_type", "name"),
    [
        ("0", "tram"), ("1", "subway"), ("2", "rail"), ("3", "bus"), ("4", "ferry"), ("5", "cable_car"), ("6", "gondola"),
        ("7", "funicular"),
        ("11", "bus"), ("12", "rail"), ("100", "rail"), ("117", "rail"), ("204", "bus"), ("401", "subway"), ("405", "rail"), ("700", "bus"),
        ("900", "tram"), ("1000", "ferry"), ("1100", "airplane"), ("1300", "gondola"), ("1400", "funicular"), ("1501", "car"),
        ("1702", "horse"),
        ("1700", None), ("8", None), ("", None), ("x", None), ("-1", None), ("99999", None),
    ],
)  # fmt: skip
def test_modalities(route_type: str, name: str | None) -> None:
    assert modality(route_type) == name
