"""What is asked of an outbox: calls are put in, leased, and noted as delivered, failed or given up."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

State = Literal["pending", "delivered", "dead"]
STATES: Final[tuple[State, ...]] = ("pending", "delivered", "dead")


@dataclass(frozen=True, slots=True)
class Call:
    """A webhook call to be made. mark: what makes two events the same; told_for: seconds for which it is not told again, 0 = always told.

    id: `new_id()`. hook_id: whose secret signs it, "" = nobody's. lane: what else would fail if this call did, usually `lane_of(url)`.
    subject: the id of what the event is about, "" = nothing that has one.
    """

    id: str
    hook_id: str
    lane: str
    event: str
    subject: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str
    mark: tuple[str, ...]
    told_for: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """A call and how far it got."""

    id: str
    hook_id: str
    lane: str
    event: str
    subject: str
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: str
    state: str
    attempts: int
    created_at: float
    give_up_at: float
    next_at: float
    leased_until: float
    ended_at: float | None
    last_status: int | None
    last_error: str


def new_id() -> str:
    """Return an id for a call, which its receiver gets as `webhook-id`."""
    return f"msg_{uuid.uuid4().hex}"


def lane_of(url: str) -> str:
    """Return the scheme, host and port of a URL. Raises ValueError."""
    target = urlsplit(url)
    return f"{target.scheme}://{target.netloc.lower()}"


class Backlog(NamedTuple):
    """What an outbox holds. waiting: calls to be made; overdue: seconds for which the first of them has been due; dead: calls given up."""

    waiting: int
    overdue: float
    dead: int


class Outbox(Protocol):
    """Thread-safe. All times are epoch seconds, given by the caller."""

    def put(self, calls: Sequence[Call], now: float) -> int:
        """Write the calls whose event was not told a moment ago, in one transaction; return how many."""
        ...

    def lease(self, now: float, seconds: float, most: int, under_way: Mapping[str, int], most_of_lane: int) -> list[Delivery]:
        """Take calls that are due, the longest waiting first. under_way: calls that the caller makes already, by lane.

        Fewer than there could be when many of one lane wait: ask again until none is left.
        """
        ...

    def delivered(self, delivery: Delivery, status: int, now: float) -> None:
        """Note a success, which counts even when the lease was lost meanwhile."""
        ...

    def failed(self, delivery: Delivery, status: int | None, error: str, next_at: float) -> None:
        """Note a failure; the call is made again at `next_at`."""
        ...

    def given_up(self, delivery: Delivery, status: int | None, error: str, now: float) -> None: ...

    def replay(self, id: str, now: float) -> bool:
        """Make a call again from the beginning, with the same `webhook-id`; one that is being made goes on. False when there is none."""
        ...

    def replay_dead(self, hook_id: str | None, now: float) -> int:
        """Make all dead calls of a hook again, None = of every hook; return how many."""
        ...

    def get(self, id: str) -> Delivery | None: ...

    def page(self, state: State | None, number: int, size: int, hook_id: str = "") -> tuple[list[Delivery], int]:
        """Return a page of deliveries, the newest first, and how many there are. number: from zero."""
        ...

    def backlog(self, now: float) -> Backlog:
        """Count what waits and what was given up."""
        ...

    def sweep(self, now: float) -> None:
        """Forget marks that have ended, calls that succeeded a week ago, and those that were given up a month ago; of a hook that has more
        than a thousand of both, the older ones.
        """
        ...
