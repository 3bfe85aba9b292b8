"""The operator's webhooks: templates that are copied into a definition's event handlers when it is saved with a reference to them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from services.common.clock import Clock, SystemClock
from services.common.database import Database
from services.gateway.stores.base import Base

_SECRET_FOR: Final = 5.0
_MOST_SECRETS: Final = 10_000


class HookRow(Base):
    __tablename__ = "hooks"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text)
    document: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class HookMissing(Exception):
    """There is no such webhook."""


class HookStore:
    """Webhook objects as Tyk shapes them, with their `id`. Thread-safe."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()

    def page(self, number: int = 0, size: int = 10) -> tuple[list[dict[str, Any]], int]:
        """One page by name, and the number of all. number: from zero, negative = everything."""
        ordered = sa.select(HookRow).order_by(HookRow.name, HookRow.id)
        if number >= 0:
            ordered = ordered.limit(size).offset(number * size)
        with self._database.read() as session:
            total = session.scalar(sa.select(sa.func.count()).select_from(HookRow)) or 0
            return [dict(row.document) for row in session.scalars(ordered)], total

    def get(self, id: str) -> dict[str, Any] | None:
        with self._database.read() as session:
            row = session.get(HookRow, id)
            return None if row is None else dict(row.document)

    def create(self, hook: Mapping[str, Any]) -> None:
        """hook: with its `id`."""

        def work(session: Session) -> None:
            now = self._clock.now()
            session.add(HookRow(id=hook["id"], name=hook["name"], document=dict(hook), created_at=now, updated_at=now))

        self._database.run(work)

    def replace(self, id: str, hook: Mapping[str, Any]) -> None:
        """Raises HookMissing."""

        def work(session: Session) -> None:
            row = session.get(HookRow, id, with_for_update=True)
            if row is None:
                raise HookMissing
            row.name = hook["name"]
            row.document = {**hook, "id": id}
            row.updated_at = self._clock.now()

        self._database.run(work)

    def delete(self, id: str) -> None:
        """Raises HookMissing."""

        def work(session: Session) -> None:
            row = session.get(HookRow, id)
            if row is None:
                raise HookMissing
            session.delete(row)

        self._database.run(work)


class SigningSecrets:
    """The secrets that stored webhooks are signed with, remembered for five seconds. Thread-safe."""

    def __init__(self, hooks: HookStore) -> None:
        self._hooks = hooks
        self._known: dict[str, tuple[float, str]] = {}

    def of(self, hook_id: str) -> str:
        """ "" = none. Raises the store's error."""
        if not hook_id:
            return ""
        found = self._known.get(hook_id)
        if found is None or found[0] < time.monotonic():
            if len(self._known) >= _MOST_SECRETS:
                self._known.clear()
            hook = self._hooks.get(hook_id) or {}
            found = self._known[hook_id] = (time.monotonic() + _SECRET_FOR, str(hook.get("secret") or ""))
        return found[1]
