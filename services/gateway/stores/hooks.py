"""The operator's webhooks: templates that are copied into a definition's event handlers when it is saved with a reference to them.

The secret that signs a webhook's calls is sealed, in a column of its own, and only the courier gets it: definitions, revisions and the
outbox hold the webhook's id alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from services.common import logging as logs
from services.common.clock import Clock, SystemClock
from services.common.core_database import CoreDatabase, UTCDateTime
from services.common.remembered import Remembered
from services.common.webhooks.signing import CannotSign
from services.gateway.stores.base import metadata
from services.gateway.stores.callers import OfCallers, owner_in
from services.gateway.stores.sealing import Sealing, WrongMasterKey

log = logs.get(__name__)

_SECRET_FOR: Final = 5.0
_MOST_SECRETS: Final = 10_000

# sealed: the secret, "" = calls are not signed. secret: as an earlier version stored it, in clear; "" after `seal_all`.
HOOKS: Final = sa.Table(
    "hooks",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("created_at", UTCDateTime, nullable=False),
    sa.Column("updated_at", UTCDateTime, nullable=False),
)
_SHOWN: Final = sa.select(HOOKS.c.document, sa.or_(HOOKS.c.sealed != "", HOOKS.c.secret != "").label("signed"))


class HookMissing(Exception):
    """There is no such webhook."""


class HookStore(OfCallers):
    """Webhook objects as Tyk shapes them, with their `id`, and with `signed: true` when they have a secret. Thread-safe."""

    def __init__(self, database: CoreDatabase, sealing: Sealing, clock: Clock | None = None) -> None:
        self._database = database
        self._sealing = sealing
        self._clock = clock or SystemClock()

    def page(self, number: int = 0, size: int = 10) -> tuple[list[dict[str, Any]], int]:
        """Return one page, by name, and the number of all. number: from zero, negative = everything."""
        ordered = _SHOWN.where(self._mine()).order_by(HOOKS.c.name, HOOKS.c.id)
        if number >= 0:
            ordered = ordered.limit(size).offset(number * size)
        with self._database.read() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(HOOKS).where(self._mine())) or 0
            return [_shown(row) for row in connection.execute(ordered)], total

    def get(self, id: str) -> dict[str, Any] | None:
        with self._database.read() as connection:
            row = connection.execute(_SHOWN.where(HOOKS.c.id == id, self._mine())).one_or_none()
            return None if row is None else _shown(row)

    def of_others(self, ids: Iterable[str]) -> set[str]:
        """Return those of these webhooks that exist, but not for the caller."""
        if not self._caller.org_id:
            return set()
        with self._database.read() as connection:
            return set(connection.scalars(sa.select(HOOKS.c.id).where(HOOKS.c.id.in_(list(ids)), sa.not_(self._mine()))))

    def secret(self, id: str) -> str:
        """Return what its calls are signed with, "" = nothing, also when there is no such webhook. Raises WrongMasterKey."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(HOOKS.c.sealed, HOOKS.c.secret).where(HOOKS.c.id == id)).one_or_none()
        if row is None:
            return ""
        return self._sealing.open(row.sealed, id) if row.sealed else row.secret

    def create(self, hook: Mapping[str, Any], secret: str = "") -> None:
        """Store a webhook. hook: with its `id`. Raises WrongMasterKey."""
        self._caller.check(hook.get("org_id"))
        now = self._clock.now()
        row = {"id": hook["id"], "name": hook["name"], "document": dict(hook), "created_at": now, "updated_at": now}

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.insert(HOOKS).values({**row, **self._sealed(connection, hook["id"], secret)}))
            self._caller.tell("hook", hook["id"], None, _signed(hook, bool(secret)))

        self._database.run(work)

    def replace(self, id: str, hook: Mapping[str, Any], secret: str | None = None) -> None:
        """Replace a webhook. secret: None = as it is. Raises HookMissing, WrongMasterKey."""
        self._caller.check(hook.get("org_id"))
        values = {"name": hook["name"], "document": {**hook, "id": id}, "updated_at": self._clock.now()}

        def work(connection: sa.Connection) -> None:
            before = self._locked(connection, id)
            sealed = {} if secret is None else self._sealed(connection, id, secret)
            connection.execute(sa.update(HOOKS).where(HOOKS.c.id == id).values({**values, **sealed}))
            is_signed = before.get("signed", False) if secret is None else bool(secret)
            self._caller.tell("hook", id, before, _signed(values["document"], is_signed))

        self._database.run(work)

    def _sealed(self, connection: sa.Connection, id: str, secret: str) -> dict[str, str]:
        return {"secret": "", "sealed": self._sealing.seal(connection, secret, id) if secret else ""}

    def delete(self, id: str) -> None:
        """Delete a webhook. Raises HookMissing."""

        def work(connection: sa.Connection) -> None:
            before = self._locked(connection, id)
            connection.execute(sa.delete(HOOKS).where(HOOKS.c.id == id))
            self._caller.tell("hook", id, before, None)

        self._database.run(work)

    def _mine(self) -> sa.ColumnElement[bool]:
        return self._caller.owns(owner_in(HOOKS.c.document))

    def _locked(self, connection: sa.Connection, id: str) -> dict[str, Any]:
        """Keep a webhook from other writers until the transaction ends. Raises HookMissing."""
        row = connection.execute(_SHOWN.where(HOOKS.c.id == id, self._mine()).with_for_update()).one_or_none()
        if row is None:
            raise HookMissing
        return _shown(row)

    def seal_all(self) -> None:
        """Seal what an earlier version stored in clear. Raises WrongMasterKey, the store's error.

        Safe when several processes do it at once and when one dies in the middle: a row changes from clear to sealed in one statement, and
        only if it still holds what was sealed.
        """
        with self._database.read() as connection:
            clear = connection.execute(sa.select(HOOKS.c.id, HOOKS.c.secret).where(HOOKS.c.secret != "")).all()

        def work(connection: sa.Connection) -> int:
            sealed = 0
            for id, secret in clear:
                values = {"secret": "", "sealed": self._sealing.seal(connection, secret, id, wiped=False)}
                same = sa.and_(HOOKS.c.id == id, HOOKS.c.secret == secret)
                sealed += connection.execute(sa.update(HOOKS).where(same).values(values)).rowcount
            return sealed

        if clear:
            log.info("webhook secrets sealed", count=self._database.run(work))


class SigningSecrets:
    """The secrets that stored webhooks are signed with, remembered for five seconds. Thread-safe."""

    def __init__(self, hooks: HookStore) -> None:
        self._hooks = hooks
        self._known: Remembered[str, tuple[float, str]] = Remembered(_MOST_SECRETS)

    def of(self, hook_id: str) -> str:
        """Return the secret of a webhook, "" = none. Raises CannotSign, the store's error."""
        if not hook_id:
            return ""
        found = self._known.get(hook_id)
        if found is None or found[0] < time.monotonic():
            try:
                secret = self._hooks.secret(hook_id)
            except WrongMasterKey as error:
                raise CannotSign(f"the webhook's secret cannot be opened, give it a new one: {error}") from None
            found = self._known.keep(hook_id, (time.monotonic() + _SECRET_FOR, secret))
        return found[1]


def _shown(row: sa.Row[Any]) -> dict[str, Any]:
    return _signed(row.document, row.signed)


def _signed(hook: Mapping[str, Any], is_signed: bool) -> dict[str, Any]:
    return {**hook, "signed": True} if is_signed else dict(hook)
