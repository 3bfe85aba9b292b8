"""The interaction queue: a visitor asks, deposits keywords and follows; the generator takes new ones, says positions, hands in tokens."""

from __future__ import annotations

import datetime as dt
import email.utils
import itertools
import re
import statistics
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from services.common.clock import Clock, isoformat
from services.common.refusal import Refusal
from services.common.wakeups import Wakeups
from services.tokens import refusals
from services.tokens.archive.rules import ids
from services.tokens.models import Interaction
from services.tokens.queue.polls import ClientConnection, Waiter
from services.tokens.queue.store import Outcome, QueueStore, Served, State
from services.tokens.settings import Settings

EXPIRY = dt.timedelta(seconds=1800)
PURGE_AFTER = dt.timedelta(days=1)
LONGEST_POLL_MS = 60_000
KEYWORD_LIMIT = 64  # characters
PACE_OF = 10  # turns that say how fast the queue is
PACE_FROM = 3  # fewer say nothing
PACE_AGE = dt.timedelta(hours=12)
HEARTBEAT_S = 15.0  # a stream that has nothing to say shows that it lives
NEW = "new"  # topic of the generators' feed

_POSITION = re.compile(r"[0-9]{1,9}\Z").match
_ID = re.compile(r"[0-9a-f]{32}\Z").match
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?\Z").match


C = TypeVar("C", State, Interaction)


def topic(interaction_id: str) -> str:
    return f"interaction:{interaction_id}"


class Queue:
    """What visitors and generators do."""

    def __init__(self, store: QueueStore, waiter: Waiter, wakeups: Wakeups, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._waiter = waiter
        self._wakeups = wakeups
        self._clock = clock
        self._limit = settings.queue_limit
        self._deposit_limit = settings.queue_limit if settings.deposit_limit else None

    def request(self) -> dict[str, Any]:
        """A new interaction. Raises Refusal 423."""
        now = self._clock.now()
        made = self._store.request(now, self._limit, now - PURGE_AFTER)
        if made is None:
            raise refusals.queue_limit_reached()
        return {"id": made.id, "color": made.color, "requested_at": isoformat(made.requested_at)}

    def deposit(self, interaction_id: str | None, keywords: str | None) -> None:
        """Raises Refusal."""
        if not interaction_id:
            raise refusals.id_missing()
        if not keywords:
            raise refusals.keywords_missing()
        words = read_keywords(keywords)
        name = _name(interaction_id)
        now = self._clock.now()
        outcome = self._store.deposit(name, words, now, now - EXPIRY, self._deposit_limit)
        match outcome:
            case Outcome.NOT_FOUND:
                raise refusals.not_found()
            case Outcome.ALREADY_DEPOSITED:
                raise refusals.already_deposited()
            case Outcome.EXPIRED:
                raise refusals.expired()
            case Outcome.QUEUE_FULL:
                raise refusals.queue_limit_reached()
        self._wakeups.publish([NEW])

    def leave(self, interaction_id: str | None) -> None:
        """A visitor goes: the place is free, whoever follows the interaction hears that it is not there. Raises Refusal."""
        name = _name(interaction_id)
        match self._store.leave(name):
            case Outcome.NOT_FOUND:
                raise refusals.not_found()
            case Outcome.ALREADY_FINISHED:
                raise refusals.already_done()
        self._wakeups.publish([topic(name)])

    def pace(self) -> dict[str, Any]:
        """How long a turn takes at the moment, in seconds, as far as the last ones say; and how many those are."""
        now = self._clock.now()
        spent = turns(self._store.last_served(PACE_OF + 1, now), now)
        return {"seconds_per_turn": round(statistics.median(spent), 1) if len(spent) >= PACE_FROM else None, "turns": len(spent)}

    def update(self, interaction_id: str | None, queue_position: str | None, token_id: str | None) -> None:
        """Raises Refusal."""
        if not interaction_id:
            raise refusals.id_missing()
        if not queue_position and not token_id:
            raise refusals.position_or_token_required()
        position, number = 0, None
        if not token_id:
            if not _POSITION(queue_position or ""):
                raise refusals.invalid_queue_position()
            position = int(queue_position or "")
        else:
            number = ids.decode(token_id)
            if number is None:
                number = -1  # no token has it; whether the interaction exists is asked first
        if not _ID(interaction_id.lower()):
            raise refusals.interaction_not_found()
        outcome = self._store.update(interaction_id.lower(), position, number, self._clock.now())
        match outcome:
            case Outcome.NOT_FOUND:
                raise refusals.interaction_not_found()
            case Outcome.TOKEN_NOT_FOUND:
                raise refusals.token_not_found()
            case Outcome.ALREADY_FINISHED:
                raise refusals.already_done()
            case Outcome.DONE:
                self._wakeups.publish([topic(interaction_id.lower())])

    def waiting(self, since: str | None) -> list[dict[str, Any]]:
        """Raises Refusal 400."""
        try:
            moment = read_date(since)
        except ValueError:
            raise refusals.invalid_timestamp() from None
        return [_deposited(one) for one in self._store.waiting(moment)]

    def next_update(
        self, interaction_id: str | None, since: str | None, timeout: str | None, connection: ClientConnection
    ) -> dict[str, Any] | None:
        """The interaction's newest state after `since`; None when there was none in time. Raises Refusal."""
        name = _name(interaction_id)
        number = self._since(since)
        found = self._waiter.poll(topic(name), lambda: self._update_after(name, number), read_timeout(timeout), connection)
        return None if found is None else self._shown_update(name, found)

    def next_new(self, since: str | None, timeout: str | None, connection: ClientConnection) -> dict[str, Any] | None:
        """The first interaction that became new after `since`; None when there was none in time. Raises Refusal."""
        number = self._since(since)
        found = self._waiter.poll(NEW, lambda: self._store.first_new(number), read_timeout(timeout), connection)
        return None if found is None else self._shown_new(found)

    def updates(self, interaction_id: str | None, since: str | None, connection: ClientConnection) -> Iterator[dict[str, Any] | None]:
        """All states after `since`, as they come, to the finished token; None as a sign of life. Raises Refusal before the first."""
        name = _name(interaction_id)
        number = self._since(since)
        if self._store.state(name) is None:
            raise refusals.not_found()
        found = self._follow(topic(name), lambda seen: self._update_after(name, seen), number, connection)
        return _to_the_token(None if state is None else self._shown_update(name, state) for state in found)

    def new_interactions(self, since: str | None, connection: ClientConnection) -> Iterator[dict[str, Any] | None]:
        """All interactions that become new after `since`, without end; None as a sign of life. Raises Refusal before the first."""
        found = self._follow(NEW, self._store.first_new, self._since(since), connection)
        return (None if one is None else self._shown_new(one) for one in found)

    def _follow(self, about: str, look: Callable[[int], C | None], seen: int, connection: ClientConnection) -> Iterator[C | None]:
        """What `look` finds after the change `seen`, then after that one, and so on; None when nothing came for a while."""
        while not self._waiter.closing and not connection.gone():
            found = self._waiter.wait(about, partial(look, seen), HEARTBEAT_S, connection)
            seen = seen if found is None else found.seq
            yield found

    def _since(self, text: str | None) -> int:
        if not text or text == "0":
            return 0
        if text == "now":
            return self._store.newest_change()
        try:
            return ids.read_seq(text, self._store.epoch())
        except ValueError:
            raise refusals.invalid_since() from None

    def _update_after(self, name: str, since: int) -> State | None:
        state = self._store.state(name)
        if state is None:
            raise refusals.not_found()
        return state if state.queue_position is not None and state.seq > since else None

    def _shown_update(self, name: str, state: State) -> dict[str, Any]:
        return {
            "id": name,
            "seq": ids.write_seq(state.seq, self._store.epoch()),
            "queue_position": state.queue_position,
            "token_id": None if state.token_id is None else ids.encode(state.token_id),
        }

    def _shown_new(self, found: Interaction) -> dict[str, Any]:
        shown = _deposited(found)
        return {"id": shown.pop("id"), "seq": ids.write_seq(found.seq, self._store.epoch()), **shown}


def _name(interaction_id: str | None) -> str:
    """An interaction's id as the store knows it. Raises Refusal when it is missing or can be none."""
    if not interaction_id:
        raise refusals.id_missing()
    if not _ID(interaction_id.lower()):
        raise refusals.not_found()
    return interaction_id.lower()


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


def turns(served: Sequence[Served], now: dt.datetime) -> list[float]:
    """Seconds that each turn took, the newest first; idle time between visitors does not count.

    A turn begins when its keywords were there and the turn before was over. served: the newest first; of the oldest it is not known when
    it began, unless there was none before. Turns that ended more than `PACE_AGE` ago say nothing about now, nor do those that ended before
    they began: the clock was put back meanwhile.
    """
    spent = []
    for one, before in itertools.zip_longest(served[:PACE_OF], served[1:]):
        if one.deposited_at is None or now - one.done_at > PACE_AGE:
            continue
        began = one.deposited_at if before is None else max(one.deposited_at, before.done_at)
        if began <= one.done_at:
            spent.append((one.done_at - began).total_seconds())
    return spent


def read_keywords(text: str) -> list[str]:
    """Three keywords, separated by one of `. , ; /`, trimmed, in lower case, Unicode NFC. Raises Refusal."""
    words = [unicodedata.normalize("NFC", part.strip().lower()) for part in re.split(r"[.,;/]", text)]
    if len(words) != 3 or not all(words) or any(len(word) > KEYWORD_LIMIT or "\x00" in word for word in words):
        raise refusals.three_keywords_needed()
    return words


def read_timeout(text: str | None) -> float:
    """Seconds to wait: what is no number means the longest, everything else is brought into 0 … 60."""
    if not text or not _NUMBER(text):
        return LONGEST_POLL_MS / 1000
    return min(max(float(text), 0.0), LONGEST_POLL_MS) / 1000


def read_date(text: str | None) -> dt.datetime | None:
    """A date as JavaScript's `Date.parse` takes it: a year, a month, ISO 8601, dates of e-mail; without a zone it is UTC. None: no limit.

    Raises ValueError.
    """
    if not text or text == "0":
        return None
    text = text.strip()
    if re.fullmatch(r"\d{4}", text):
        text += "-01-01"
    elif re.fullmatch(r"\d{4}-\d{2}", text):
        text += "-01"
    text = re.sub(r" (\d{2}:?\d{2})$", r"+\1", text) if "T" in text else text  # a `+` that the query turned into a space
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(text)
        except (TypeError, IndexError):
            raise ValueError("not a date") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("not a date") from None
