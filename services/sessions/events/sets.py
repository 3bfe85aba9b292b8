"""The sets of events, under their names in both generations of clients. The nouns add the events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.sessions.events.events import EventSet

IO: Final = EventSet("IOServicesEventType", "io", title="Projects and sessions")
USER: Final = EventSet("UserServicesEventType", "user", title="Users")
ROOT: Final = (IO, USER)

# One set of a session answers to the names of all: clients name an event by the part that they play.
SESSION: Final = EventSet(
    "LogicEventType", "PlayerEventType", "ParticipantEventType", "EditorEventType", "logic", "participant", "editor", title="This session"
)
IN_SESSION: Final = (SESSION,)
_OF_TODAY: Final = frozenset({"io", "user", "logic", "participant", "editor"})


def find(sets: Sequence[EventSet], name: str) -> EventSet | None:
    """Return the set of a name, in any case."""
    return next((one for one in sets if name.lower() in (known.lower() for known in one.names)), None)


def is_of_today(name: str) -> bool:
    """Say whether today's clients name a set so, not those of 2015."""
    return name.lower() in _OF_TODAY
