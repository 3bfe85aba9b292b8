"""Who asks, and what they may do.

At the root of the API a user asks, whom auth knows by name and password, login key, or one of its tokens. In a session the session's token
lets in whoever has it; a client token says who of those who joined it is, and so whose rights count.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from services.common.identity.client import IdentityClient
from services.common.identity.identity import Identity, User
from services.common.identity.refusals import AuthUnavailable, InsufficientScope, Throttled, Unauthenticated
from services.sessions import levels, refusals
from services.sessions.directory import ClientRef, Directory, Places, SessionRef
from services.sessions.events.events import Event
from services.sessions.keys import Keys
from services.sessions.presence.silence import Silence
from services.sessions.sessions.rules import tokens

SESSION_TOKEN: Final = "session token"  # noqa: S105  the purpose of a derived key
_MOST_TOKENS: Final = 1000  # that are remembered
SCOPE: Final = "sessions"
_PERSONS: Final = ("basic", "user", "account", "client")


@dataclass(frozen=True, slots=True)
class Caller:
    """The user who asks. permission: `full`, `read` or `write`, of the token. credential: the Authorization header, to ask auth in the
    user's name. today: whether the address, with the name of the set of events in it, is one of today's clients, not one of 2015.
    """

    user: User
    permission: str = "full"
    credential: str = field(default="", repr=False)
    today: bool = False

    @property
    def level(self) -> str:
        return self.user.level


@dataclass(frozen=True, slots=True)
class Seat:
    """A place in a session. client: None without a client token. today: whether the address, of an event the name of its set, is one of
    today's clients, not one of 2015.
    """

    session: SessionRef
    client: ClientRef | None
    today: bool = False

    @property
    def level(self) -> str:
        """Return the level of the client's user; whoever has only the session token may do what any joined client may."""
        return self.client.level if self.client else levels.JOIN_ONLY

    @property
    def permission(self) -> str:
        return "full"


def may(asking: Caller | Seat, level: str) -> bool:
    """Say whether the caller has this level."""
    return levels.at_least(asking.level, level)


def require(asking: Caller | Seat, event: Event) -> None:
    """Let only those fire an event who may. Raises Refusal (400 or 403 by the settings)."""
    if not may(asking, event.level):
        raise refusals.insufficient_rights()
    allow(asking, "write" if event.changes else "read")


def allow(asking: Caller | Seat, action: str) -> None:
    """Let only tokens pass that may do this. action: `read` or `write`. Raises Refusal 400 (or 403)."""
    if asking.permission not in ("full", action):
        raise refusals.insufficient_rights(f"this token may only {asking.permission}")


class Users:
    """Finds the user of a credential, by asking auth. Thread-safe."""

    def __init__(self, identities: IdentityClient) -> None:
        self._identities = identities

    def by_password(self, name: str, password: str, address: str, credential: str) -> Caller:
        """Find the user of a name with password or login key. address: the client's. Raises Refusal 401, 429, 503."""
        return self._caller(lambda: self._identities.basic(name, password, address), credential)

    def by_token(self, token: str, credential: str) -> Caller:
        """Find the user of a token of the house. Raises Refusal 401, 403, 503."""
        return self._caller(lambda: self._identities.token(token, scope=SCOPE), credential)

    def _caller(self, ask: Callable[[], Identity], credential: str) -> Caller:
        try:
            found = ask()
        except Unauthenticated as error:
            raise refusals.credentials_invalid(error.message) from None
        except InsufficientScope as error:
            raise refusals.insufficient_rights(error.message) from None
        except AuthUnavailable:
            raise refusals.auth_unavailable() from None
        except Throttled as error:
            raise refusals.too_many_failures(error.message, error.headers) from None
        if found.kind not in _PERSONS or found.user is None:
            raise refusals.credentials_invalid("this is not a user's credential")
        return Caller(found.user, found.permission, credential)


class Seats:
    """Finds the place in a session that tokens belong to. Thread-safe."""

    def __init__(self, directory: Directory, keys: Keys, silence: Silence) -> None:
        self._directory = directory
        self._keys = keys
        self._silence = silence
        self._tokens: dict[tuple[int, str], list[str]] = {}  # deriving one takes longer than all else about a poll

    def token(self, session_id: int, key: str) -> str:
        """Return the token of a session. key: of its row."""
        return self._tokens_of(session_id, key)[0]

    def is_token(self, token: str, session_id: int, key: str) -> bool:
        """Say whether this is the token of a session, or the one that it had under a former master key."""
        given = token.encode("utf-8", "surrogatepass")
        return any(hmac.compare_digest(known.encode(), given) for known in self._tokens_of(session_id, key))

    def _tokens_of(self, session_id: int, key: str) -> list[str]:
        found = self._tokens.get((session_id, key))
        if found is None:
            found = [tokens.session_token(session_id, one) for one in self._keys.derive(SESSION_TOKEN, f"{session_id}:{key}")]
            if len(self._tokens) >= _MOST_TOKENS:
                self._tokens.clear()
            self._tokens[session_id, key] = found
        return found

    def seat(self, token: str | None, client_token: str | None, slot: int | None = None, *, following: bool = False) -> Seat:
        """Say whose place it is. slot: the session's id, where the address names it. Raises Refusal (400, or 401, 404, 410).

        The session token is checked before anything is looked up of the client. following: a poll asks, for which the state of a moment
        ago is enough.
        """
        known: Places = self._directory.followed if following else self._directory
        session = self._session(token, slot, known)
        return Seat(session, self.client(session, client_token, known) if client_token else None)

    def client(self, session: SessionRef, client_token: str, known: Places | None = None) -> ClientRef:
        """Return the client of a session that a token belongs to. Raises Refusal 400 (or 401, 410)."""
        client = (known or self._directory).client(session.id, tokens.digest(client_token))
        if client is None:
            raise refusals.invalid_token()
        if client.released_at is not None:
            raise refusals.client_released()
        return client

    def remembered(self, token: str | None, client_token: str | None, slot: int | None = None) -> Seat | None:
        """Say whose place it was when the session was seen last, without asking the store; None when that must be asked.

        Whoever uses it checks the place before it tells anything (`updates/parking.py`).
        """
        session_id = tokens.session_of(token or "")
        session = None if session_id is None else self._directory.followed.last(session_id)
        if session is None or not self.is_token(token or "", session.id, session.key) or slot not in (None, session.id):
            return None
        if session.ended_at is not None or self._silence.is_over(session):
            return None
        if not client_token:
            return Seat(session, None)
        client = self._directory.followed.last_client(session.id, tokens.digest(client_token))
        return None if client is None else Seat(session, client)

    def _session(self, token: str | None, slot: int | None, known: Places) -> SessionRef:
        session_id = tokens.session_of(token or "")
        session = None if session_id is None else known.session(session_id)
        if session is None or not self.is_token(token or "", session.id, session.key):
            raise refusals.invalid_token()
        if session.ended_at is not None or self._silence.is_over(session):
            raise refusals.session_ended()
        if slot is not None and slot != session.id:
            raise refusals.invalid_token()
        return session
