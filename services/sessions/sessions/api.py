"""Events that start, join and end sessions."""

from __future__ import annotations

from typing import Any

from services.sessions import levels
from services.sessions.access import Caller
from services.sessions.events import Parameter
from services.sessions.kinds import choice, integer, optional, text
from services.sessions.projects.rules import LANGUAGES
from services.sessions.sessions.rules import types
from services.sessions.sets import IO
from services.sessions.web import parts

_ID = Parameter("sessionID", integer(0), "Id of the session.")
_PLACES_OF_FIVE = 5


def _joining(values: list[Any]) -> list[Any]:
    """Clients of 2015 send five values, with their address in the third place; those of today leave it out."""
    return values if len(values) >= _PLACES_OF_FIVE else [*values[:2], None, *values[2:]]


@IO.event(
    "START_NEW_SESSION",
    "START",
    level=levels.HOST_SESSION,
    parameters=(
        Parameter("sessionType", choice(types.SESSION_TYPES), "SINGLE or MULTI to play the project, EDITOR to change it."),
        Parameter("project", text(64, least=1), "Name of the project."),
        optional("language", choice(LANGUAGES), "The project's, when it is left out."),
        optional("preferredSessionID", integer(), "Id that the session gets if it is free."),
        optional("groupToken", text(64), "Sessions with the same one belong together."),
    ),
    answer={"type": "integer", "description": "Id of the session."},
)
def start(caller: Caller, session_type: str, project: str, language: str | None, preferred: int | None, group: str | None) -> int:
    """Start a project as a session. Answers the session's id."""
    return parts().sessions.start(caller, session_type, project, language, preferred, group)


@IO.event(
    "JOIN_SESSION",
    "JOIN",
    level=levels.JOIN_ONLY,
    shape=_joining,
    parameters=(
        _ID,
        Parameter("appType", choice(types.APP_TYPES), "What kind of program joins."),
        optional("address", text(64), "The computer's address (2015)."),
        optional("computerName", text(100), "Name of the computer or the program, shown to the others."),
        optional("clientToken", text(64), "Of a client that is joined: be that client again. An unknown one becomes the new client's."),
    ),
    answer={"type": "object"},
)
def join(caller: Caller, session_id: int, app_type: str, address: str | None, computer: str | None, token: str | None) -> dict[str, Any]:
    """Join a session. Answers its token, with which all of the session is reached, and a client token, which says who you are there."""
    return parts().sessions.join(caller, session_id, app_type, address, computer, token)


@IO.event("GET_SERVER_TIME", level=levels.JOIN_ONLY, changes=False, answer={"type": "integer"})
def server_time(_: Caller) -> int:
    """Answer the server's time in milliseconds since 1970."""
    return int(parts().clock.now().timestamp() * 1000)
