"""When lines of public transport leave their stops. Each answer is bounded; one that is cut says `truncated`."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sqlalchemy.orm import Session

from services.mobility.models import Node
from services.mobility.reads.rules import schedules as rules
from services.mobility.reads.rules.schedules import Timetable
from services.mobility.reads.store import schedules as store

DEPARTURES_MOST: Final = 50_000  # in an answer, which then has about 1 MB
LINES_MOST: Final = 200  # of a stop
DATA_MOST: Final = 4_000_000  # letters of the timetables that are read for an answer
_STOPS_MOST: Final = 1000  # that a line still visits
_VISITS_MOST: Final = 10  # of one trip to one stop: a line that goes round passes it twice

_Line = tuple[int, str, dict[str, Any], Timetable, list[int]]  # id, cdk_id, data, timetable, positions of the stop


def of_line(session: Session, line: Node, now: dt.datetime, ahead: int) -> dict[str, Any]:
    """Answer with the trips of a line on one day. ahead: days from today, where the line is."""
    data = store.data(session, line)
    timetable = rules.read(data, store.sizes(session, [line.id]).get(line.id, 0))
    if timetable is None:
        return _answer([])
    day = timetable.today(now) + dt.timedelta(days=ahead)
    stops: list[str] = []
    trips: list[list[tuple[str, str]]] = []
    left = DEPARTURES_MOST
    for trip in timetable.trips(day):
        stops = stops or store.stops(session, line.id)
        left -= len(trip)
        if left < 0 or len(stops) <= trip[-1][0]:  # the line is deleted meanwhile
            break
        trips.append([(stops[position], rules.clock(seconds)) for position, seconds in trip])
    return _answer([{"line": line.cdk_id, "date": rules.date(day), "trips": trips}], left < 0 or rules.is_cut(data))


def of_stop(session: Session, stop: Node, now: dt.datetime) -> dict[str, Any]:
    """Answer with the departures from a stop in seven days, by line and day."""
    lines, truncated = _lines(session, stop)
    days: dict[int, dict[str, list[str]]] = {line[0]: {} for line in lines}
    left = DEPARTURES_MOST
    for ahead in range(rules.WEEK):
        for line_id, _, _, timetable, positions in lines:
            day = timetable.today(now) + dt.timedelta(days=ahead)
            times = timetable.departures(positions, day) if left > 0 else []
            truncated = truncated or left <= 0 or len(times) > left
            if times:
                days[line_id][rules.date(day)] = [rules.clock(seconds) for seconds in times[:left]]
                left -= len(times[:left])
    shown = [{**rules.line(cdk_id, data), "day": days[line_id]} for line_id, cdk_id, data, _, _ in lines if days[line_id]]
    return _answer(sorted(shown, key=lambda one: (str(one["route_id"]), one["cdk_id"])), truncated)


def of_now(session: Session, stop: Node, now: dt.datetime) -> dict[str, Any]:
    """Answer with the departures from a stop from 5 minutes ago to 55 minutes ahead, by line, the line that leaves first first."""
    lines, truncated = _lines(session, stop)
    found = []
    left = DEPARTURES_MOST
    for line_id, cdk_id, data, timetable, positions in lines:
        times = timetable.now(positions, now)
        truncated = truncated or len(times) > left
        times = times[:left]
        left -= len(times)
        if times:
            after = [one for one in store.stops(session, line_id, positions[0], _STOPS_MOST) if one != stop.cdk_id]
            shown = {
                **rules.line(cdk_id, data),
                "times": [rules.clock(seconds) for _, seconds in times],
                "departures": [moment.isoformat() for moment, _ in times],
                "stops": list(dict.fromkeys(after)),
            }
            found.append((times[0][0], cdk_id, shown))
    return _answer([shown for _, _, shown in sorted(found, key=lambda one: one[:2])], truncated)


def _lines(session: Session, stop: Node) -> tuple[list[_Line], bool]:
    """Read the lines of a stop that have timetables. Returns also whether there are more lines than are read."""
    rows = store.lines_at(session, stop.id, LINES_MOST + 1)
    ids = [line_id for line_id, _, _ in rows]
    sizes, positions = store.sizes(session, ids), store.positions(session, ids, stop.id)
    found: list[_Line] = []
    left = DATA_MOST
    for line_id, cdk_id, data in rows[:LINES_MOST]:
        if line_id not in sizes or line_id not in positions:  # it is deleted meanwhile
            continue
        left -= sum(len(value) for value in data.values() if isinstance(value, str))
        if left < 0:
            break
        timetable = rules.read(data, sizes[line_id])
        if timetable is not None:
            found.append((line_id, cdk_id, data, timetable, positions[line_id][:_VISITS_MOST]))
    return found, left < 0 or len(rows) > LINES_MOST or any(rules.is_cut(data) for _, _, data, _, _ in found)


def _answer(results: list[dict[str, Any]], truncated: bool = False) -> dict[str, Any]:
    """Return an answer in the original's shape. truncated: it is cut."""
    return {"pages": 1, "results": results, **({"truncated": True} if truncated else {})}
