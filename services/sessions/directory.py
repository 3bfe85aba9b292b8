"""What every request must know of a session: whether it runs, what its token is made of, who its clients are."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from services.common.lookups import Lookups
from services.common.wakeups import Wakeups
from services.sessions.models import Client, Session

_SESSION: Final = sa.select(
    Session.id,
    Session.project_name,
    Session.domain,
    Session.name,
    Session.type,
    Session.language,
    Session.key,
    Session.keep_alive,
    Session.active_at,
    Session.ended_at,
).where(Session.id == sa.bindparam("id"))
_CLIENT: Final = sa.select(Client.id, Client.session_id, Client.level, Client.user_id, Client.app_type, Client.released_at).where(
    Client.token_digest == sa.bindparam("digest")
)


@dataclass(frozen=True, slots=True)
class SessionRef:
    """A session, as it was when it was looked up. key: what its token is derived from. active_at: when a client was heard last, of what is
    written; `Silence.is_over` says whether the session has timed out.
    """

    id: int
    project_name: str
    domain: str
    name: str
    type: str
    language: str
    key: str
    keep_alive: str
    active_at: dt.datetime
    ended_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class ClientRef:
    """A client, as it was when it was looked up. level, user_id: of its user, when it joined."""

    id: int
    session_id: int
    level: str
    user_id: str
    app_type: str
    released_at: dt.datetime | None


def topic(session_id: int) -> str:
    """Name the topic that wakes whoever follows this session."""
    return f"session:{session_id}"


class Directory:
    """Finds sessions and their clients. Thread-safe."""

    def __init__(self, lookups: Lookups, wakeups: Wakeups) -> None:
        self._lookups = lookups
        self._wakeups = wakeups

    def session(self, session_id: int) -> SessionRef | None:
        """Return a session, running or ended; None when there is none of this id. Raises StoreUnavailable, the store's error."""
        row = self._lookups.one(_SESSION, {"id": session_id})
        return None if row is None else SessionRef(*tuple(row))

    def client(self, digest: str) -> ClientRef | None:
        """Return a client, released ones as well; None when no client has this token. Raises as `session`."""
        row = self._lookups.one(_CLIENT, {"digest": digest})
        return None if row is None else ClientRef(*tuple(row))

    def announce(self, session_id: int) -> None:
        """Tell all processes that something of this session has changed. Call it after the commit, before the answer."""
        self._wakeups.publish([topic(session_id)])
