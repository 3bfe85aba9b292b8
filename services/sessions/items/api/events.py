"""Events in a session: what its clients do with stakeholders, buildings, messages, settings and time."""

from __future__ import annotations

from typing import Any, Final

from shapely import MultiPolygon

from services.sessions import levels
from services.sessions.access import Seat
from services.sessions.events.events import Parameter
from services.sessions.events.kinds import BOOLEAN, integer, optional, text, value_of
from services.sessions.events.sets import SESSION
from services.sessions.items.rules import polygons
from services.sessions.web import parts

MOST_DAYS: Final = 36_525
_LONGEST_VALUE: Final = 2000  # characters
_LARGEST: Final = 2**53 - 1  # JavaScript's
_read_text = text(_LONGEST_VALUE).read


def _read_value(value: Any) -> str | int | float | bool:
    if isinstance(value, str):
        found: str = _read_text(value)
        return found
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and -_LARGEST <= value <= _LARGEST:  # NaN neither
        return value
    raise ValueError(f"expected a text, true, false, or a number up to {_LARGEST}")


_VALUE: Final = value_of("text, number, true or false", {"oneOf": [{"type": one} for one in ("string", "number", "boolean")]}, _read_value)
_POLYGON: Final = value_of(
    "polygon",
    {
        "description": f"{polygons.HELP}. At most {polygons.MOST_POINTS} points.",
        "oneOf": [{"type": one} for one in ("array", "object", "string")],
        "example": [[10, 10], [30, 10], [30, 25], [10, 25]],
    },
    polygons.read,
)
_ID: Final = integer(0)
_STAKEHOLDER: Final = Parameter("stakeholderID", _ID, "Id of the stakeholder that you act for.")
_BUILDING: Final = Parameter("buildingID", _ID, "Id of the building.")
_OUTLINE: Final = Parameter("polygon", _POLYGON, f"Outline, in metres from the south-west corner of the map: {polygons.HELP}.")
_CLIENT: Final = optional("clientToken", text(64), "Of the client; that of the request when it is left out.")
_NUMBER: Final = {"type": "integer"}
_TRUE: Final = {"type": "boolean"}


@SESSION.event(
    "STAKEHOLDER_SELECT",
    level=levels.JOIN_ONLY,
    parameters=(optional("stakeholderID", _ID, "Id of the stakeholder; the first free one when it is left out."), _CLIENT),
    answer={"oneOf": [_TRUE, {"type": ["integer", "null"]}]},
)
def select(seat: Seat, stakeholder_id: int | None, client_token: str | None) -> bool | int | None:
    """Play a stakeholder; the one that the client played before is free then. Answers true or false, whether the client plays it now; in
    the sets of today's clients the id of the one that it plays: when another client has it, the next free one, null when none is free.
    """
    found = parts().stakeholders.select(seat, stakeholder_id, client_token)
    return found if seat.today else found is not None


@SESSION.event("STAKEHOLDER_RELEASE", level=levels.JOIN_ONLY, parameters=(_STAKEHOLDER,), answer=_TRUE)
def release(seat: Seat, stakeholder_id: int) -> bool:
    """Free a stakeholder for other clients. Answers whether anybody played it."""
    return parts().stakeholders.release(seat, stakeholder_id)


@SESSION.event("SESSION_RELEASE", level=levels.JOIN_ONLY, parameters=(_CLIENT,), answer=_TRUE)
def release_all(seat: Seat, client_token: str | None) -> bool:
    """Free the stakeholder that the client plays. The client stays joined until CLOSE_SESSION. Answers whether it played one."""
    return parts().stakeholders.release_all(seat, client_token)


@SESSION.event(
    "STAKEHOLDER_SET_NAME",
    level=levels.JOIN_ONLY,
    parameters=(_STAKEHOLDER, Parameter("name", text(100, least=1), "New name.")),
    answer=_TRUE,
)
def set_name(seat: Seat, stakeholder_id: int, name: str) -> bool:
    """Name a stakeholder: the one that the client plays; any for users with the level HOST_SESSION."""
    return parts().stakeholders.rename(seat, stakeholder_id, name)


@SESSION.event(
    "BUILDING_PLACE",
    level=levels.JOIN_ONLY,
    parameters=(
        _STAKEHOLDER,
        Parameter("name", text(100, least=1), "Name of the building."),
        Parameter("floors", integer(1, 200), "Number of floors."),
        _OUTLINE,
    ),
    answer=_NUMBER,
)
def place(seat: Seat, stakeholder_id: int, name: str, floors: int, outline: MultiPolygon) -> int:
    """Place a building, inside the map and on no other building. Answers its id."""
    return parts().buildings.place(seat, stakeholder_id, name, floors, outline)


@SESSION.event("BUILDING_MOVE", level=levels.JOIN_ONLY, parameters=(_STAKEHOLDER, _BUILDING, _OUTLINE), answer=_TRUE)
def move(seat: Seat, stakeholder_id: int, building_id: int, outline: MultiPolygon) -> bool:
    """Give a building of the stakeholder another outline."""
    return parts().buildings.move(seat, stakeholder_id, building_id, outline)


@SESSION.event("BUILDING_REMOVE", level=levels.JOIN_ONLY, parameters=(_STAKEHOLDER, _BUILDING), answer=_TRUE)
def remove(seat: Seat, stakeholder_id: int, building_id: int) -> bool:
    """Remove a building of the stakeholder."""
    return parts().buildings.remove(seat, stakeholder_id, building_id)


@SESSION.event(
    "MESSAGE_SEND",
    level=levels.JOIN_ONLY,
    parameters=(
        Parameter("from", _ID, "Id of the stakeholder that you act for."),
        optional("to", _ID, "Id of the stakeholder that it is for; all when it is left out."),
        Parameter("text", text(_LONGEST_VALUE, least=1), "The message."),
    ),
    answer=_NUMBER,
)
def send(seat: Seat, sender: int, receiver: int | None, message: str) -> int:
    """Send a message. All clients of the session can read it. Answers its id."""
    return parts().playing.send(seat, sender, receiver, message)


@SESSION.event("MESSAGE_REMOVE", level=levels.HOST_SESSION, parameters=(Parameter("messageID", _ID, "Id of the message."),), answer=_TRUE)
def remove_message(seat: Seat, message_id: int) -> bool:
    """Remove a message."""
    return parts().playing.remove_message(seat, message_id)


@SESSION.event(
    "SETTINGS_SET",
    level=levels.HOST_SESSION,
    parameters=(
        Parameter("key", text(64, least=1), "Name of the setting, in any case; a new one is added."),
        Parameter("value", _VALUE, "Its value."),
    ),
    answer=_TRUE,
)
def set_setting(seat: Seat, key: str, value: str | int | float | bool) -> bool:
    """Change a setting of the session."""
    return parts().playing.set(seat, key, value)


@SESSION.event(
    "SETTINGS_ALLOW_GAME_INTERACTION",
    level=levels.HOST_SESSION,
    parameters=(Parameter("allowed", BOOLEAN, "False pauses the session, true lets it go on."),),
    answer=_TRUE,
)
def allow_interaction(seat: Seat, allowed: bool) -> bool:
    """Pause the session or let it go on. While it is paused, no building and no time is changed."""
    return parts().playing.allow_interaction(seat, allowed)


@SESSION.event(
    "TIME_ADVANCE",
    level=levels.HOST_SESSION,
    parameters=(Parameter("days", integer(1, MOST_DAYS), "How many days pass."),),
    answer=_NUMBER,
)
def advance(seat: Seat, days: int) -> int:
    """Let time of the session pass. Answers its new time, in milliseconds since 1970."""
    return parts().playing.advance(seat, days)
