"""Events of projects."""

from __future__ import annotations

from typing import Any, Final

from services.sessions import levels
from services.sessions.access import Caller
from services.sessions.events.events import Parameter
from services.sessions.events.kinds import BOOLEAN, choice, integer, number, optional, text
from services.sessions.events.sets import IO
from services.sessions.projects import rules
from services.sessions.web import parts

_PROJECT: Final = Parameter("project", text(64, least=1), "Name of the project.")
_NEW_NAME: Final = Parameter("newName", text(64), "3 to 20 small letters, digits, _ and -.")
_DOMAIN: Final = optional("domain", text(100), "Your own, when it is left out.")
_SESSION: Final = Parameter("sessionID", integer(0), "Id of a session of type EDITOR.")
_DATA: Final = {"type": "object", "description": "The project."}
_LIST: Final = {"type": "array", "items": {"type": "object"}, "description": "Projects by name."}
_DONE: Final = {"type": "boolean", "description": "Always true."}


@IO.event(
    "CREATE_NEW_PROJECT",
    "ADD_PROJECT",
    level=levels.EDITOR,
    parameters=(
        Parameter("name", text(64), "3 to 20 small letters, digits, _ and -."),
        optional("language", choice(rules.LANGUAGES), "EN, when it is left out."),
        optional("highDetail", BOOLEAN, "Whether its map has much detail."),
    ),
    answer=_DATA,
)
def create(caller: Caller, name: str, language: str | None, detailed: bool | None) -> dict[str, Any]:
    """Create a project. Answers the project."""
    return parts().projects.create(caller, name, language, detailed)


@IO.event("GET_PROJECT", "GET_PROJECT_DATA", level=levels.JOIN_ONLY, parameters=(_PROJECT,), changes=False, answer=_DATA)
def get(caller: Caller, name: str) -> dict[str, Any]:
    """Answer a project, also one in the trash."""
    return parts().projects.get(caller, name)


@IO.event(
    "GET_STARTABLE_PROJECTS",
    "GET_DOMAIN_STARTABLE_PROJECTS",
    level=levels.JOIN_ONLY,
    parameters=(_DOMAIN,),
    changes=False,
    answer=_LIST,
)
def startable(caller: Caller, domain: str | None) -> list[dict[str, Any]]:
    """Answer the projects that can be started as sessions."""
    return parts().projects.startable(caller, domain)


@IO.event(
    "GET_STARTABLE_TEMPLATES",
    "GET_DOMAIN_STARTABLE_TEMPLATES",
    level=levels.EDITOR,
    parameters=(_DOMAIN,),
    changes=False,
    answer=_LIST,
)
def templates(caller: Caller, domain: str | None) -> list[dict[str, Any]]:
    """Answer the projects that others may begin with: start one as EDITOR, then save it as a new project."""
    return parts().projects.startable(caller, domain, templates=True)


@IO.event(
    "GET_DOMAIN_PROJECTS",
    "GET_VISIBLE_DOMAIN_PROJECTS",
    level=levels.DOMAIN_ADMIN,
    parameters=(_DOMAIN,),
    changes=False,
    answer=_LIST,
)
def of_domain(caller: Caller, domain: str | None) -> list[dict[str, Any]]:
    """Answer all projects of the domain, those in the archive and in the trash included."""
    return parts().projects.all(caller, domain)


@IO.event(
    "VALIDATE_PROJECT_NAME",
    level=levels.EDITOR,
    parameters=(Parameter("name", text(1000), "The name."),),
    changes=False,
    answer={"type": "string"},
)
def validate_name(_: Caller, name: str) -> str:
    """Answer why no new project may have this name; an empty text when one may."""
    return parts().projects.problem_of(name)


@IO.event("SAVE_PROJECT", level=levels.EDITOR, parameters=(_SESSION,), answer=_DONE)
def save(caller: Caller, session_id: int) -> bool:
    """Save what was edited in a session as a new version of its project. New sessions of the project begin with it."""
    return parts().versions.save(caller, session_id)


@IO.event(
    "SAVE_PROJECT_AS",
    level=levels.EDITOR,
    parameters=(
        _SESSION,
        optional("domain", text(100), "Your own."),
        _NEW_NAME,
        optional("allData", BOOLEAN, "Whether messages and logs are saved, too. They are, when it is left out."),
    ),
    answer=_DONE,
)
def save_as(caller: Caller, session_id: int, domain: str | None, name: str, everything: bool | None) -> bool:
    """Save what was edited in a session as a new project. The session goes on as one of the new project."""
    return parts().versions.save_as(caller, session_id, domain, name, everything is not False)


@IO.event("SET_PROJECT_NAME", level=levels.EDITOR, parameters=(_PROJECT, _NEW_NAME), answer=_DONE)
def set_name(caller: Caller, name: str, new: str) -> bool:
    """Give a project another name. None of its sessions may run."""
    return parts().projects.rename(caller, name, new)


@IO.event(
    "SET_PROJECT_OWNER",
    "CHANGE_PROJECT_CREATOR",
    level=levels.EDITOR,
    parameters=(_PROJECT, Parameter("owner", text(254, least=1), "User name of somebody in the project's domain.")),
    answer=_DONE,
)
def set_owner(caller: Caller, name: str, owner: str) -> bool:
    """Give a project to somebody else of its domain."""
    return parts().projects.set_owner(caller, name, owner)


@IO.event(
    "SET_PROJECT_TRASHED",
    "TRASH_PROJECT",
    level=levels.EDITOR,
    parameters=(_PROJECT, Parameter("trashed", BOOLEAN, "Into the trash, or out of it.")),
    answer=_DONE,
)
def set_trashed(caller: Caller, name: str, trashed: bool) -> bool:
    """Throw a project away, or take it back. It is removed after three days. None of its sessions may run."""
    return parts().projects.set_trashed(caller, name, trashed)


@IO.event(
    "SET_PROJECT_ARCHIVED",
    level=levels.EDITOR,
    parameters=(_PROJECT, Parameter("archived", BOOLEAN, "Into the archive, or out of it.")),
    answer=_DONE,
)
def set_archived(caller: Caller, name: str, archived: bool) -> bool:
    """Put a project into the archive, where it cannot be started, or take it out. None of its sessions may run."""
    return parts().projects.set_archived(caller, name, archived)


@IO.event(
    "SET_PROJECT_TEMPLATE",
    "SET_TEMPLATE",
    level=levels.DOMAIN_ADMIN,
    parameters=(_PROJECT, Parameter("template", BOOLEAN, "Whether it is a template.")),
    answer=_DONE,
)
def set_template(caller: Caller, name: str, template: bool) -> bool:
    """Say whether others begin their projects with this one."""
    return parts().projects.set_template(caller, name, template)


@IO.event(
    "SET_PROJECT_LANGUAGE",
    level=levels.EDITOR,
    parameters=(
        _PROJECT,
        Parameter("language", choice(rules.LANGUAGES), "A language."),
        optional("available", BOOLEAN, "Whether the project has it. It has, when this is left out."),
    ),
    answer=_DONE,
)
def set_language(caller: Caller, name: str, language: str, available: bool | None) -> bool:
    """Say whether a project has a language."""
    return parts().projects.set_language(caller, name, language, available is not False)


@IO.event(
    "SET_PROJECT_PERMISSION",
    level=levels.EDITOR,
    parameters=(
        _PROJECT,
        Parameter("type", choice(rules.HOLDERS), "Whose: the owner's, that of the others in the domain, or of the support (super users)."),
        Parameter("permission", choice(rules.PERMISSIONS), "What they may do."),
    ),
    answer=_DONE,
)
def set_permission(caller: Caller, name: str, holder: str, permission: str) -> bool:
    """Say who may do what with a project."""
    return parts().projects.set_permission(caller, name, holder, permission)


@IO.event(
    "SET_PROJECT_SUB_DOMAIN",
    level=levels.EDITOR,
    parameters=(_PROJECT, optional("subDomain", text(64), "A name; left out: that of no sub-domain.")),
    answer=_DONE,
)
def set_sub_domain(caller: Caller, name: str, sub_domain: str | None) -> bool:
    """Put a project into a sub-domain, or out of one."""
    return parts().projects.set_sub_domain(caller, name, sub_domain or "")


@IO.event(
    "SET_PROJECT_ACTIVE_VERSION",
    "SET_ACTIVE_PROJECT_VERSION",
    level=levels.EDITOR,
    parameters=(_PROJECT, Parameter("version", integer(0), "Number of a saved version; 0 for an empty project.")),
    answer=_DONE,
)
def set_active_version(caller: Caller, name: str, version: int) -> bool:
    """Say which version new sessions begin with. No session of the project may run."""
    return parts().projects.set_active_version(caller, name, version)


@IO.event(
    "SET_PROJECT_LOCATION",
    level=levels.EDITOR,
    parameters=(
        _PROJECT,
        optional("lat", number(-rules.HIGHEST_LATITUDE, rules.HIGHEST_LATITUDE), "Latitude of the middle of the map, in degrees."),
        optional("lon", number(-180, 180), "Longitude of the middle of the map, in degrees."),
        optional("mapSizeM", integer(rules.SMALLEST_MAP_M, rules.LARGEST_MAP_M), "Length of a side of the map, in metres."),
    ),
    answer=_DONE,
)
def set_place(caller: Caller, name: str, lat: float | None, lon: float | None, size_m: int | None) -> bool:
    """Say where a project's map lies. Without lat and lon it has no place on Earth. No session of the project may run."""
    return parts().projects.set_place(caller, name, lat, lon, size_m)
