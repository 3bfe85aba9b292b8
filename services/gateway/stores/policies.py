"""Policies, and which keys name them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import sqlalchemy as sa

from services.common.clock import Clock, SystemClock
from services.common.core_database import CoreDatabase, UTCDateTime
from services.common.upsert import insert
from services.gateway.definitions.sources import FileMistakes
from services.gateway.keys.changes import EVERY
from services.gateway.keys.policies import effective, gives_rights, policy_ids
from services.gateway.stores.base import metadata
from services.gateway.stores.callers import OfCallers
from services.gateway.stores.generations import raise_generation, since
from services.gateway.stores.oauth_tables import CLIENTS

# That of the keys: a policy changes what they may do.
_GENERATION: Final = "keys"
# Its log says which policies the database had once: of those that a file seeded, and of those that were deleted.
_HAD: Final = "policies"
_AT_ONCE: Final = 500  # parameters of a statement

POLICIES: Final = sa.Table(
    "policies",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("org_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("created_at", UTCDateTime, nullable=False),
    sa.Column("updated_at", UTCDateTime, nullable=False),
)
KEY_POLICIES: Final = sa.Table(
    "key_policies",
    metadata,
    sa.Column("key_id", sa.ForeignKey("keys.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("policy_id", sa.String(128), primary_key=True, index=True),
)
_P: Final = POLICIES.c
# As much of the table of keys as is asked here; `stores/keys.py` describes it.
_KEYS: Final = sa.table("keys", sa.column("id"), sa.column("org_id"), sa.column("session", sa.JSON))


class PolicyMissing(Exception):
    """There is no such policy."""


class PolicyTaken(Exception):
    """There is a policy with this id."""


class PolicyInUse(Exception):
    """Keys name the policy. keys: how many."""

    def __init__(self, keys: int) -> None:
        super().__init__(str(keys))
        self.keys = keys


class PolicyOfOthers(Exception):
    """Keys or OAuth2 clients of another organisation than the policy's name it. Nothing was written."""


class OpensEverything(Exception):
    """A key of an organisation would have no rights to certain APIs, and so open those of all organisations. Nothing was written."""


class PolicyStore(OfCallers):
    """Policies as Tyk shapes them, with their `id`. Thread-safe. A write changes all keys: it returns the generation of keys.

    source: whether they can be written. mistakes: of the file that they come from.
    """

    source: Literal["database", "files"] = "database"
    mistakes: list[FileMistakes] = []  # noqa: RUF012 - a database has none, ever

    def __init__(self, database: CoreDatabase, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    def page(self, number: int = 0, size: int = 10) -> tuple[list[dict[str, Any]], int]:
        """Return one page, by name, and the number of all. number: from zero, negative = everything."""
        ordered = sa.select(_P.document).where(self._mine()).order_by(_P.name, _P.id)
        if number >= 0:
            ordered = ordered.limit(size).offset(number * size)
        with self._database.read() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(POLICIES).where(self._mine())) or 0
            return list(connection.scalars(ordered)), total

    def get(self, id: str) -> dict[str, Any] | None:
        with self._database.read() as connection:
            return connection.scalar(sa.select(_P.document).where(_P.id == id, self._mine()))

    def owners(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the organisations of those policies that exist."""
        with self._database.read() as connection:
            chosen = sa.select(_P.id, _P.org_id).where(_P.id.in_(list(ids)), self._mine())
            return {row.id: row.org_id for row in connection.execute(chosen)}

    def reload(self) -> bool:
        """Read them again, where they come from a file; return whether any of them is another one now."""
        return False

    def named(self, ids: Iterable[str]) -> list[Mapping[str, Any] | None]:
        """Return policies in the order of their ids; None for one that does not exist."""
        with self._database.read() as connection:
            return self.named_by(connection, ids)

    def named_by(self, connection: sa.Connection, ids: Iterable[str]) -> list[Mapping[str, Any] | None]:
        """As `named`, in a transaction of the caller's."""
        listed = list(ids)
        if not listed:
            return []
        found: dict[str, Mapping[str, Any]] = {}
        for start in range(0, len(listed), _AT_ONCE):
            rows = connection.execute(sa.select(_P.id, _P.document).where(_P.id.in_(listed[start : start + _AT_ONCE])))
            found |= {row.id: row.document for row in rows}
        return [found.get(id) for id in listed]

    def rights(self, connection: sa.Connection) -> dict[str, frozenset[str]]:
        """Return the APIs that policies give rights to, by policy, without those that give none."""
        rows = connection.execute(sa.select(_P.id, _P.document))
        return {row.id: frozenset(row.document["access_rights"]) for row in rows if gives_rights(row.document)}

    def never_had(self, ids: Iterable[str]) -> set[str]:
        """Return those that the database neither has nor had."""
        listed = set(ids)
        if not listed:
            return set()
        with self._database.read() as connection:
            had = since(connection, _HAD, 0).items()
            there = set(connection.scalars(sa.select(_P.id).where(_P.id.in_(list(listed)))))
        return {id for id in listed - there if _mark(id) not in had}

    def seed(self, policies: Iterable[Mapping[str, Any]]) -> None:
        """Store policies, except those that there are."""
        listed = sorted(policies, key=lambda policy: str(policy["id"]))  # writers in the same order cannot deadlock

        def work(connection: sa.Connection) -> None:
            now, marks = self._clock.now(), []
            for policy in listed:
                first = insert(connection.dialect.name, POLICIES).values(
                    id=policy["id"], created_at=now, **_columns(policy), updated_at=now
                )
                if connection.execute(first.on_conflict_do_nothing().returning(_P.id)).first() is not None:
                    marks.append(_mark(policy["id"]))
            if marks:
                raise_generation(connection, _HAD, marks)
                raise_generation(connection, _GENERATION, [EVERY])

        if listed:
            self._database.run(work)

    def create(self, policy: Mapping[str, Any]) -> int:
        """Store a policy. Raises PolicyTaken, PolicyOfOthers, OpensEverything."""
        self._caller.check(policy.get("org_id"))

        def work(connection: sa.Connection) -> int:
            now = self._clock.now()
            first = insert(connection.dialect.name, POLICIES).values(id=policy["id"], created_at=now, **_columns(policy), updated_at=now)
            if connection.execute(first.on_conflict_do_nothing().returning(_P.id)).first() is None:
                raise PolicyTaken
            _check_owner(connection, policy)
            self._check_keys(connection, policy)
            self._caller.tell("policy", policy["id"], None, policy)
            return raise_generation(connection, _GENERATION, [EVERY])

        return self._database.run(work)

    def replace(self, policy: Mapping[str, Any]) -> int:
        """Replace a policy. Raises PolicyMissing, PolicyOfOthers, OpensEverything."""
        self._caller.check(policy.get("org_id"))

        def work(connection: sa.Connection) -> int:
            before = self._locked(connection, policy["id"])
            changed = sa.update(POLICIES).where(_P.id == policy["id"]).values(**_columns(policy), updated_at=self._clock.now())
            connection.execute(changed)
            if policy.get("org_id") != before.get("org_id"):
                _check_owner(connection, policy)
            self._check_keys(connection, policy)
            self._caller.tell("policy", policy["id"], before, policy)
            return raise_generation(connection, _GENERATION, [EVERY])

        return self._database.run(work)

    def delete(self, id: str, *, used: bool = False) -> int:
        """Delete a policy. used: also when keys name it, which it switches off. Raises PolicyMissing, PolicyInUse."""

        def work(connection: sa.Connection) -> int:
            before = self._locked(connection, id)
            keys = connection.scalar(sa.select(sa.func.count()).select_from(KEY_POLICIES).where(KEY_POLICIES.c.policy_id == id)) or 0
            if keys and not used:
                raise PolicyInUse(keys)
            connection.execute(sa.delete(POLICIES).where(_P.id == id))
            raise_generation(connection, _HAD, [_mark(id)])
            self._caller.tell("policy", id, before, None)
            return raise_generation(connection, _GENERATION, [EVERY])

        return self._database.run(work)

    def _check_keys(self, connection: sa.Connection, policy: Mapping[str, Any]) -> None:
        """Check that an organisation's policy leaves no key that names it without rights. Raises OpensEverything."""
        if self._caller.org_id and not gives_rights(policy):
            named = sa.select(_KEYS.c.session).join(KEY_POLICIES, KEY_POLICIES.c.key_id == _KEYS.c.id)
            for session in connection.scalars(named.where(KEY_POLICIES.c.policy_id == policy["id"])).all():
                check_opens_some(connection, self, session)

    def _mine(self) -> sa.ColumnElement[bool]:
        return self._caller.owns(_P.org_id)

    def _locked(self, connection: sa.Connection, id: str) -> dict[str, Any]:
        """Keep a policy from other writers until the transaction ends. Raises PolicyMissing."""
        before: dict[str, Any] | None = connection.scalar(sa.select(_P.document).where(_P.id == id, self._mine()).with_for_update())
        if before is None:
            raise PolicyMissing
        return before


def _check_owner(connection: sa.Connection, policy: Mapping[str, Any]) -> None:
    """Check that all that name a policy are of its organisation. They may do so before it is there again. Raises PolicyOfOthers."""
    org_id = str(policy.get("org_id") or "")
    if not org_id:
        return
    keys = sa.select(_KEYS.c.id).join(KEY_POLICIES, KEY_POLICIES.c.key_id == _KEYS.c.id)
    keys = keys.where(KEY_POLICIES.c.policy_id == policy["id"], _KEYS.c.org_id != org_id)
    clients = sa.select(CLIENTS.c.id).where(CLIENTS.c.policy_id == policy["id"], CLIENTS.c.org_id != org_id)
    if any(connection.scalar(naming.limit(1)) is not None for naming in (keys, clients)):
        raise PolicyOfOthers


def check_opens_some(connection: sa.Connection, policies: PolicyStore, session: Mapping[str, Any]) -> None:
    """Check that a key has rights to certain APIs. Its policies stay as they are until the transaction ends. Raises OpensEverything."""
    ids = policy_ids(session)
    if ids:
        connection.execute(sa.select(_P.id).where(_P.id.in_(ids)).order_by(_P.id).with_for_update(read=True)).all()
    if not effective(session, policies.named_by(connection, ids)).get("access_rights"):
        raise OpensEverything


def by_name(policy: Mapping[str, Any]) -> tuple[str, str]:
    """Return what policies are listed by."""
    return str(policy.get("name") or ""), str(policy["id"])


def _mark(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()  # an id is longer than the log has room for


def _columns(policy: Mapping[str, Any]) -> dict[str, Any]:
    return {"org_id": str(policy.get("org_id") or ""), "name": str(policy.get("name") or ""), "document": dict(policy)}
