"""Keys and the secrets that open them.

Only the SHA-256 of a secret is stored: it has 128 random bits, so no slow hash is needed. A key is addressed by its public id.
During a rotation two secrets open it, the older one until its end. A session's `hmac_string` must be readable to check a signature: it is
sealed, beside each secret that opens the key, so that a rotation has two of them as well.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from services.common import logging as logs
from services.common.clock import Clock, SystemClock
from services.common.core_database import CoreDatabase, UTCDateTime
from services.gateway.keys.model import Key, Made, Opened
from services.gateway.keys.policies import effective, policy_ids
from services.gateway.stores.base import metadata
from services.gateway.stores.callers import OfCallers
from services.gateway.stores.generations import Changes, current, raise_generation, since
from services.gateway.stores.oauth_tables import TOKENS
from services.gateway.stores.policies import KEY_POLICIES, PolicyStore, check_opens_some
from services.gateway.stores.sealing import Sealing, WrongMasterKey

log = logs.get(__name__)

GENERATION: Final = "keys"
NOTED_FOR: Final = dt.timedelta(minutes=1)
MOST_AT_ONCE: Final = 10_000  # keys of one answer: they are 5 MB, and take a worker some seconds beside its clients' requests

# session: without its `hmac_string`, unless an earlier version wrote it while this one ran, too.
KEYS: Final = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("org_id", sa.Text, nullable=False),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("user_name", sa.Text),
    sa.Column("opens_all", sa.Boolean, nullable=False),  # asked only by an earlier version; policies decide, too
    sa.Column("session", sa.JSON, nullable=False),
    sa.Column("created_at", UTCDateTime, nullable=False),
    sa.Column("updated_at", UTCDateTime, nullable=False),
    sa.Column("last_used_at", UTCDateTime),
    sa.Column("alias_folded", sa.Text),  # for searches without regard to case; NULL = an earlier version wrote it
    *(sa.Index(f"ix_keys_{name}", name, postgresql_using="hash") for name in ("alias", "owner", "org_id")),
    sa.Index("ix_keys_created_at_id", "created_at", "id"),
)
# hmac_sealed: what requests are signed with that name the key by this secret, "" = nothing. hmac_secret: as an earlier version stored it,
# in clear; "" after `seal_all`.
SECRETS: Final = sa.Table(
    "key_secrets",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("key_id", sa.ForeignKey("keys.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("created_at", UTCDateTime, nullable=False),
    sa.Column("ends_at", UTCDateTime),
    sa.Column("hmac_secret", sa.Text, nullable=False, server_default=""),
    sa.Column("hmac_sealed", sa.Text, nullable=False, server_default=""),
)
# Which APIs a key names, for lists of an API's keys; the session decides what it may reach.
RIGHTS: Final = sa.Table(
    "key_rights",
    metadata,
    sa.Column("key_id", sa.ForeignKey("keys.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("api_id", sa.String(128), primary_key=True, index=True),
)
TAGS: Final = sa.Table(
    "key_tags",
    metadata,
    sa.Column("key_id", sa.ForeignKey("keys.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("tag", sa.Text, nullable=False),
    sa.Index("ix_key_tags_tag", "tag", postgresql_using="hash"),
)
_OF_KEYS: Final = (SECRETS, RIGHTS, KEY_POLICIES, TAGS, TOKENS)
_K: Final = KEYS.c
_S: Final = SECRETS.c
_NEWEST: Final = (_K.created_at.desc(), _K.id.desc())


@dataclass(frozen=True, slots=True)
class StoredKey:
    """session: Tyk's session object. hashes: of every secret that opens the key now. user_name: of a basic user, else None.
    effective: the session with what policies make of it, where they were asked for.

    generation: the number of the write that returned this; 0 = it was only read. changed: hashes of all secrets that may open another key
    or none since then, as the log of that write has them.
    """

    id: str
    session: dict[str, Any]
    hashes: tuple[str, ...]
    user_name: str | None
    created_at: dt.datetime
    updated_at: dt.datetime
    last_used_at: dt.datetime | None
    effective: Mapping[str, Any] | None = None
    generation: int = 0
    changed: frozenset[str] = frozenset()

    def key(self, session: Mapping[str, Any], hmac_secret: str | None = None, issued_by: str = "", counted_by: str = "") -> Key:
        """Return what the data plane sees. session: with what policies make of it. issued_by, counted_by: of an access token."""
        return Key.from_session(self.id, self.hashes, session, self.updated_at.timestamp(), hmac_secret, issued_by, counted_by)


@dataclass(frozen=True, slots=True)
class Search:
    """Which keys are meant: those that fulfil all that is given.

    api_id: they may reach this API. part: of the alias, without regard to case. tags: they have all of them. policy: they name it.
    """

    api_id: str | None = None
    alias: str | None = None
    part: str = ""
    owner: str | None = None
    org_id: str | None = None
    policy: str | None = None
    tags: tuple[str, ...] = ()


EVERYTHING: Final = Search()


class SecretTaken(Exception):
    """This secret or user name opens another key already. Nothing was written."""


class TooManyKeys(Exception):
    """More keys are meant than one answer has. keys: how many; most: that it has."""

    def __init__(self, keys: int, most: int) -> None:
        super().__init__(str(keys))
        self.keys, self.most = keys, most


class KeyMissing(Exception):
    """There is no such key. ids: those that do not exist."""

    def __init__(self, *ids: str) -> None:
        super().__init__(", ".join(ids))
        self.ids = ids


def new_id() -> str:
    """Create a public id: 24 hexadecimal digits, independent of the secret."""
    return secrets.token_hex(12)


class KeyStore(OfCallers):
    """Thread-safe. policies: that keys name; None = those of the database. The caller sees the keys of one organisation, or all."""

    def __init__(self, database: CoreDatabase, sealing: Sealing, clock: Clock | None = None, policies: PolicyStore | None = None) -> None:
        self._database = database
        self._policies = policies or PolicyStore(database)
        self._sealing = sealing
        self._clock = clock or SystemClock()

    def by_hash(self, hash: str) -> Opened | None:
        """Return the key that a live secret opens."""
        with self._database.read() as connection:
            of_token = TOKENS.c.api_id.label("issued_by"), TOKENS.c.family
            chosen = sa.select(KEYS, _S.ends_at, _S.hmac_secret, _S.hmac_sealed, *of_token).join(SECRETS, _S.key_id == _K.id)
            chosen = chosen.outerjoin(TOKENS, TOKENS.c.key_id == _K.id).where(_S.hash == hash, self._mine())
            row = connection.execute(chosen).one_or_none()
            now = self._clock.now()
            if row is None or (row.ends_at is not None and row.ends_at <= now):
                return None
            stored = _stored(connection, row, now)
            session = effective(stored.session, self._policies.named_by(connection, policy_ids(stored.session)))
            key = stored.key(session, self._hmac_secret(hash, row), row.issued_by or "", row.family or "")
            return Opened(key, None if row.ends_at is None else row.ends_at.timestamp())

    def made(self, made: Made) -> Opened | None:
        """Return a key that no row has; None when one of its policies does not exist, or is of another organisation."""
        policies = self._policies.named(made.policies)
        if any(policy is None or (policy.get("org_id") or made.org_id) != made.org_id for policy in policies):
            return None
        return Opened(made.key(effective(made.session, policies)), None)

    def _hmac_secret(self, hash: str, row: sa.Row[Any]) -> str | None:
        """Open what requests of a key are signed with; None when there is nothing, or it does not open: the key itself still counts."""
        if not row.hmac_sealed:
            return row.hmac_secret or row.session.get("hmac_string") or None
        try:
            return self._sealing.open(row.hmac_sealed, hash)
        except WrongMasterKey as error:
            log.error("HMAC secret not opened", key_id=row.id, error=str(error))
            return None

    def get(self, id: str) -> StoredKey | None:
        """Return a key by its public id, with its effective session."""
        return self.several([id]).get(id)

    def several(self, ids: Collection[str]) -> dict[str, StoredKey]:
        """Return the keys with these public ids, as far as there are any, by their ids."""
        with self._database.read() as connection:
            return self._several(connection, ids)

    def opened(self, hashes: Collection[str]) -> dict[str, StoredKey]:
        """Return the keys that these live secrets open, by the hashes."""
        with self._database.read() as connection:
            live = sa.or_(_S.ends_at.is_(None), _S.ends_at > self._clock.now())
            chosen = sa.select(_S.hash, _S.key_id).where(live)
            of = {row.hash: row.key_id for part in _parts(hashes) for row in connection.execute(chosen.where(_S.hash.in_(part)))}
            found = self._several(connection, list(of.values()))
            return {hash: found[id] for hash, id in of.items() if id in found}

    def _several(self, connection: sa.Connection, ids: Collection[str]) -> dict[str, StoredKey]:
        chosen = sa.select(KEYS).where(self._mine())
        rows = [row for part in _parts(ids) for row in connection.execute(chosen.where(_K.id.in_(part)))]
        hashes = _live_hashes(connection, [row.id for row in rows], self._clock.now())
        found = self._with_policies(connection, [_stored_with(row, hashes.get(row.id, ())) for row in rows])
        return {stored.id: stored for stored in found}

    def log_in_of(self, id: str) -> str:
        """Return what the limits of an access token are counted by; "" for any other key."""
        with self._database.read() as connection:
            return connection.scalar(sa.select(TOKENS.c.family).where(TOKENS.c.key_id == id)) or ""

    def of_others(self, id: str) -> bool:
        """Whether there is a key with this public id, but not for the caller."""
        if not self._caller.org_id:
            return False
        with self._database.read() as connection:
            return connection.scalar(sa.select(_K.id).where(_K.id == id, sa.not_(self._mine()))) is not None

    def effective(self, session: Mapping[str, Any]) -> dict[str, Any]:
        """Return a session with what its policies make of it."""
        ids = policy_ids(session)
        if not ids:
            return dict(session)
        return effective(session, self._policies.named(ids))

    def can_sign(self, id: str) -> bool:
        """Whether a key has what requests are signed with."""
        with self._database.read() as connection:
            has_one = sa.or_(_S.hmac_sealed != "", _S.hmac_secret != "")
            return connection.execute(sa.select(_S.hash).where(_S.key_id == id, has_one)).first() is not None

    def ids(self, api_id: str | None = None, begins: str = "") -> list[str]:
        """Return the public ids of all keys, or of those that may reach an API, the newest first. begins: how they begin."""
        chosen = sa.select(_K.id).where(self._mine())
        if begins:
            chosen = chosen.where(_K.id.startswith(begins, autoescape=True))
        with self._database.read() as connection:
            if api_id is not None:
                chosen = chosen.where(_may_reach(api_id, self._policies.rights(connection)))
            return list(connection.scalars(chosen.order_by(*_NEWEST)))

    def page(self, search: Search = EVERYTHING, *, number: int = 0, size: int = 10) -> tuple[list[StoredKey], int]:
        """Return one page, the newest first, with effective sessions, and the number of all. number: from zero, negative = everything.

        Raises TooManyKeys for everything, when that is too much.
        """
        with self._database.read() as connection:
            meant = self._meant(connection, search)
            total = connection.scalar(sa.select(sa.func.count()).select_from(KEYS).where(*meant)) or 0
            if number < 0 and total > MOST_AT_ONCE:
                raise TooManyKeys(total, MOST_AT_ONCE)
            ordered = sa.select(KEYS).where(*meant).order_by(*_NEWEST)
            if number >= 0:
                # the rows of one page only: a session is long, and sorting would carry all of them about
                page = sa.select(_K.id).where(*meant).order_by(*_NEWEST).limit(size).offset(number * size)
                ordered = sa.select(KEYS).where(_K.id.in_(list(connection.scalars(page)))).order_by(*_NEWEST)
            rows = connection.execute(ordered).all()
            hashes = _live_hashes(connection, [row.id for row in rows], self._clock.now())
            return self._with_policies(connection, [_stored_with(row, hashes.get(row.id, ())) for row in rows]), total

    def _meant(self, connection: sa.Connection, search: Search) -> list[sa.ColumnElement[bool]]:
        meant = [self._mine()]
        if search.api_id is not None:
            meant.append(_may_reach(search.api_id, self._policies.rights(connection)))
        for column, wanted in ((_K.alias, search.alias), (_K.owner, search.owner), (_K.org_id, search.org_id)):
            if wanted is not None:
                meant.append(column == wanted)
        if search.part:
            folded = sa.func.coalesce(_K.alias_folded, sa.func.lower(_K.alias))
            meant.append(folded.contains(search.part.casefold(), autoescape=True))
        if search.policy is not None:
            meant.append(_K.id.in_(sa.select(KEY_POLICIES.c.key_id).where(KEY_POLICIES.c.policy_id == search.policy)))
        meant += [_K.id.in_(sa.select(TAGS.c.key_id).where(TAGS.c.tag == tag)) for tag in search.tags]
        return meant

    def _with_policies(self, connection: sa.Connection, found: list[StoredKey]) -> list[StoredKey]:
        """Return keys with their effective sessions. Each policy is read once."""
        named = list({id: None for stored in found for id in policy_ids(stored.session)})
        policies = dict(zip(named, self._policies.named_by(connection, named), strict=True))
        return [
            replace(stored, effective=effective(stored.session, [policies[id] for id in policy_ids(stored.session)])) for stored in found
        ]

    def create(
        self,
        hash: str,
        session_object: Mapping[str, Any],
        *,
        other_hashes: Iterable[str] = (),
        id: str | None = None,
        user_name: str | None = None,
    ) -> StoredKey:
        """Store a key. other_hashes: of further secrets that open it. Raises SecretTaken, WrongMasterKey, OpensEverything."""
        self._caller.check(session_object.get("org_id"))
        secrets_of_key = [hash, *other_hashes]

        def work(connection: sa.Connection) -> StoredKey:
            now = self._clock.now()
            self._check_opens_some(connection, session_object)
            own = id or new_id()
            connection.execute(sa.insert(KEYS).values(id=own, user_name=user_name, created_at=now, **_columns(session_object, now)))
            signing = str(session_object.get("hmac_string") or "")
            rows = [
                {"hash": one, "key_id": own, "created_at": now, "ends_at": None, **self._sealed(connection, one, signing)}
                for one in secrets_of_key
            ]
            connection.execute(sa.insert(SECRETS), rows)
            _write_rights(connection, own, session_object)
            self._caller.tell("key", own, None, _told(session_object))
            return _written(connection, own, now)

        try:
            return self._database.run(work)
        except IntegrityError as error:
            if "key_secrets" in str(error.orig):
                raise SecretTaken from None
            raise

    def replace(self, id: str, session_object: Mapping[str, Any]) -> StoredKey:
        """Replace the session wholly. The secrets stay; so does a password unless there is another one, and what signatures are made with
        unless there is another one, or signatures are switched off. Raises KeyMissing, WrongMasterKey, OpensEverything.
        """
        self._caller.check(session_object.get("org_id"))
        return self._change(id, lambda before: session_object)

    def replace_meta(self, id: str, meta: Mapping[str, Any]) -> StoredKey:
        """Replace the `meta_data` of a session, and nothing that others change meanwhile. Raises as `replace`."""
        return self._change(id, lambda before: {**before, "meta_data": meta})

    def _change(self, id: str, changed: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> StoredKey:
        def work(connection: sa.Connection) -> StoredKey:
            now = self._clock.now()
            before = self._existing(connection, id).session
            session_object = changed(before)
            self._check_opens_some(connection, session_object)
            connection.execute(sa.update(KEYS).where(_K.id == id).values(_columns(_with_password(session_object, before), now)))
            signs = effective(session_object, self._policies.named_by(connection, policy_ids(session_object))).get("hmac_enabled")
            signing = str(session_object.get("hmac_string") or "")
            if signs and not signing:
                signing = str(before.get("hmac_string") or "")  # an earlier version wrote it there
            if signing or not signs:
                for hash in _all_hashes(connection, id):
                    connection.execute(sa.update(SECRETS).where(_S.hash == hash).values(self._sealed(connection, hash, signing)))
            for table in (RIGHTS, KEY_POLICIES, TAGS):
                connection.execute(sa.delete(table).where(table.c.key_id == id))
            _write_rights(connection, id, session_object)
            self._caller.tell("key", id, _told(before), _told(session_object))
            return _written(connection, id, now)

        return self._database.run(work)

    def delete(self, id: str) -> StoredKey:
        """Delete a key; return it, with the hashes that opened it. Raises KeyMissing."""
        [gone] = self.delete_all([id])
        return gone

    def delete_all(self, ids: Iterable[str]) -> list[StoredKey]:
        """Delete keys and return them with their effective sessions: all, or none if one of them does not exist.

        Raises KeyMissing with those that do not.
        """
        chosen = sorted(set(ids))  # writers that lock rows in the same order cannot deadlock

        def work(connection: sa.Connection) -> list[StoredKey]:
            locked = sa.select(KEYS).where(self._mine()).order_by(_K.id).with_for_update()
            rows = {row.id: row for part in _parts(chosen) for row in connection.execute(locked.where(_K.id.in_(part)))}
            if len(rows) < len(chosen):
                raise KeyMissing(*(id for id in chosen if id not in rows))
            live = _live_hashes(connection, chosen, self._clock.now())
            changed: dict[str, set[str]] = {id: set() for id in chosen}
            for part in _parts(chosen):
                for secret in connection.execute(sa.select(_S.key_id, _S.hash).where(_S.key_id.in_(part))):
                    changed[secret.key_id].add(secret.hash)
            generation = raise_generation(connection, GENERATION, remove_keys(connection, chosen))
            found = self._with_policies(connection, [_stored_with(rows[id], live.get(id, ())) for id in chosen])
            for stored in found:
                self._caller.tell("key", stored.id, _told(stored.session), None)
            return [replace(stored, generation=generation, changed=frozenset(changed[stored.id])) for stored in found]

        return self._database.run(work)

    def rotate(self, id: str, hash: str, overlap: float, signing: str = "") -> StoredKey:
        """Give a key another secret. The one before still opens it for `overlap` seconds, older ones do not.

        signing: what requests are signed with that name the new secret. Raises KeyMissing, SecretTaken, WrongMasterKey.
        """

        def work(connection: sa.Connection) -> StoredKey:
            now = self._clock.now()
            session = self._existing(connection, id).session
            before = _all_hashes(connection, id)
            ending = _S.key_id == id if overlap <= 0 else sa.and_(_S.key_id == id, _S.ends_at.is_not(None))
            connection.execute(sa.delete(SECRETS).where(ending))
            connection.execute(sa.update(SECRETS).where(_S.key_id == id).values(ends_at=now + dt.timedelta(seconds=overlap)))
            sealed = self._sealed(connection, hash, signing)
            connection.execute(sa.insert(SECRETS).values(hash=hash, key_id=id, created_at=now, ends_at=None, **sealed))
            connection.execute(sa.update(KEYS).where(_K.id == id).values(updated_at=now))
            self._caller.tell("key", id, _told(session), _told(session))
            return _written(connection, id, now, before)

        try:
            return self._database.run(work)
        except IntegrityError:
            raise SecretTaken from None

    def _mine(self) -> sa.ColumnElement[bool]:
        return self._caller.owns(_K.org_id)

    def _check_opens_some(self, connection: sa.Connection, session_object: Mapping[str, Any]) -> None:
        """Check that a key which an organisation writes opens certain APIs only. Raises OpensEverything."""
        if self._caller.org_id:
            check_opens_some(connection, self._policies, session_object)

    def _existing(self, connection: sa.Connection, id: str) -> sa.Row[Any]:
        """As `_existing` below, for what the caller sees. Raises KeyMissing."""
        row = _existing(connection, id)
        if not self._caller.may_own(row.org_id):
            raise KeyMissing(id)
        return row

    def _sealed(self, connection: sa.Connection, hash: str, signing: str) -> dict[str, str]:
        return {"hmac_secret": "", "hmac_sealed": self._sealing.seal(connection, signing, hash) if signing else ""}

    def seal_all(self) -> None:
        """Seal what an earlier version stored in clear. Raises WrongMasterKey, the store's error.

        As that of the webhooks' store: safe when several processes do it at once and when one dies in the middle.
        """
        with self._database.read() as connection:
            clear = connection.execute(sa.select(_S.hash, _S.hmac_secret).where(_S.hmac_secret != "")).all()

        def work(connection: sa.Connection) -> int:
            sealed = 0
            for hash, secret in clear:
                values = {"hmac_secret": "", "hmac_sealed": self._sealing.seal(connection, secret, hash, wiped=False)}
                same = sa.and_(_S.hash == hash, _S.hmac_secret == secret)
                sealed += connection.execute(sa.update(SECRETS).where(same).values(values)).rowcount
            return sealed

        if clear:
            log.info("HMAC secrets sealed", count=self._database.run(work))

    def mark_used(self, ids: Iterable[str], when: dt.datetime) -> None:
        """Note that keys were used lately; what was noted in the last minute stays, so that many workers write a row once.

        Not a change that workers must hear of.
        """
        chosen = sorted(ids)  # writers that lock rows in the same order cannot deadlock
        stale = sa.or_(_K.last_used_at.is_(None), _K.last_used_at < when - NOTED_FOR)

        def work(connection: sa.Connection) -> None:
            for part in _parts(chosen):
                connection.execute(sa.update(KEYS).where(_K.id.in_(part), stale).values(last_used_at=when))

        if chosen:
            self._database.run(work)

    def generation(self) -> int:
        """Return the generation, which rises with every write of a key."""
        return current(self._database, GENERATION)

    def changes(self, seen: int) -> Changes:
        """Return the hashes whose keys changed after a generation."""
        with self._database.read() as connection:
            return since(connection, GENERATION, seen)


def add_key(connection: sa.Connection, hash: str, session_object: Mapping[str, Any], now: dt.datetime) -> str:
    """Store a key of one secret, without one for signatures, in a transaction of the caller's; return its id.

    The caller raises the generation.
    """
    id = new_id()
    connection.execute(sa.insert(KEYS).values(id=id, user_name=None, created_at=now, **_columns(session_object, now)))
    connection.execute(sa.insert(SECRETS).values(hash=hash, key_id=id, created_at=now, ends_at=None, hmac_secret="", hmac_sealed=""))
    _write_rights(connection, id, session_object)
    return id


def remove_keys(connection: sa.Connection, ids: Iterable[str]) -> frozenset[str]:
    """Delete keys in a transaction of the caller's, and return the hashes that opened them; those that are gone already do not matter.

    The caller raises the generation.
    """
    hashes: set[str] = set()
    for part in _parts(sorted(set(ids))):  # writers that lock rows in the same order cannot deadlock
        connection.execute(sa.select(_K.id).where(_K.id.in_(part)).order_by(_K.id).with_for_update()).all()
        hashes |= set(connection.scalars(sa.select(_S.hash).where(_S.key_id.in_(part))))
        for table in _OF_KEYS:
            connection.execute(sa.delete(table).where(table.c.key_id.in_(part)))
        connection.execute(sa.delete(KEYS).where(_K.id.in_(part)))
    return frozenset(hashes)


def _written(connection: sa.Connection, id: str, now: dt.datetime, before: Iterable[str] = ()) -> StoredKey:
    """Return a key at the end of a write, and raise the generation. before: hashes that may not open it any more."""
    stored = _stored(connection, _existing(connection, id), now)
    changed = _all_hashes(connection, id).union(before)
    return replace(stored, generation=raise_generation(connection, GENERATION, changed), changed=changed)


def _all_hashes(connection: sa.Connection, id: str) -> frozenset[str]:
    """Return all hashes, also of ended secrets: a worker whose clock is behind may still accept them."""
    return frozenset(connection.scalars(sa.select(_S.hash).where(_S.key_id == id)))


def _may_reach(api_id: str, rights: Mapping[str, Collection[str]]) -> sa.ColumnElement[bool]:
    """rights: the APIs of each policy that gives rights. A key that has them neither from a policy nor itself opens every API."""
    named = sa.select(RIGHTS.c.key_id)
    by_policy = sa.select(KEY_POLICIES.c.key_id)
    granting = [id for id, api_ids in rights.items() if api_id in api_ids]
    opens_all = sa.and_(_K.id.not_in(named), _K.id.not_in(by_policy.where(KEY_POLICIES.c.policy_id.in_(list(rights)))))
    return sa.or_(
        _K.id.in_(named.where(RIGHTS.c.api_id == api_id)), _K.id.in_(by_policy.where(KEY_POLICIES.c.policy_id.in_(granting))), opens_all
    )


def _existing(connection: sa.Connection, id: str) -> sa.Row[Any]:
    row = connection.execute(sa.select(KEYS).where(_K.id == id).with_for_update()).one_or_none()
    if row is None:
        raise KeyMissing(id)
    return row


def _with_password(session_object: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a session with the password of the one before, unless it has one."""
    if not _has_password(before) or _has_password(session_object):
        return session_object
    return {**session_object, "basic_auth_data": before["basic_auth_data"]}


def _has_password(session_object: Mapping[str, Any]) -> bool:
    return bool((session_object.get("basic_auth_data") or {}).get("password"))


def _told(session_object: Mapping[str, Any]) -> dict[str, Any]:
    """Return a session as the audit keeps it: as answers show it, without what opens or signs."""
    return {name: value for name, value in session_object.items() if name not in ("hmac_string", "basic_auth_data")}


def _columns(session_object: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
    return {
        "session": {name: value for name, value in session_object.items() if name != "hmac_string"},
        "org_id": str(session_object.get("org_id") or ""),
        "alias": str(session_object.get("alias") or ""),
        "alias_folded": str(session_object.get("alias") or "").casefold(),
        "owner": str(session_object.get("owner") or ""),
        "opens_all": not session_object.get("access_rights") and not policy_ids(session_object),
        "updated_at": now,
    }


def _write_rights(connection: sa.Connection, id: str, session_object: Mapping[str, Any]) -> None:
    rows = [{"key_id": id, "api_id": api_id} for api_id in session_object.get("access_rights") or ()]
    if rows:
        connection.execute(sa.insert(RIGHTS), rows)
    named = [{"key_id": id, "policy_id": policy_id} for policy_id in policy_ids(session_object)]
    if named:
        connection.execute(sa.insert(KEY_POLICIES), named)
    tags = [{"key_id": id, "tag": tag} for tag in dict.fromkeys(session_object.get("tags") or ())]
    if tags:
        connection.execute(sa.insert(TAGS), tags)


def _parts(names: Collection[str]) -> Iterator[list[str]]:
    """Cut names into parts that a statement can hold; each name once, in their order."""
    unique = list(dict.fromkeys(names))
    for start in range(0, len(unique), 500):
        yield unique[start : start + 500]


def _live_hashes(connection: sa.Connection, ids: list[str], now: dt.datetime) -> dict[str, tuple[str, ...]]:
    live = sa.or_(_S.ends_at.is_(None), _S.ends_at > now)
    found: dict[str, tuple[str, ...]] = {}
    for part in _parts(ids):
        chosen = sa.select(_S.key_id, _S.hash).where(_S.key_id.in_(part), live)
        for secret in connection.execute(chosen.order_by(_S.created_at)):
            found[secret.key_id] = (*found.get(secret.key_id, ()), secret.hash)
    return found


def _stored(connection: sa.Connection, row: sa.Row[Any], now: dt.datetime) -> StoredKey:
    return _stored_with(row, _live_hashes(connection, [row.id], now).get(row.id, ()))


def _stored_with(row: sa.Row[Any], hashes: tuple[str, ...]) -> StoredKey:
    return StoredKey(row.id, row.session, hashes, row.user_name, row.created_at, row.updated_at, row.last_used_at)
