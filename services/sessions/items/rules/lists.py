"""The lists of a session, and what they hold at its start. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

STAKEHOLDERS: Final = "STAKEHOLDERS"
SETTINGS: Final = "SETTINGS"
BUILDINGS: Final = "BUILDINGS"
MESSAGES: Final = "MESSAGES"
TIMES: Final = "TIMES"
LOGS: Final = "LOGS"
ALL: Final = (STAKEHOLDERS, SETTINGS, BUILDINGS, MESSAGES, TIMES, LOGS)
WITH_GEOMETRY: Final = (BUILDINGS,)

MOST_LOGS: Final = 500  # the newest are kept
MOST_MESSAGES: Final = 1000  # the newest are kept
MOST_BUILDINGS: Final = 10_000
MOST_POINTS: Final = 200_000  # of all buildings: to read as many takes about a second, and 3 MB of JSON
MOST_SETTINGS: Final = 200

ALLOW_GAME_INTERACTION: Final = "ALLOW_GAME_INTERACTION"
START, CURRENT = 0, 1  # items of TIMES
_TYPES: Final = {STAKEHOLDERS: "Stakeholder", SETTINGS: "Setting", BUILDINGS: "Building", MESSAGES: "Message", TIMES: "Time", LOGS: "Log"}
_COLORS: Final = ("#d81b60", "#1e88e5", "#ffc107", "#004d40")  # told apart without red and green


def find(name: str) -> str | None:
    """Return a list's name as it is written; names are case-blind."""
    return name.upper() if name.upper() in ALL else None


def type_of(name: str) -> str:
    """Return the type of a list's items, as TJSON names it."""
    return _TYPES[name]


def at_start(now: dt.datetime) -> dict[str, list[dict[str, Any]]]:
    """Return what the lists of a new project's session hold. now: the session's first moment."""
    moment = int(now.timestamp() * 1000)
    return {
        STAKEHOLDERS: [
            {"id": number, "name": f"Stakeholder {number + 1}", "shortName": f"S{number + 1}", "color": color}
            for number, color in enumerate(_COLORS)
        ],
        SETTINGS: [{"id": 0, "name": ALLOW_GAME_INTERACTION, "value": True}],
        BUILDINGS: [],
        MESSAGES: [],
        TIMES: [{"id": START, "name": "START", "timeMS": moment}, {"id": CURRENT, "name": "CURRENT", "timeMS": moment}],
        LOGS: [],
    }
