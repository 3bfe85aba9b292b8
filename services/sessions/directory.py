"""What every request must know of a session: whether it runs, what its token is made of, who its clients are.

Events and reads ask the store each time. Polls come by the hundred, at the same moment: `Directory.followed` answers them all from one
picture of the session, which is forgotten when anything of it changes, and a second later in any case.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import sqlalchemy as sa

from services.common.lookups import Lookups
from services.common.wakeups import Wakeups
from services.sessions.models import Client, Item, ItemList, Session

KEPT_S: Final = 1.0  # how long a picture is good, should the wake-up of another process be lost
MOST_KEPT: Final = 1000  # pictures; the oldest is forgotten first
MOST_ANSWERS: Final = 64  # of a picture, each for other versions that clients have
MOST_KEPT_BYTES: Final = 256 * 1024  # of the answers of a picture; of longer ones only the newest is kept

_REF: Final = (
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
)
_SESSION: Final = sa.select(*_REF).where(Session.id == sa.bindparam("id"))
_CLIENT: Final = sa.select(Client.id, Client.session_id, Client.level, Client.user_id, Client.app_type, Client.released_at).where(
    Client.token_digest == sa.bindparam("digest")
)
_HAS_ITEMS: Final = sa.exists().where(Item.session_id == ItemList.session_id, Item.list == ItemList.name)
_LISTS: Final = (
    sa.select(*_REF, ItemList.name.label("list"), ItemList.version, ItemList.horizon, _HAS_ITEMS)
    .outerjoin(ItemList, ItemList.session_id == Session.id)
    .where(Session.id == sa.bindparam("id"))
)
_JOINED: Final = sa.select(Client.id).where(Client.session_id == sa.bindparam("id"), Client.released_at.is_(None))


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


@dataclass(frozen=True, slots=True)
class ListRef:
    """A list. version, horizon: as of `ItemList`. filled: whether it has any item."""

    version: int
    horizon: int
    filled: bool


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A session with its lists, by name, and the ids of its clients, as they were at one moment.

    answers: to polls, by what they ask; whoever computes one leaves it here for the others.
    """

    session: SessionRef
    lists: Mapping[str, ListRef]
    clients: frozenset[int]
    answers: dict[Any, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def topic(session_id: int) -> str:
    """Name the topic that wakes whoever follows this session."""
    return f"session:{session_id}"


def session_of(named: str) -> int | None:
    """Return the session of a topic; None when it is that of something else."""
    kind, _, number = named.partition(":")
    return int(number) if kind == "session" and number.isdecimal() else None


class Places(Protocol):
    """Who knows sessions and their clients."""

    def session(self, session_id: int) -> SessionRef | None:
        """Return a session, running or ended; None when there is none of this id. Raises StoreUnavailable, the store's error."""
        ...

    def client(self, session_id: int, digest: str) -> ClientRef | None:
        """Return a client, released ones as well; None when no client of the session has this token. Raises as `session`."""
        ...


class Directory:
    """Finds sessions and their clients in the store. followed: the same for polls, up to a second old. Thread-safe."""

    def __init__(self, lookups: Lookups, wakeups: Wakeups) -> None:
        self._lookups = lookups
        self._wakeups = wakeups
        self.followed = Followed(self, lookups, wakeups)

    def session(self, session_id: int) -> SessionRef | None:
        """See `Places`."""
        row = self._lookups.one(_SESSION, {"id": session_id})
        return None if row is None else SessionRef(*tuple(row))

    def client(self, session_id: int, digest: str) -> ClientRef | None:
        """See `Places`."""
        row = self._lookups.one(_CLIENT, {"digest": digest})
        found = None if row is None else ClientRef(*tuple(row))
        return None if found is None or found.session_id != session_id else found

    def announce(self, session_id: int) -> None:
        """Tell all processes that something of this session has changed. Call it after the commit, before the answer."""
        self._wakeups.publish([topic(session_id)])


class _Followed:
    """What is remembered of one session. mark: another object after each change; whoever loads checks that it is still the same."""

    __slots__ = ("clients", "loaded", "lock", "mark", "marked", "snapshot")

    def __init__(self) -> None:
        self.lock = threading.Lock()  # one loads, the others wait for it
        self.mark = self.marked = object()
        self.snapshot: Snapshot | None = None
        self.loaded = 0.0
        self.clients: dict[str, ClientRef] = {}

    def forget(self) -> None:
        """Have the next who asks look; answers from before are of no use any more."""
        self.mark = object()
        if self.snapshot is not None:
            self.snapshot.answers.clear()

    def current(self) -> Snapshot | None:
        """Return the picture if it is still good."""
        if self.snapshot is None or self.mark is not self.marked or time.monotonic() - self.loaded > KEPT_S:
            return None
        return self.snapshot


class Followed:
    """Remembers the sessions that are polled. Thread-safe."""

    def __init__(self, directory: Directory, lookups: Lookups, wakeups: Wakeups) -> None:
        self._directory = directory
        self._lookups = lookups
        self._lock = threading.Lock()
        self._sessions: dict[int, _Followed] = {}  # the oldest first
        wakeups.listen(self._hear)

    def session(self, session_id: int) -> SessionRef | None:
        """See `Places`."""
        found = self.snapshot(session_id)
        return None if found is None else found.session

    def client(self, session_id: int, digest: str) -> ClientRef | None:
        """See `Places`. Only those that are joined are remembered."""
        snapshot, one = self.snapshot(session_id), self._one(session_id)
        found = one.clients.get(digest)
        if snapshot is None or (found is not None and found.id in snapshot.clients):
            return found
        found = self._directory.client(session_id, digest)
        if found is not None and found.released_at is None:
            one.clients[digest] = found
        return found

    def remembered(self, session_id: int) -> Snapshot | None:
        """Return the picture of a session that is remembered, if it is still good. Asks no store."""
        one = self._sessions.get(session_id)
        return None if one is None else one.current()

    def last(self, session_id: int) -> SessionRef | None:
        """Return a session as it was seen last, however long ago. Asks no store."""
        one = self._sessions.get(session_id)
        return None if one is None or one.snapshot is None else one.snapshot.session

    def last_client(self, session_id: int, digest: str) -> ClientRef | None:
        """Return a client as it was seen last: joined. Asks no store."""
        one = self._sessions.get(session_id)
        return None if one is None else one.clients.get(digest)

    def snapshot(self, session_id: int) -> Snapshot | None:
        """Return the picture of a session, running or ended, at most a second old; None when there is none. Raises as `session`."""
        one = self._one(session_id)
        found = one.current()
        if found is not None:
            return found
        with one.lock:
            found = one.current()
            return found if found is not None else self._load(session_id, one)

    def forget(self, session_id: int) -> None:
        """Have the session looked up again by the next who asks."""
        one = self._sessions.get(session_id)
        if one is not None:
            one.forget()

    def _load(self, session_id: int, one: _Followed) -> Snapshot | None:
        mark, now = one.mark, time.monotonic()  # before the first look
        rows = self._lookups.all(_LISTS, {"id": session_id})
        if not rows:
            self._sessions.pop(session_id, None)
            return None
        joined = frozenset(row[0] for row in self._lookups.all(_JOINED, {"id": session_id}))
        places = len(_REF)
        lists = {row[places]: ListRef(*row[places + 1 :]) for row in rows if row[places] is not None}
        found = Snapshot(SessionRef(*rows[0][:places]), lists, joined)
        one.clients = {digest: client for digest, client in list(one.clients.items()) if client.id in joined}
        one.snapshot, one.loaded, one.marked = found, now, mark
        return found

    def _one(self, session_id: int) -> _Followed:
        found = self._sessions.get(session_id)
        if found is None:
            with self._lock:
                found = self._sessions.setdefault(session_id, _Followed())
                while len(self._sessions) > MOST_KEPT:
                    del self._sessions[next(iter(self._sessions))]
        return found

    def _hear(self, woken: str | None) -> None:
        """Forget the picture of what has changed."""
        session_id = None if woken is None else session_of(woken)
        if session_id is not None:
            self.forget(session_id)
        elif woken is None:
            for one in list(self._sessions.values()):
                one.forget()
