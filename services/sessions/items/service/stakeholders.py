"""Who plays which stakeholder."""

from __future__ import annotations

from dataclasses import replace

from services.sessions import refusals
from services.sessions.access import Seat, Seats
from services.sessions.items.rules import lists
from services.sessions.items.service.turns import Turn, Turns
from services.sessions.models import Item


class Stakeholders:
    """What clients do with stakeholders. A client holds one at most, and one client at most holds it. Thread-safe."""

    def __init__(self, turns: Turns, seats: Seats) -> None:
        self._turns = turns
        self._seats = seats

    def select(self, seat: Seat, wanted: int | None, client_token: str | None) -> int | None:
        """Give a client a stakeholder, and free the one that it had. Returns the id of the one that it has now.

        wanted: None for the first free one. client_token: of the client; None for that of the seat. When another client holds what is
        wanted, a client of 2015 gets nothing (None) and keeps what it had; one of today keeps what it had, or gets the next free one.
        Raises Refusal 400 (or 401, 403, 410), 404.
        """

        def work(turn: Turn) -> int | None:
            me = turn.me()
            known = turn.changes.all(lists.STAKEHOLDERS)
            mine = next((one for one in known if one.holder == me.id), None)
            chosen = _choose(known, mine, wanted, today=seat.today)
            if chosen is None:
                return None
            if chosen is not mine:
                turn.changes.release([me.id])
                chosen.holder = me.id
                turn.changes.change(chosen)
                turn.log("STAKEHOLDER_SELECT", chosen.id, f"{me.full_name or me.user_name} plays {chosen.content['name']}.")
            return chosen.id

        return self._turns.run(self._of(seat, client_token), work)

    def release(self, seat: Seat, stakeholder_id: int) -> bool:
        """Free a stakeholder; a host frees any. Returns whether anybody held it. Raises Refusal 400 (or 403), 404."""

        def work(turn: Turn) -> bool:
            found = turn.stakeholder(stakeholder_id)
            if found.holder is None:
                return False
            found.holder = None
            turn.changes.change(found)
            turn.log("STAKEHOLDER_RELEASE", found.id, f"{found.content['name']} is free.")
            return True

        return self._turns.run(seat, work)

    def release_all(self, seat: Seat, client_token: str | None) -> bool:
        """Free what a client holds; it stays joined. Returns whether it held anything. Raises as `select`."""

        def work(turn: Turn) -> bool:
            held = turn.changes.held([turn.me().id])
            turn.changes.release([turn.me().id])
            for one in held:
                turn.log("SESSION_RELEASE", one.id, f"{one.content['name']} is free.")
            return bool(held)

        return self._turns.run(self._of(seat, client_token), work)

    def rename(self, seat: Seat, stakeholder_id: int, name: str) -> bool:
        """Name a stakeholder: the client's own; a host names any. Raises Refusal 400 (or 403), 404."""

        def work(turn: Turn) -> bool:
            found = turn.stakeholder(stakeholder_id)
            if not turn.holds(found) and not turn.is_host:
                raise refusals.insufficient_rights(f"select stakeholder {stakeholder_id} before you name it")
            before = found.content["name"]
            turn.changes.change(found, {**found.content, "name": name})
            turn.log("STAKEHOLDER_SET_NAME", found.id, f"{before} is called {name} now.")
            return True

        return self._turns.run(seat, work)

    def _of(self, seat: Seat, client_token: str | None) -> Seat:
        return seat if not client_token else replace(seat, client=self._seats.client(seat.session, client_token))


def _choose(known: list[Item], mine: Item | None, wanted: int | None, *, today: bool) -> Item | None:
    """Choose the stakeholder that a client gets. known: all, by id. mine: what it has. Raises Refusal 404."""
    free = [one for one in known if one.holder is None]
    if wanted is None:
        return mine or next(iter(free), None)
    asked = next((one for one in known if one.id == wanted), None)
    if asked is None:
        raise refusals.no_such("stakeholder", wanted)
    if asked is mine or asked.holder is None:
        return asked
    if not today:
        return None
    return mine or next((one for one in free if one.id > wanted), next(iter(free), None))
