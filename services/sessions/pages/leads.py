"""What a person may do next with what an event has answered: links to forms that are filled in already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from services.sessions.events.sets import IO
from services.sessions.pages.navigation import Link, link

_MOST: Final = 50  # links


def after(name: str, value: Any) -> list[Link]:
    """Return links from the answer of an event. name: the event's first one."""
    make = _AFTER.get(name)
    return make(value)[:_MOST] if make else []


def _form(name: str, text: str, **values: object) -> Link:
    return Link(text, link(f"/api/services/event/{IO.names[0]}/{name}/", **values))


def leave(session_id: int) -> Link:
    """Return a link to the form that leaves a session."""
    return _form("CLOSE_SESSION", "Leave this session", sessionID=session_id)


def join() -> Link:
    """Return a link to the form that gives a token."""
    return _form("JOIN_SESSION", "Join a session")


def _started(value: Any) -> list[Link]:
    return [_form("JOIN_SESSION", f"Join session {value}", sessionID=value)] if isinstance(value, int) else []


def _joined(value: Any) -> list[Link]:
    number, token, client = value["sessionID"], value["serverToken"], value["client"]["clientToken"]
    return [
        Link(f"Open session {number}", link("/api/session/", token=token, clientToken=client)),
        _form("CLOSE_SESSION", f"Leave session {number}", sessionID=number, token=token, clientToken=client),
    ]


def _sessions(value: Any) -> list[Link]:
    found = [one for one in value if isinstance(one, Mapping)]
    numbers = [(one.get("id", one.get("sessionID")), one.get("name", "")) for one in found]
    return [_form("JOIN_SESSION", f"Join session {number} ({name})", sessionID=number) for number, name in numbers]


def _projects(value: Any) -> list[Link]:
    found = value if isinstance(value, list) else [value]
    names = [one.get("fileName", one.get("name")) for one in found if isinstance(one, Mapping)]
    return [_form("START_NEW_SESSION", f"Start {name}", project=name) for name in names if name]


_AFTER: Final[Mapping[str, Callable[[Any], list[Link]]]] = {
    "START_NEW_SESSION": _started,
    "LOAD_SAVED_SESSION": _started,
    "JOIN_SESSION": _joined,
    "JOIN_OR_START": _joined,
    "GET_JOINABLE_SESSIONS": _sessions,
    "GET_SESSIONS": _sessions,
    "CREATE_NEW_PROJECT": _projects,
    "GET_STARTABLE_PROJECTS": _projects,
}
