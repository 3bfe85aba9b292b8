"""The interaction queue: a visitor asks, deposits keywords and follows; the generator takes new ones, says positions, hands in tokens."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from services.common.clock import Clock, isoformat
from services.common.database import Database
from services.common.held import ClientConnection, Waiter
from services.common.refusal import Refusal
from services.common.wakeups import Wakeups
from services.tokens import counters, refusals
from services.tokens.archive import store as archive
from services.tokens.archive.rules import ids
from services.tokens.models import Interaction
from services.tokens.queue import rules, store
from services.tokens.queue.store import State
from services.tokens.settings import Settings

HEARTBEAT_S = 15.0  # a stream that has nothing to say shows that it lives
NEW = "new"  # topic of the generators' feed

C = TypeVar("C", State, Interaction)


def topic(interaction_id: str) -> str:
    """Name the topic that wakes whoever follows this interaction."""
    return f"interaction:{interaction_id}"


class Queue:
    """What visitors and generators do. Thread-safe."""

    def __init__(self, database: Database, waiter: Waiter, wakeups: Wakeups, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._waiter = waiter
        self._wakeups = wakeups
        self._clock = clock
        self._limit = settings.queue_limit
        self._deposit_limit = settings.queue_limit if settings.deposit_limit else None
        self._epoch: int | None = None

    def request(self) -> dict[str, Any]:
        """Create an interaction, unless the queue is full. Raises Refusal 423."""
        now = self._clock.now()

        def work(session: Session) -> Interaction | None:
            turn = counters.advance(session, "requests")  # held to the end: requests are counted one after the other
            if store.length(session) >= self._limit:
                return None  # not raised, which would give the number back: also a refused request takes a colour
            store.remove_some_incomplete(session, now - rules.PURGE_AFTER)
            created = Interaction(id=uuid.uuid4().hex, status="incomplete", color=rules.color(turn), seq=0, requested_at=now)
            store.add(session, created)
            return created

        created = self._database.run(work)
        if created is None:
            raise refusals.queue_limit_reached()
        return {"id": created.id, "color": created.color, "requested_at": isoformat(created.requested_at)}

    def deposit(self, interaction_id: str | None, keywords: str | None) -> None:
        """Put an incomplete interaction into the queue; of two deposits at once one succeeds. Raises Refusal 400, 404, 423."""
        name, words = rules.read_deposit(interaction_id, keywords)
        now = self._clock.now()

        def work(session: Session) -> None:
            seq = counters.advance(session, "changes")
            found = store.get(session, name)
            if found is None:
                raise refusals.not_found()
            if found.status != "incomplete":
                raise refusals.already_deposited()
            if found.requested_at < now - rules.EXPIRY:
                raise refusals.expired()
            if self._deposit_limit is not None and store.length(session) >= self._deposit_limit:
                raise refusals.queue_limit_reached()
            found.status, found.keywords, found.deposited_at, found.seq = "new", words, now, seq

        self._database.run(work)
        self._wakeups.publish([NEW])

    def leave(self, interaction_id: str | None) -> None:
        """Remove an interaction that has no token yet: its place is free, and whoever follows it hears so. Raises Refusal 400, 404, 409."""
        name = rules.read_id(interaction_id)

        def work(session: Session) -> None:
            counters.advance(session, "changes")  # held to the end: nobody moves it meanwhile
            found = store.get(session, name)
            if found is None:
                raise refusals.not_found()
            if found.status == "done":
                raise refusals.already_done()
            store.remove(session, found)

        self._database.run(work)
        self._wakeups.publish([topic(name)])

    def update(self, interaction_id: str | None, queue_position: str | None, token_id: str | None) -> None:
        """Move an interaction to a place in the queue or, with a token, to its end. The same token again changes nothing.

        Raises Refusal 400, 404, 409.
        """
        asked = rules.read_update(interaction_id, queue_position, token_id)
        now = self._clock.now()

        def work(session: Session) -> bool:
            seq = counters.advance(session, "changes")
            found = store.status(session, asked.interaction_id)
            if found is None:
                raise refusals.interaction_not_found()
            if asked.token_id is not None and not archive.exists(session, asked.token_id):
                raise refusals.token_not_found()
            if found.status == "done":
                if asked.token_id != found.token_id:
                    raise refusals.already_done()
                return False
            if asked.token_id is None:
                store.move(session, asked.interaction_id, seq, asked.queue_position)
            else:
                store.finish(session, asked.interaction_id, seq, asked.token_id, now)
            return True

        if self._database.run(work):
            self._wakeups.publish([topic(asked.interaction_id)])

    def pace(self) -> dict[str, Any]:
        """Say how long a turn takes at the moment, in seconds, as far as the last ones tell; and how many those are."""
        now = self._clock.now()
        with self._database.read() as session:
            turns = store.last_turns(session, rules.PACE_OF + 1, now)
        seconds, counted = rules.pace(turns, now)
        return {"seconds_per_turn": seconds, "turns": counted}

    def waiting(self, since: str | None) -> list[dict[str, Any]]:
        """List the interactions that wait for their token, the longest waiting first. Raises Refusal 400."""
        moment = rules.read_date(since)
        with self._database.read() as session:
            return [_deposited(one) for one in store.waiting(session, moment)]

    def next_update(
        self, interaction_id: str | None, since: str | None, timeout: str | None, connection: ClientConnection
    ) -> dict[str, Any] | None:
        """Wait for the interaction's newest state after `since`; None when there was none in time. Raises Refusal 400, 404, 503."""
        name, number = rules.read_id(interaction_id), self._since(since)
        found = self._waiter.poll(topic(name), lambda: self._update_after(name, number), rules.read_timeout(timeout), connection)
        return None if found is None else self._shown_update(name, found)

    def next_new(self, since: str | None, timeout: str | None, connection: ClientConnection) -> dict[str, Any] | None:
        """Wait for the first interaction that became new after `since`; None when there was none in time. Raises Refusal 400, 503."""
        number = self._since(since)
        found = self._waiter.poll(NEW, lambda: self._new_after(number), rules.read_timeout(timeout), connection)
        return None if found is None else self._shown_new(found)

    def updates(self, interaction_id: str | None, since: str | None, connection: ClientConnection) -> Iterator[dict[str, Any] | None]:
        """Follow an interaction: all states after `since`, as they come, to the finished token; None as a sign of life.

        Raises Refusal 400, 404 before the first.
        """
        name, number = rules.read_id(interaction_id), self._since(since)
        self._state(name)
        found = self._follow(topic(name), lambda seen: self._update_after(name, seen), number, connection)
        return _to_the_token(None if state is None else self._shown_update(name, state) for state in found)

    def new_interactions(self, since: str | None, connection: ClientConnection) -> Iterator[dict[str, Any] | None]:
        """Follow all that become new after `since`, without end; None as a sign of life. Raises Refusal 400 before the first."""
        found = self._follow(NEW, self._new_after, self._since(since), connection)
        return (None if one is None else self._shown_new(one) for one in found)

    def _follow(self, about: str, look: Callable[[int], C | None], seen: int, connection: ClientConnection) -> Iterator[C | None]:
        """What `look` finds after the change `seen`, then after that one, and so on; None when nothing came for a while."""
        while not self._waiter.closing and not connection.gone():
            found = self._waiter.wait(about, partial(look, seen), HEARTBEAT_S, connection)
            seen = seen if found is None else found.seq
            yield found

    def _state(self, name: str) -> State:
        with self._database.read() as session:
            state = store.state(session, name)
        if state is None:
            raise refusals.not_found()
        return state

    def _update_after(self, name: str, since: int) -> State | None:
        state = self._state(name)
        return state if state.queue_position is not None and state.seq > since else None

    def _new_after(self, since: int) -> Interaction | None:
        with self._database.read() as session:
            return store.first_new(session, since)

    def _since(self, text: str | None) -> int:
        """The number of the change that a client saw last. Raises Refusal 400."""
        if not text or text == "0":
            return 0
        if text == "now":
            with self._database.read() as session:
                return counters.value(session, "changes")
        return rules.read_seq(text, self._epoch_of_store())

    def _epoch_of_store(self) -> int:
        """The number that names this store in every `seq`; it never changes."""
        if self._epoch is None:
            with self._database.read() as session:
                self._epoch = counters.value(session, "epoch")
        return self._epoch

    def _seq(self, number: int) -> str:
        return rules.write_seq(number, self._epoch_of_store())

    def _shown_update(self, name: str, state: State) -> dict[str, Any]:
        return {
            "id": name,
            "seq": self._seq(state.seq),
            "queue_position": state.queue_position,
            "token_id": None if state.token_id is None else ids.encode(state.token_id),
        }

    def _shown_new(self, found: Interaction) -> dict[str, Any]:
        shown = _deposited(found)
        return {"id": shown.pop("id"), "seq": self._seq(found.seq), **shown}


def _to_the_token(updates: Iterable[dict[str, Any] | None]) -> Iterator[dict[str, Any] | None]:
    """The updates up to the one that has the finished token, or until the visitor has left."""
    try:
        for update in updates:
            yield update
            if update is not None and update["token_id"] is not None:
                return
    except Refusal:  # the answer has begun; its end says as much
        return


def _deposited(one: Interaction) -> dict[str, Any]:
    return {
        "id": one.id,
        "color": one.color,
        "keywords": one.keywords,
        "requested_at": isoformat(one.requested_at),
        "deposited_at": isoformat(one.deposited_at) if one.deposited_at else None,
    }
