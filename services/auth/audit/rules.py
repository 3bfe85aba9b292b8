"""What an audit line tells (who does something, from where), and which lines a list holds."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """actor: a person's e-mail address, a client's name, or `anonymous`, `command line`, `start-up`. actor_id: of the person or client.

    address: where the request came from, without the proxies before it.
    """

    actor: str
    actor_id: str | None = None
    address: str | None = None
    request_id: str | None = None

    def acting(self, email: str, user_id: str) -> Origin:
        """Return the same place, with the person now known."""
        return Origin(email, user_id, self.address, self.request_id)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines a list holds: since included, until excluded."""

    action: str | None = None
    actor_id: str | None = None
    target: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


COMMAND_LINE = Origin("command line")
STARTUP = Origin("start-up")
