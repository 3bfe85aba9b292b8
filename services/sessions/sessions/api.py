"""Events that start, join, save and end sessions, and what there is to read of them."""

from __future__ import annotations

from typing import Any, Final

from flask import Blueprint, Flask, Response, request

from services.sessions import levels, refusals, web
from services.sessions.access import Caller
from services.sessions.events.events import Event, Parameter
from services.sessions.events.kinds import BOOLEAN, choice, integer, optional, text, value_of
from services.sessions.events.sets import IO
from services.sessions.projects.rules import LANGUAGES
from services.sessions.sessions.rules import tokens, types
from services.sessions.sessions.service.steps import Join, Wish
from services.sessions.web import parts

blueprint = Blueprint("sessions", __name__)

_PLACES_OF_FIVE: Final = 5
_MOST_PAIRS: Final = 100
_ID: Final = Parameter("sessionID", integer(0), "Id of the session.")
_TYPE: Final = Parameter(
    "sessionType", choice(tuple(types.OF_NAME), types.TYPES), "SINGLE or MULTI to play the project, EDITOR to change it."
)
_PROJECT: Final = Parameter("project", text(64, least=1), "Name of the project.")
_LANGUAGE: Final = optional("language", choice(LANGUAGES), "The project's, when it is left out.")
_PREFERRED: Final = optional(
    "preferredSessionID", integer(), "Id that the session gets if no session has had it; above all that were given."
)
_GROUP: Final = optional("groupToken", text(64), "Sessions with the same one belong together.")
_KEEP_ALIVE: Final = Parameter("keepAlive", choice(types.KEEP_ALIVE), "NEVER: minutes; SHORT: two weeks; LONG: a year without a client.")
_COMPUTER: Final = optional("computerName", text(100), "Name of the computer or the program, shown to the others.")
_OBJECT: Final = {"type": "object"}
_OBJECTS: Final = {"type": "array", "items": _OBJECT}


def register(app: Flask) -> None:
    """Add the routes."""
    app.register_blueprint(blueprint)


def _joining(values: list[Any]) -> list[Any]:
    """Clients of 2015 send five values, with their address in the third place; those of today leave it out."""
    return values if len(values) >= _PLACES_OF_FIVE else [*values[:2], None, *values[2:]]


def _read_pairs(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, list) or len(value) > _MOST_PAIRS:
        raise ValueError(f"expected a list of at most {_MOST_PAIRS} pairs of tokens")
    pairs = []
    for one in value:
        session = one.get("apiToken", one.get("serverToken")) if isinstance(one, dict) else None
        client = one.get("clientToken") if isinstance(one, dict) else None
        if not isinstance(session, str) or not isinstance(client, str):
            raise ValueError('expected pairs such as {"apiToken": "…", "clientToken": "…"}')
        pairs.append((session, client))
    return pairs


_PAIRS: Final = value_of("pairs of tokens", {"type": "array", "maxItems": _MOST_PAIRS, "items": _OBJECT}, _read_pairs)


@IO.event(
    "START_NEW_SESSION",
    "START",
    level=levels.HOST_SESSION,
    parameters=(_TYPE, _PROJECT, _LANGUAGE, _PREFERRED, _GROUP),
    answer={"type": "integer", "description": "Id of the session."},
)
def start(caller: Caller, session_type: str, project: str, language: str | None, preferred: int | None, group: str | None) -> int:
    """Start a project as a session. Answers the session's id."""
    return parts().sessions.start(caller, Wish(session_type, project, language, preferred, group))


@IO.event("GET_JOINABLE_SESSIONS", "GET_MY_JOINABLE_SESSIONS", level=levels.JOIN_ONLY, changes=False, answer=_OBJECTS)
def joinable(caller: Caller) -> list[dict[str, Any]]:
    """List the running sessions that you may join."""
    return parts().finding.joinable(caller)


@IO.event("GET_SESSIONS", "GET_DOMAIN_SESSIONS", level=levels.HOST_SESSION, changes=False, answer=_OBJECTS)
def running(caller: Caller) -> list[dict[str, Any]]:
    """List the running sessions that you may join, with their clients."""
    return parts().finding.running(caller)


@IO.event(
    "GET_CONTINUABLE_SESSIONS",
    level=levels.JOIN_ONLY,
    changes=False,
    parameters=(Parameter("tokenPairs", _PAIRS, "What earlier joins have answered: a list of {apiToken, clientToken}."),),
    answer=_OBJECTS,
)
def continuable(caller: Caller, pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """List the sessions in which your clients are still joined."""
    return parts().finding.continuable(caller, pairs)


@IO.event(
    "JOIN_SESSION",
    "JOIN",
    level=levels.JOIN_ONLY,
    shape=_joining,
    parameters=(
        _ID,
        Parameter("appType", choice(types.APP_TYPES), "What kind of program joins."),
        optional("address", text(64), "The computer's address (2015)."),
        _COMPUTER,
        optional("clientToken", text(64), "Of a client that is joined: be that client again. An unknown one becomes the new client's."),
    ),
    answer=_OBJECT,
)
def join(caller: Caller, session_id: int, app_type: str, address: str | None, computer: str | None, token: str | None) -> dict[str, Any]:
    """Join a session. Answers its token, with which all of the session is reached, and a client token, which says who you are there."""
    wish = Join(app_type, token or tokens.new_client_token(), address or "", computer or "")
    return parts().sessions.join(caller, session_id, wish)


@IO.event("JOIN_OR_START", level=levels.JOIN_ONLY, parameters=(_TYPE, _PROJECT, _GROUP, _COMPUTER), answer=_OBJECT)
def join_or_start(caller: Caller, session_type: str, project: str, group: str | None, computer: str | None) -> dict[str, Any]:
    """Join the running session of a project, of this type and group; start it when there is none. Answers as JOIN_SESSION.

    However many ask at the same time, one session is started. To start one you need the level HOST_SESSION, or EDITOR.
    """
    return parts().sessions.join_or_start(caller, Wish(session_type, project, group=group), computer or "")


@IO.event(
    "CLOSE_SESSION",
    "CLOSE",
    level=levels.JOIN_ONLY,
    parameters=(
        _ID,
        Parameter("clientToken", text(64), "Of the client that leaves."),
        optional("keepOpen", BOOLEAN, "Whether the session stays open when no other client is left."),
    ),
    answer={"type": "boolean", "description": "Whether the session itself has ended."},
)
def close(caller: Caller, session_id: int, client_token: str, keep_open: bool | None) -> bool:
    """Leave a session; your stakeholder is free then. Answers true when the session has ended with it, because nobody else is left."""
    return parts().sessions.close(caller, session_id, client_token, keep_open=bool(keep_open))


@IO.event("KILL_SESSION", "KILL", level=levels.HOST_SESSION, parameters=(_ID,), answer={"type": "boolean"})
def kill(caller: Caller, session_id: int) -> bool:
    """End a session at once, for all its clients; nothing of it is saved. Answers whether there was one to end."""
    return parts().sessions.kill(caller, session_id)


@IO.event("SET_SESSION_KEEP_ALIVE", level=levels.HOST_SESSION, parameters=(_ID, _KEEP_ALIVE), answer={"type": "boolean"})
def set_keep_alive(caller: Caller, session_id: int, keep_alive: str) -> bool:
    """Choose how long a session goes on while no client is heard; one that is kept alive does not end when its last client leaves."""
    return parts().sessions.set_keep_alive(caller, session_id, keep_alive)


@IO.event("GET_SESSION_KEEP_ALIVE", level=levels.HOST_SESSION, changes=False, parameters=(_ID,), answer={"type": "string"})
def get_keep_alive(caller: Caller, session_id: int) -> str:
    """Answer whether a session is kept alive: NEVER, SHORT or LONG."""
    return parts().finding.keep_alive(caller, session_id)


@IO.event(
    "SAVE_SESSION",
    level=levels.HOST_SESSION,
    parameters=(_ID, Parameter("saveToken", text(64, least=1), "Names the saved session in its project; one of this name is replaced.")),
    answer={"type": "boolean"},
)
def save(caller: Caller, session_id: int, name: str) -> bool:
    """Save what a SINGLE or MULTI session holds now. The project itself does not change."""
    return parts().saving.save(caller, session_id, name)


@IO.event(
    "LOAD_SAVED_SESSION",
    level=levels.HOST_SESSION,
    parameters=(
        _TYPE,
        _PROJECT,
        Parameter("sessionName", text(64, least=1), "Name that the new session gets."),
        Parameter("saveName", text(64, least=1), "What SAVE_SESSION has called it."),
        _GROUP,
        _PREFERRED,
    ),
    answer={"type": "integer", "description": "Id of the session."},
)
def load_saved(caller: Caller, session_type: str, project: str, name: str, save_name: str, group: str | None, preferred: int | None) -> int:
    """Start a session that goes on where a saved one was. Answers the session's id."""
    return parts().sessions.start(caller, Wish(session_type, project, None, preferred, group, name, save_name))


@IO.event(
    "GET_PROJECT_SAVED_SESSIONS",
    level=levels.HOST_SESSION,
    changes=False,
    shape=lambda values: values if len(values) != 1 else [None, *values],
    parameters=(optional("domain", text(100), "Without meaning here: names of projects are unique."), _PROJECT),
    answer=_OBJECTS,
)
def saved(caller: Caller, _: str | None, project: str) -> list[dict[str, Any]]:
    """List the saved sessions of a project, the newest first."""
    return parts().saving.of_project(caller, project)


@IO.event("GET_SERVER_TIME", level=levels.JOIN_ONLY, changes=False, answer={"type": "integer"})
def server_time(_: Caller) -> int:
    """Answer the server's time in milliseconds since 1970."""
    return int(parts().clock.now().timestamp() * 1000)


@blueprint.get("/api/services/sessions/")
@blueprint.get("/api/sessions/")
def listing() -> Response:
    """Answer the running sessions that the caller may join."""
    return web.show("Sessions", parts().finding.joinable(web.need(levels.JOIN_ONLY)))


@blueprint.get("/api/session/info/", defaults={"slot": None})
@blueprint.get("/api/slots/<int:slot>/info/")
def info(slot: int | None) -> Response:
    """Answer what there is to know of the session itself, and which of its clients asks, with which level."""
    return web.show("Session", parts().finding.info(web.seat(slot)))


@blueprint.get("/api/session/clients/", defaults={"slot": None})
@blueprint.get("/api/slots/<int:slot>/clients/")
def clients(slot: int | None) -> Response:
    """Answer who is in the session, and who was."""
    return web.show("Clients", parts().finding.clients(web.seat(slot)))


@blueprint.route("/api/session/resettimeout/", methods=["GET", "POST"], defaults={"slot": None})
@blueprint.route("/api/slots/<int:slot>/resettimeout/", methods=["GET", "POST"])
def reset_timeout(slot: int | None) -> Response:
    """Count as heard, so that the session goes on."""
    seat = web.seat(slot)
    if request.method != "POST":
        return web.form(_RESET, seat)
    web.form_fields(seat)
    if seat.client is None:
        raise refusals.invalid_request("only a known client keeps a session going; send its clientToken as a header.")
    return web.done(_RESET, seat, True)


_RESET: Final = Event(("resettimeout",), levels.JOIN_ONLY, (), reset_timeout)


@blueprint.get("/test/")
def test() -> Response:
    """Answer what this server is: its name and version. Needs no credential."""
    return web.answer([web.NAME, web.VERSION])
