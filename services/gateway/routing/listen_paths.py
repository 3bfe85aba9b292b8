"""Which API owns a host and a path.

A listen path owns whole segments: `/app/` and `/app` both own `/app` and `/app/...`, never `/apple`. The longest wins. An API with a domain
owns its paths on that host only, and is asked before those without one. A path must have one owner in all of its readings
(`paths.slash_readings`): otherwise an upstream that takes `%2F` for a slash would serve what another API guards.

The whole is built once and never changed, so readers need no lock; looking up costs one or two dict accesses, however many APIs there
are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from services.gateway.exchange import CompiledApi
from services.gateway.refusals import NOT_FOUND, Refusal
from services.gateway.routing.paths import slash_readings


class Conflict(NamedTuple):
    """Several active APIs own the same place."""

    domain: str
    listen_path: str
    apis: tuple[CompiledApi, ...]

    def __str__(self) -> str:
        names = " and ".join(f"`{api.name}` ({api.api_id})" for api in self.apis)
        where = f"{self.domain}{self.listen_path}" if self.domain else self.listen_path
        return f"{names} both listen on {where}"


class _Tree:
    """The listen paths of one host. A path's first segment leads to its owner and, when there are longer ones, to them."""

    __slots__ = ("_heads", "_root")

    def __init__(self, apis: Iterable[CompiledApi]) -> None:
        self._root: CompiledApi | None = None
        heads: dict[str, tuple[CompiledApi | None, dict[str, CompiledApi]]] = {}
        for api in apis:
            place = api.listen_path.rstrip("/")
            head = place[: _cut(place, 1)]
            owner, longer = heads.get(head, (None, {}))
            if not place:
                self._root = api
            elif head == place:
                heads[head] = (api, longer)
            else:
                longer[place] = api
                heads[head] = (owner, longer)
        self._heads = heads

    def find(self, path: str) -> CompiledApi | None:
        end = path.find("/", 1)
        found = self._heads.get(path if end < 0 else path[:end])
        if found is None:
            return self._root
        owner, longer = found
        if longer and end > 0:
            while end < len(path):
                end = _cut(path, end + 1)
                owner = longer.get(path[:end]) or owner
        return owner or self._root


def _cut(path: str, start: int) -> int:
    """Where the segment that begins at `start` ends."""
    end = path.find("/", start)
    return len(path) if end < 0 else end


class ListenPaths:
    """The owners of all places. An inactive API keeps a place only where no active one owns exactly it."""

    __slots__ = ("_any_host", "_conflicts", "_hosts")

    def __init__(self, apis: Iterable[CompiledApi], inactive: Iterable[CompiledApi] = ()) -> None:
        places: dict[tuple[str, str], list[CompiledApi]] = defaultdict(list)
        for api in apis:
            places[api.domain, api.listen_path].append(api)
        self._conflicts = tuple(Conflict(*place, tuple(owners)) for place, owners in places.items() if len(owners) > 1)
        for api in inactive:
            places.setdefault((api.domain, api.listen_path), [api])
        by_host: dict[str, list[CompiledApi]] = defaultdict(list)
        for (domain, _), owners in places.items():
            by_host[domain].append(owners[0])
        self._any_host = _Tree(by_host.pop("", []))
        self._hosts = {host: _Tree(owners) for host, owners in by_host.items()}

    def find(self, host: str, path: str) -> CompiledApi | None:
        """host: lower case, no port. path: canonical. None when nobody owns it."""
        if self._hosts:
            tree = self._hosts.get(host)
            if tree is not None:
                owner = tree.find(path)
                if owner is not None:
                    return owner
        return self._any_host.find(path)

    def other_readings(self, owner: CompiledApi, host: str, path: str) -> list[str]:
        """The other readings of a path. Raises Refusal(not-found) when one has another owner than the path itself, or leaves its place."""
        readings = slash_readings(path)
        if not readings:
            return readings
        try:
            slash_readings(relative_path(owner, path))  # an upstream with a path of its own must not be asked for what lies above it
        except Refusal:
            raise Refusal(NOT_FOUND) from None
        if any(self.find(host, reading) is not owner for reading in readings):
            raise Refusal(NOT_FOUND)
        return readings

    def conflicts(self) -> tuple[Conflict, ...]:
        """Places that several active APIs own; the first of them serves it."""
        return self._conflicts


def relative_path(api: CompiledApi, path: str) -> str:
    """What follows the listen path, with its leading slash; the bare listen path is `/`."""
    return path[len(api.listen_path) - 1 :] or "/"
