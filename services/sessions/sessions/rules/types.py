"""Types of sessions and of clients' programs, in both generations of names. Pure."""

from __future__ import annotations

from typing import Final

SINGLE: Final = "SINGLE"
MULTI: Final = "MULTI"
EDITOR: Final = "EDITOR"
TYPES: Final = (SINGLE, MULTI, EDITOR)
OF_NAME: Final = {SINGLE: SINGLE, MULTI: MULTI, EDITOR: EDITOR, "SINGLE_PLAYER": SINGLE, "MULTI_PLAYER": MULTI}  # today's, then 2015's
APP_TYPES: Final = (
    "VIEWER", "ADMIN", "BEAMER", "EDITOR", "FACILITATOR",  # 2015
    "LAUNCHER", "PARTICIPANT", "SERVER", "SHARE", "TOOLS",  # today
)  # fmt: skip
KEEP_ALIVE_S: Final = {"SHORT": 14 * 86_400, "LONG": 365 * 86_400}  # seconds; NEVER: the setting `timeout`
KEEP_ALIVE: Final = ("NEVER", *KEEP_ALIVE_S)


def shown(started_as: str, *, today: bool) -> str:
    """Return the name of a type for a client. started_as: how the starter named it. today: the client is one of today's."""
    return OF_NAME[started_as] if today else started_as


def app_type(session_type: str) -> str:
    """Return the kind of program that usually joins a session of this type."""
    return "EDITOR" if session_type == EDITOR else "PARTICIPANT"


def in_the_way(wanted: str, running: list[str]) -> str | None:
    """Say which type of a running session of the same project forbids a new one of this type; None when none does (the seed).

    A project that is edited has no other session; one that is played is not edited.
    """
    if wanted == EDITOR:
        return running[0] if running else None
    return EDITOR if EDITOR in running else None
