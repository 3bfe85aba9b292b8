"""What rate limits and quotas ask of a counter. `memory` keeps counters in this process, `valkey` shares them; `factory.create` chooses."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple, Protocol


class Taken(NamedTuple):
    """What a counter says.

    admitted: whether the request may pass (and, from `take`, was charged).
    limit: the limit asked for.
    remaining: requests left in the window, never below 0.
    reset_at: epoch seconds when the window ends, 0 = never. The same for a whole window.
    reset_in: seconds until then, 0 = never.
    """

    admitted: bool
    limit: int
    remaining: int
    reset_at: float
    reset_in: float


class Charge(NamedTuple):
    """One use of a counter: as the arguments of `Counters.take`."""

    counter: str
    limit: int
    window: float
    durable: bool = False


class Charges:
    """What a request is charged to, in order; each counter once. Create it once for many requests: those of one turn of the loop that have
    the same object are counted together.

    command: what the counters keep with it, None = nothing yet. It belongs to the counters that were asked first.
    """

    __slots__ = ("command", "each")

    def __init__(self, each: tuple[Charge, ...]) -> None:
        self.each = each
        self.command: bytes | None = None


class Counters(Protocol):
    """Counts uses of a limit in fixed windows that begin at the first use. Called on the event loop only.

    The window of a counter is the one of its first use. When a later call names a window shorter than what is left of it, it ends with
    that shorter one, so an edited limit takes effect; what was used stays used. A `limit` of 0 or less admits nothing.

    uncounted: requests admitted without being counted, because the store was away; `take_all` adds one for all of its counters, or one for
    each where they are asked one by one (a cluster).
    at_once: whether `take` and `look` answer directly, always.
    available: whether the store answers now.
    round_trip: seconds that it took the last time it was asked whether it does, NaN = it is not asked, or away.
    """

    uncounted: int

    @property
    def at_once(self) -> bool: ...

    @property
    def available(self) -> bool: ...

    @property
    def round_trip(self) -> float: ...

    async def start(self) -> None:
        """Connect or load. Never raises because a store is away: counting begins when it comes back."""

    async def hand_over(self) -> None:
        """Leave the running windows to the worker that comes next; called when this one takes no more connections. Never raises.

        Takes at most a few seconds. What is charged afterwards is left at `stop`.
        """

    async def stop(self) -> None:
        """Write what is still owed and let go of everything. A second call does nothing."""

    def take(self, counter: str, limit: int, window: float, durable: bool = False) -> Taken | Awaitable[Taken]:
        """Charge one use if the limit admits it; a refused one is not charged.

        window: seconds, fractions allowed; 0 or less = never ends. durable: must survive a restart (quotas). Never raises.
        """

    def take_all(self, charges: Charges) -> list[Taken] | Awaitable[list[Taken]]:
        """Charge one use of each counter, in order, as `take` does; the first one that refuses is the last one that is asked.

        Return what each of those said that were asked: all admitted but perhaps the last. A request that one refuses stays charged to those
        before it. Never raises.
        """

    def look(self, counter: str, limit: int, window: float, durable: bool = False) -> Taken | Awaitable[Taken]:
        """Return what `take` would say now about what is left, without charging; `admitted` = whether a use would pass. Never raises."""

    async def reset(self, *counters: str) -> None:
        """Forget counters, all in one go: the next use of each begins a new window. Never raises; kept and done later while the store is
        away.
        """
