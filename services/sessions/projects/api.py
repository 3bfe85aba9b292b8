"""Events of projects."""

from __future__ import annotations

from typing import Any

from services.sessions import levels
from services.sessions.access import Caller
from services.sessions.events import Parameter
from services.sessions.kinds import BOOLEAN, choice, optional, text
from services.sessions.projects.rules import LANGUAGES
from services.sessions.sets import IO
from services.sessions.web import parts


@IO.event(
    "CREATE_NEW_PROJECT",
    "ADD_PROJECT",
    level=levels.EDITOR,
    parameters=(
        Parameter("name", text(64), "3 to 20 small letters, digits, _ and -."),
        optional("language", choice(LANGUAGES), "EN, when it is left out."),
        optional("highDetail", BOOLEAN, "Whether its map has much detail."),
    ),
    answer={"type": "object"},
)
def create(caller: Caller, name: str, language: str | None, detailed: bool | None) -> dict[str, Any]:
    """Create a project. Answers the project."""
    return parts().projects.create(caller, name, language, detailed)
