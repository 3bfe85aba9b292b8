"""OAuth2 clients, and what they are given: codes, refresh tokens, access tokens.

Of secrets, codes and tokens only the SHA-256 is stored. Everything that gives or ends tokens of a client holds the client's row until it
ends: of two requests with one code, exactly one gets tokens, and what ends a client, or a log-in, leaves out no token that is just made. An
access token, its record, its refresh token and the notification are written in one transaction.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from services.common.clock import Clock, SystemClock
from services.common.core_database import CoreDatabase
from services.common.webhooks import store as outbox
from services.common.webhooks.outbox import Call
from services.gateway.stores.callers import OfCallers
from services.gateway.stores.events import TABLES
from services.gateway.stores.generations import raise_generation
from services.gateway.stores.keys import GENERATION, KEYS, add_key, remove_keys
from services.gateway.stores.oauth_tables import CLIENTS, CODES, NOTIFICATIONS, REFRESH_TOKENS, TOKENS
from services.gateway.stores.sealing import Sealing

_C: Final = CLIENTS.c
_T: Final = TOKENS.c
_R: Final = REFRESH_TOKENS.c
# An access token that has ended is refused as expired for so long, then as unknown.
KEPT: Final = dt.timedelta(hours=1)
NOTIFICATIONS_KEPT: Final = dt.timedelta(days=31)  # the calls themselves are kept for at most 30 days
_SLICE: Final = 200
# A log-in has one access token; a client that asks for itself may have so many, and then the oldest ends with each new one.
MOST_OF_FAMILY: Final = 1000


@dataclass(frozen=True, slots=True)
class Client:
    """secret_hash: SHA-256. policy_id: what its tokens may do when nobody else says it, "" = none."""

    id: str
    api_id: str
    org_id: str
    secret_hash: str
    redirect_uris: tuple[str, ...]
    policy_id: str = ""
    description: str = ""
    meta_data: Any = None


@dataclass(frozen=True, slots=True)
class Code:
    """hash: SHA-256 of the code. family: of the tokens that come of it. session: of these. challenge: of PKCE, "" = none."""

    hash: str
    client_id: str
    family: str
    redirect_uri: str
    challenge: str
    challenge_method: str
    session: dict[str, Any]
    expires_at: dt.datetime
    used: bool = False


@dataclass(frozen=True, slots=True)
class RefreshToken:
    hash: str
    client_id: str
    family: str
    session: dict[str, Any]
    expires_at: dt.datetime
    used: bool = False


@dataclass(frozen=True, slots=True)
class NewToken:
    """An access token to be given. hash: SHA-256 of it. session: with its end. refresh_session: what tokens that follow may do.

    refresh_hash: "" = without a refresh token. call: of the notification, with its body.
    """

    hash: str
    family: str
    session: Mapping[str, Any]
    expires_at: dt.datetime
    refresh_hash: str = ""
    refresh_session: Mapping[str, Any] | None = None
    refresh_expires_at: dt.datetime | None = None
    call: Call | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """An access token in a list. id: the public id of its key."""

    id: str
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """What a write ended. generation: of keys; hashes: of the access tokens, which may open nothing any more."""

    generation: int
    hashes: frozenset[str]


class ClientTaken(Exception):
    """There is a client with this id."""


class ClientMissing(Exception):
    """There is no such client, any more."""


class Spent(Exception):
    """The code or the refresh token was used before, has ended, or is gone. Nothing was written."""


def new_family() -> str:
    return secrets.token_hex(16)


class OAuthStore(OfCallers):
    """Thread-safe. What ends tokens returns what workers must forget; None = nothing."""

    def __init__(self, database: CoreDatabase, sealing: Sealing, clock: Clock | None = None) -> None:
        self._database = database
        self._sealing = sealing
        self._clock = clock or SystemClock()

    # Clients.

    def client(self, id: str) -> Client | None:
        if "\0" in id:  # some databases refuse to search for it
            return None
        with self._database.read() as connection:
            row = connection.execute(sa.select(CLIENTS).where(_C.id == id, self._mine())).one_or_none()
            return None if row is None else _client(row)

    def clients(self, api_id: str, number: int = 0, size: int = 10) -> tuple[list[Client], int]:
        """Return one page of an API's clients, the oldest first, and the number of all. number: from zero, negative = everything."""
        mine = sa.and_(_C.api_id == api_id, self._mine())
        chosen = sa.select(CLIENTS).where(mine).order_by(_C.created_at, _C.id)
        if number >= 0:
            chosen = chosen.limit(size).offset(number * size)
        with self._database.read() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(CLIENTS).where(mine)) or 0
            return [_client(row) for row in connection.execute(chosen)], total

    def create(self, client: Client) -> None:
        """Store a client. Raises ClientTaken."""
        self._caller.check(client.org_id)
        now = self._clock.now()
        row = {"id": client.id, "created_at": now, **_columns(client, now)}

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.insert(CLIENTS).values(row))
            self._caller.tell("client", client.id, None, _told(client))

        try:
            self._database.run(work)
        except IntegrityError:
            raise ClientTaken from None

    def replace(self, client: Client) -> None:
        """Change a client; its tokens stay. Raises ClientMissing."""
        self._caller.check(client.org_id)

        def work(connection: sa.Connection) -> None:
            before = self._locked(connection, client.id)
            connection.execute(sa.update(CLIENTS).where(_C.id == client.id).values(_columns(client, self._clock.now())))
            self._caller.tell("client", client.id, _told(before), _told(client))

        self._database.run(work)

    def delete(self, id: str) -> Ended | None:
        """Delete a client, and end its tokens and codes. Raises ClientMissing."""

        def work(connection: sa.Connection) -> Ended | None:
            before = self._locked(connection, id)
            hashes = _end(connection, [id])
            connection.execute(sa.delete(CLIENTS).where(_C.id == id))
            self._caller.tell("client", id, _told(before), None)
            return _ended(connection, hashes)

        return self._database.run(work)

    # Tokens.

    def add_code(self, code: Code) -> None:
        """Store a code. Raises ClientMissing."""

        def work(connection: sa.Connection) -> None:
            _lock(connection, code.client_id)
            row = {name: getattr(code, name) for name in CODES.c.keys() if name != "used_at"}  # noqa: SIM118  not a mapping
            connection.execute(sa.insert(CODES).values(row))

        self._database.run(work)

    def code(self, hash: str) -> Code | None:
        """Return a code, used or not."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(CODES).where(CODES.c.hash == hash)).one_or_none()
        if row is None:
            return None
        members = row._asdict()
        return Code(used=members.pop("used_at") is not None, **members)

    def refresh_token(self, hash: str) -> RefreshToken | None:
        """Return a refresh token, used or not."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(REFRESH_TOKENS).where(_R.hash == hash)).one_or_none()
        if row is None:
            return None
        members = row._asdict()
        return RefreshToken(used=members.pop("used_at") is not None, **members)

    def give(self, client_id: str, token: NewToken, spends: tuple[Literal["code", "refresh"], str] | None = None) -> Ended | None:
        """Store an access token with all that belongs to it; one that follows another of its log-in ends that one.

        spends: the hash of the code or of the refresh token that it is given for. Raises ClientMissing, Spent, WrongMasterKey.
        """

        def work(connection: sa.Connection) -> Ended | None:
            now = self._clock.now()
            client = _lock(connection, client_id)
            of_family = sa.select(_T.key_id).where(_T.family == token.family)
            if spends is None:
                of_family = of_family.order_by(_T.created_at.desc(), _T.key_id).offset(MOST_OF_FAMILY - 1).limit(_SLICE)
            else:
                table = CODES if spends[0] == "code" else REFRESH_TOKENS
                unused = sa.and_(table.c.hash == spends[1], table.c.client_id == client_id, table.c.used_at.is_(None))
                spent = sa.update(table).where(unused, table.c.expires_at > now).values(used_at=now)
                if not connection.execute(spent).rowcount:
                    raise Spent
            removed = remove_keys(connection, connection.scalars(of_family).all())
            key_id = add_key(connection, token.hash, token.session, now)
            owned = {"client_id": client_id, "family": token.family}
            record = {"key_id": key_id, "api_id": client.api_id, "created_at": now, "expires_at": token.expires_at, **owned}
            connection.execute(sa.insert(TOKENS).values(record))
            if token.refresh_hash:
                following = {
                    "hash": token.refresh_hash,
                    "session": dict(token.refresh_session or {}),
                    "expires_at": token.refresh_expires_at,
                }
                connection.execute(sa.insert(REFRESH_TOKENS).values({**following, **owned}))
            if token.call is not None:
                self._notify(connection, token.call, now)
            number = raise_generation(connection, GENERATION, removed | {token.hash})
            return Ended(number, removed | {token.hash}) if removed else None

        return self._database.run(work)

    def _notify(self, connection: sa.Connection, call: Call, now: dt.datetime) -> None:
        """Put a notification into the outbox; its body is sealed, in a table of its own."""
        sealed = self._sealing.seal(connection, call.body, call.id)
        connection.execute(sa.insert(NOTIFICATIONS).values(delivery_id=call.id, sealed=sealed, created_at=now))
        bare = Call(**{name: getattr(call, name) for name in Call.__slots__} | {"body": ""})
        outbox.put(connection, TABLES, [bare], now.timestamp())

    def notification(self, delivery_id: str) -> str | None:
        """Return the body of a notification; None when it is not kept any more. Raises WrongMasterKey."""
        with self._database.read() as connection:
            sealed = connection.scalar(sa.select(NOTIFICATIONS.c.sealed).where(NOTIFICATIONS.c.delivery_id == delivery_id))
        return None if sealed is None else self._sealing.open(sealed, delivery_id)

    def tokens(self, client_id: str, most: int) -> list[Listed]:
        """Return a client's access tokens that have not ended, those first that end last."""
        chosen = sa.select(_T.key_id, _T.expires_at).where(_T.client_id == client_id, _T.expires_at > self._clock.now())
        with self._database.read() as connection:
            return [Listed(*row) for row in connection.execute(chosen.order_by(_T.expires_at.desc(), _T.key_id).limit(most))]

    # Ends.

    def end_family(self, client_id: str, family: str) -> Ended | None:
        """End all tokens of a log-in. Raises ClientMissing."""

        def work(connection: sa.Connection) -> Ended | None:
            self._tell_ended(self._locked(connection, client_id))
            connection.execute(sa.delete(REFRESH_TOKENS).where(_R.family == family, _R.client_id == client_id))
            ids = connection.scalars(sa.select(_T.key_id).where(_T.family == family, _T.client_id == client_id)).all()
            return _ended(connection, remove_keys(connection, ids))

        return self._database.run(work)

    def end_token(self, client_id: str, key_id: str) -> Ended | None:
        """End one access token. Raises ClientMissing."""

        def work(connection: sa.Connection) -> Ended | None:
            self._tell_ended(self._locked(connection, client_id))
            ids = connection.scalars(sa.select(_T.key_id).where(_T.key_id == key_id, _T.client_id == client_id)).all()
            return _ended(connection, remove_keys(connection, ids))

        return self._database.run(work)

    def end_all(self, client_id: str) -> Ended | None:
        """End all tokens and codes of a client. Raises ClientMissing."""

        def work(connection: sa.Connection) -> Ended | None:
            self._tell_ended(self._locked(connection, client_id))
            return _ended(connection, _end(connection, [client_id]))

        return self._database.run(work)

    def end_api(self, api_id: str) -> Ended | None:
        """End all tokens and codes of an API's clients; the clients stay."""
        locked = sa.select(CLIENTS).where(_C.api_id == api_id, self._mine()).order_by(_C.id).with_for_update()

        def work(connection: sa.Connection) -> Ended | None:
            clients = [_client(row) for row in connection.execute(locked)]
            self._caller.idle()  # unless there is something to end
            for client in clients:
                self._tell_ended(client)
            return _ended(connection, _end(connection, [client.id for client in clients]))

        return self._database.run(work)

    def _mine(self) -> sa.ColumnElement[bool]:
        return self._caller.owns(_C.org_id)

    def _locked(self, connection: sa.Connection, client_id: str) -> Client:
        """As `_lock`, for what the caller sees. Raises ClientMissing."""
        client = _lock(connection, client_id)
        if not self._caller.may_own(client.org_id):
            raise ClientMissing
        return client

    def _tell_ended(self, client: Client) -> None:
        """Note that tokens of a client end; the client stays as it is."""
        self._caller.tell("client", client.id, _told(client), _told(client))

    def sweep(self) -> tuple[Ended | None, bool]:
        """Remove some of what has ended; also tell whether there may be more."""

        def work(connection: sa.Connection) -> tuple[Ended | None, bool]:
            now, full = self._clock.now(), False
            for table, column, before in (
                (CODES, CODES.c.expires_at, now),
                (REFRESH_TOKENS, _R.expires_at, now),
                (NOTIFICATIONS, NOTIFICATIONS.c.created_at, now - NOTIFICATIONS_KEPT),
            ):
                name = next(iter(table.primary_key.columns))
                some = sa.select(name).where(column <= before).limit(_SLICE)
                full |= connection.execute(sa.delete(table).where(name.in_(some))).rowcount >= _SLICE
            ended = sa.select(_T.key_id).where(_T.expires_at <= now - KEPT).order_by(_T.key_id).limit(_SLICE)
            # Those that somebody else removes already are left to him.
            free = sa.select(KEYS.c.id).where(KEYS.c.id.in_(ended)).order_by(KEYS.c.id).with_for_update(skip_locked=True)
            ids = connection.scalars(free).all()
            return _ended(connection, remove_keys(connection, ids)), full or len(ids) >= _SLICE

        return self._database.run(work) if self._anything_ended() else (None, False)

    def _anything_ended(self) -> bool:
        """Look without a lock: SQLite has one writer."""
        now = self._clock.now()
        with self._database.read() as connection:
            looks = (
                sa.select(CODES.c.hash).where(CODES.c.expires_at <= now),
                sa.select(_R.hash).where(_R.expires_at <= now),
                sa.select(NOTIFICATIONS.c.delivery_id).where(NOTIFICATIONS.c.created_at <= now - NOTIFICATIONS_KEPT),
                sa.select(_T.key_id).where(_T.expires_at <= now - KEPT),
            )
            return any(connection.scalar(look.limit(1)) is not None for look in looks)


def _client(row: sa.Row[Any]) -> Client:
    return Client(
        row.id,
        row.api_id,
        row.org_id,
        row.secret_hash,
        tuple(row.redirect_uris),
        row.policy_id,
        row.description,
        row.meta_data,
    )


def _told(client: Client) -> dict[str, Any]:
    """Return a client as the audit keeps it."""
    names = ("id", "api_id", "org_id", "policy_id", "description", "meta_data")
    return {**{name: getattr(client, name) for name in names}, "redirect_uris": list(client.redirect_uris)}


def _columns(client: Client, now: dt.datetime) -> dict[str, Any]:
    return {
        "api_id": client.api_id,
        "org_id": client.org_id,
        "secret_hash": client.secret_hash,
        "redirect_uris": list(client.redirect_uris),
        "policy_id": client.policy_id,
        "description": client.description,
        "meta_data": client.meta_data,
        "updated_at": now,
    }


def _lock(connection: sa.Connection, client_id: str) -> Client:
    """Hold a client until the transaction ends. Raises ClientMissing."""
    row = connection.execute(sa.select(CLIENTS).where(_C.id == client_id).with_for_update()).one_or_none()
    if row is None:
        raise ClientMissing
    return _client(row)


def _end(connection: sa.Connection, client_ids: Sequence[str]) -> frozenset[str]:
    """End all that clients were given; return the hashes of the access tokens."""
    for table in (CODES, REFRESH_TOKENS):
        connection.execute(sa.delete(table).where(table.c.client_id.in_(client_ids)))
    return remove_keys(connection, connection.scalars(sa.select(_T.key_id).where(_T.client_id.in_(client_ids))).all())


def _ended(connection: sa.Connection, hashes: Iterable[str]) -> Ended | None:
    """Log what was removed, as the last statement of the transaction."""
    changed = frozenset(hashes)
    return Ended(raise_generation(connection, GENERATION, changed), changed) if changed else None
