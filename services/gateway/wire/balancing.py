"""Several targets of one API, and whose turn it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from services.gateway.wire.routes import Routes

Origin = tuple[str, str, int]


class Target(Protocol):
    """What requests are sent to."""

    @property
    def origin(self) -> Origin: ...


T = TypeVar("T", bound=Target)


class Balancing(Generic[T]):
    """The targets among which `Upstreams.choose` chooses. One that stands there twice gets two turns.

    weights: how often an origin stands there; empty when requests go to the targets in turn, not to the one that has fewest of them.
    heeds_tests: whether a target whose uptime tests fail is left out. routes: how connections to them are made, None = as usual. turn: the
    place of the one that is next.
    """

    __slots__ = ("heeds_tests", "routes", "targets", "turn", "weights")

    def __init__(
        self, targets: Sequence[T], *, least_connections: bool = False, heeds_tests: bool = False, routes: Routes | None = None
    ) -> None:
        self.targets = targets
        self.routes = routes
        self.weights: dict[Origin, int] = Counter(target.origin for target in targets) if least_connections else {}
        self.heeds_tests = heeds_tests
        self.turn = 0
