"""The lists of a session, as its clients read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.common.database import Database
from services.sessions import refusals
from services.sessions.access import Seat
from services.sessions.items import store
from services.sessions.items.rules import density, lists
from services.sessions.items.rules.density import Area
from services.sessions.items.rules.places import Place


class Items:
    """What clients read in a session. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, seat: Seat, name: str) -> list[dict[str, Any]]:
        """Return the items of a list, by id. Raises Refusal 400 (or 404)."""
        with self._database.read() as transaction:
            found = store.items(transaction, seat.session.id, name)
            if not found:
                _of_running(store.versions(transaction, seat.session.id))
        return found

    def one(self, seat: Seat, name: str, item_id: int) -> dict[str, Any]:
        """Return an item. Raises Refusal 404, and 400 (or 404)."""
        with self._database.read() as transaction:
            found = store.items(transaction, seat.session.id, name, item_id)
            if not found:
                _of_running(store.versions(transaction, seat.session.id))
        if not found:
            raise refusals.no_such("item", f"{name}/{item_id}")
        return found[0]

    def size(self, seat: Seat, name: str) -> int:
        """Return how many items a list has. Raises Refusal 400 (or 404)."""
        with self._database.read() as transaction:
            found = store.size(transaction, seat.session.id, name)
            if not found:
                _of_running(store.versions(transaction, seat.session.id))
        return found

    def version(self, seat: Seat, name: str) -> int:
        """Return the version of a list's newest change. Raises Refusal 400 (or 404)."""
        with self._database.read() as transaction:
            return _of_running(store.versions(transaction, seat.session.id))[name]

    def index(self, seat: Seat) -> list[dict[str, Any]]:
        """Return the name, the size and the version of each list. Raises Refusal 400 (or 404)."""
        with self._database.read() as transaction:
            versions = _of_running(store.versions(transaction, seat.session.id))
            sizes = store.sizes(transaction, seat.session.id)
        return [{"name": name, "size": sizes.get(name, 0), "version": versions[name]} for name in lists.ALL]

    def place(self, seat: Seat) -> Place:
        """Return the map of the session."""
        with self._database.read() as transaction:
            return store.place(transaction, seat.session.id)

    def density(self, seat: Seat, areas: Sequence[Area]) -> list[dict[str, Any]]:
        """Return how densely each of these areas is built on, as `density.measure`, whose ValueError it raises."""
        return density.measure(areas, self.all(seat, lists.BUILDINGS))


def _of_running(versions: dict[str, int]) -> dict[str, int]:
    """Return the versions of lists; there are none when the session has ended since its token was checked."""
    if not versions:
        raise refusals.session_ended()
    return versions
