"""The deletion of what has expired."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from sqlalchemy.orm import Session

from services.auth.credentials.service.throttle import FAMILIAR_FOR, FORGOTTEN_AFTER
from services.auth.credentials.store import failures, grants, notes
from services.common.database import Database
from services.common.store_guard import LONG_WORK_S


def forget_expired(database: Database, now: dt.datetime) -> None:
    """Delete notes, sign-ins, codes, failures and familiar places that are over, each kind in a transaction of its own."""
    forgetting: list[Callable[[Session], object]] = [
        lambda session: notes.forget_before(session, now),
        lambda session: grants.forget_expired(session, now),
        lambda session: failures.forget_before(session, now - FORGOTTEN_AFTER),
        lambda session: failures.forget_places_before(session, now - FAMILIAR_FOR),
    ]
    for work in forgetting:
        database.run(work, patience_s=LONG_WORK_S)
