"""One event of a client in a session: the transaction it changes the session in, and what the client may do there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session as Transaction

from services.common.clock import Clock
from services.common.database import Database
from services.sessions import levels, refusals
from services.sessions.access import Seat, may
from services.sessions.directory import Directory
from services.sessions.items import store
from services.sessions.items.rules import lists
from services.sessions.models import Client, Item, Session
from services.sessions.sessions import store as sessions

R = TypeVar("R")


class Turn:
    """What an event has while it changes a session, whose row is locked. client: None without a client token."""

    def __init__(self, transaction: Transaction, session: Session, seat: Seat, client: Client | None, now: dt.datetime) -> None:
        self.session = session
        self.changes = store.Changes(transaction, session)
        self.client = client
        self._seat = seat
        self._now = now

    @property
    def is_host(self) -> bool:
        """Say whether the client acts for any stakeholder: its user may host sessions."""
        return may(self._seat, levels.HOST_SESSION)

    def me(self) -> Client:
        """Return the client, for what only a joined client does. Raises Refusal 400 (or 403)."""
        if self.client is None:
            raise refusals.insufficient_rights("send the clientToken of a joined client")
        return self.client

    def item(self, name: str, item_id: int, what: str) -> Item:
        """Return an item. what: it is called in the refusal. Raises Refusal 404."""
        found = self.changes.get(name, item_id)
        if found is None:
            raise refusals.no_such(what, item_id)
        return found

    def stakeholder(self, stakeholder_id: int) -> Item:
        """Return a stakeholder that the client may act for: its own, or one that nobody holds; a host acts for any.

        Raises Refusal 400 (or 403), 404.
        """
        found = self.item(lists.STAKEHOLDERS, stakeholder_id, "stakeholder")
        if found.holder is not None and not self.holds(found) and not self.is_host:
            raise refusals.insufficient_rights(f"stakeholder {stakeholder_id} is held by another client; send its clientToken")
        return found

    def holds(self, stakeholder: Item) -> bool:
        """Say whether the client itself holds a stakeholder."""
        return self.client is not None and stakeholder.holder == self.client.id

    def in_play(self) -> None:
        """Refuse what may not be done while the session is paused. Raises Refusal 409."""
        allowed = next((one for one in self.changes.all(lists.SETTINGS) if one.content["name"] == lists.ALLOW_GAME_INTERACTION), None)
        if allowed is not None and allowed.content["value"] is False:
            raise refusals.conflict("The session is paused. It goes on when a host fires SETTINGS_ALLOW_GAME_INTERACTION with true.")

    def log(self, event: str, stakeholder_id: int | None, text: str) -> None:
        """Write what has happened into the list LOGS. text: a sentence."""
        self.changes.log(event, stakeholder_id, self.client.user_name if self.client else "", text, self._now)

    @property
    def now_ms(self) -> int:
        return int(self._now.timestamp() * 1000)


class Turns:
    """Runs the events of clients, one after the other in each session. Thread-safe."""

    def __init__(self, database: Database, directory: Directory, clock: Clock) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock

    def run(self, seat: Seat, work: Callable[[Turn], R]) -> R:
        """Run an event, and wake who follows the session when it has changed something.

        Raises what `work` raises; Refusal 400 (or 404, 410) when the session has ended, or the client was released, meanwhile.
        """
        now = self._clock.now()

        def run(transaction: Transaction) -> tuple[R, bool]:
            session = sessions.lock(transaction, seat.session.id)
            if session is None:
                raise refusals.session_ended()
            client = None if seat.client is None else store.client(transaction, seat.client.id)
            if seat.client is not None and client is None:
                raise refusals.client_released()
            turn = Turn(transaction, session, seat, client, now)
            return work(turn), turn.changes.made

        found, changed = self._database.run(run)
        if changed:
            self._directory.announce(seat.session.id)
        return found
