"""The audit: super users read it; old lines are deleted."""

from __future__ import annotations

import datetime as dt

from services.auth.audit import store
from services.auth.audit.rules import Filter
from services.auth.models import AuditLine
from services.common.database import Database
from services.common.store_guard import LONG_WORK_S


class Audit:
    """The audit's lines, which the transactions that they tell of write (`store.write`). Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: Filter, page: int, per_page: int) -> tuple[list[AuditLine], int]:
        """Return one page, newest first, and how many lines there are in all."""
        with self._database.read() as session:
            return store.page(session, wanted, page, per_page)

    def forget_before(self, moment: dt.datetime) -> None:
        """Delete older lines."""
        self._database.run(lambda session: store.forget_before(session, moment), patience_s=LONG_WORK_S)
