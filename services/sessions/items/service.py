"""The lists of a session, as its clients read and change them."""

from __future__ import annotations

from typing import Any

from services.common.database import Database
from services.sessions.access import Seat
from services.sessions.items import store


class Items:
    """What clients do in a session. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, seat: Seat, name: str) -> list[dict[str, Any]]:
        """Return the items of a list, by id."""
        with self._database.read() as transaction:
            return store.items(transaction, seat.session.id, name)
