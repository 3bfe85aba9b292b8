"""Which API owns a host and a path.

A listen path owns whole segments: `/app/` and `/app` both own `/app` and `/app/...`, never `/apple`. The longest one wins; of two with the
same length, the one without `{name}` segments (`named_segments`). An API with a domain owns its paths on that host only, and comes before
APIs without a domain. A path must have one owner in all of its readings (`paths.slash_readings`): otherwise an upstream that takes `%2F`
for a slash would serve what another API guards.

Requests need no lock, because what they read never changes: a change creates another `ListenPaths`, which shares the rest. A look-up costs
one or two dict accesses, however many APIs there are, and one for each shape of listen paths with `{name}` segments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from services.common.remembered import Remembered
from services.gateway.exchange import CompiledApi
from services.gateway.refusals import NOT_FOUND, Refusal
from services.gateway.routing.named_segments import NamedSegments, end_of
from services.gateway.routing.paths import slash_readings
from services.gateway.routing.places import Place, place_of

_Heads = dict[str, tuple[CompiledApi | None, dict[str, CompiledApi]]]
_ACTIVE: Final = 0
_BROKEN: Final = 1
_INACTIVE: Final = 2
_PLACED: Final = (2048, 512)  # how many paths are remembered, and how long they may be


class _Claim(NamedTuple):
    """An API that wants a place; the first three members, in their order, decide which one gets it."""

    kind: int
    name: str
    id: str
    api: CompiledApi


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
    """The listen paths of one host, by their first segment: the owner of that segment, and the owners of longer listen paths."""

    __slots__ = ("_heads", "_named", "_root")

    def __init__(self, root: CompiledApi | None = None, heads: _Heads | None = None, named: NamedSegments | None = None) -> None:
        self._root = root
        self._heads: _Heads = {} if heads is None else heads
        self._named = named

    def __bool__(self) -> bool:
        return self._root is not None or bool(self._heads) or self._named is not None

    def changed(self, owners: Mapping[str, CompiledApi | None]) -> _Tree:
        """Return another tree with these owners of listen paths; None = a listen path has lost its owner."""
        root, heads = self._root, self._heads.copy()
        named = {place: api for place, api in owners.items() if "{" in place}
        copied: set[str] = set()
        for listen_path, api in owners.items():
            if listen_path in named:
                continue
            place = listen_path.rstrip("/")
            head = place[: _cut(place, 1)]
            owner, longer = heads.get(head) or (None, {})
            if not place:
                root = api
                continue
            if head == place:
                owner = api
            else:
                if head not in copied:
                    copied.add(head)
                    longer = longer.copy()
                if api is None:
                    longer.pop(place, None)
                else:
                    longer[place] = api
            if owner is None and not longer:
                heads.pop(head, None)
            else:
                heads[head] = (owner, longer)
        if not named:
            return _Tree(root, heads, self._named)
        return _Tree(root, heads, (self._named or NamedSegments()).changed(named) or None)

    def find(self, path: str) -> CompiledApi | None:
        """Find the owner of a canonical path, None when nobody owns it."""
        end = path.find("/", 1)
        found = self._heads.get(path if end < 0 else path[:end])
        if found is None:
            owner = self._root
        else:
            owner, longer = found
            if longer and end > 0:
                while end < len(path):
                    end = _cut(path, end + 1)
                    owner = longer.get(path[:end]) or owner
            owner = owner or self._root
        if self._named is not None:
            named, segments = self._named.find(path)
            if named is not None and (owner is None or segments > owner.listen_path.count("/") - 1):
                return named
        return owner


def _cut(path: str, start: int) -> int:
    """Return where the segment that begins at `start` ends."""
    end = path.find("/", start)
    return len(path) if end < 0 else end


class ListenPaths:
    """The owners of all places. An inactive API keeps its place only when no active one owns the same.

    When several active APIs want one place, an API that can be served comes before a broken one; then name and id decide.

    placed: answers of `place`, by path; empty as long as the host may count.
    """

    __slots__ = ("_any_host", "_claims", "_conflicts", "_hosts", "placed")

    def __init__(
        self, active: Iterable[CompiledApi] = (), inactive: Iterable[CompiledApi] = (), broken: Iterable[CompiledApi] = ()
    ) -> None:
        self._claims: dict[Place, tuple[_Claim, ...]] = {}
        self._conflicts: dict[Place, Conflict] = {}
        self._any_host = _Tree()
        self._hosts: dict[str, _Tree] = {}
        self.placed: Remembered[str, tuple[CompiledApi, str]] = Remembered(*_PLACED)
        self._change((), active, inactive, broken)

    def changed(
        self,
        gone: Iterable[CompiledApi],
        active: Iterable[CompiledApi] = (),
        inactive: Iterable[CompiledApi] = (),
        broken: Iterable[CompiledApi] = (),
    ) -> ListenPaths:
        """Return another one without those that are gone and with those that come. Copying dicts takes 0.05 ms with 10,000 APIs."""
        made = ListenPaths()
        made._claims, made._conflicts = self._claims.copy(), self._conflicts.copy()
        made._any_host, made._hosts = self._any_host, self._hosts.copy()
        made._change(gone, active, inactive, broken)
        return made

    def _change(
        self, gone: Iterable[CompiledApi], active: Iterable[CompiledApi], inactive: Iterable[CompiledApi], broken: Iterable[CompiledApi]
    ) -> None:
        """Apply a change. Only before anybody else sees this object."""
        touched: dict[Place, tuple[_Claim, ...]] = {}
        for api in gone:
            place = place_of(api.domain, api.listen_path)
            touched[place] = tuple(claim for claim in touched.get(place, self._claims.get(place, ())) if claim.api is not api)
        for kind, apis in ((_ACTIVE, active), (_BROKEN, broken), (_INACTIVE, inactive)):
            for api in apis:
                place = place_of(api.domain, api.listen_path)
                claim = _Claim(kind, api.name, api.internal_id, api)
                touched[place] = (*touched.get(place, self._claims.get(place, ())), claim)
        owners: dict[str, dict[str, CompiledApi | None]] = defaultdict(dict)
        for place, claims in touched.items():
            owners[place.domain][place.path] = self._settle(place, claims)
        for host, changes in owners.items():
            tree = (self._hosts.get(host, _Tree()) if host else self._any_host).changed(changes)
            if not host:
                self._any_host = tree
            elif tree:
                self._hosts[host] = tree
            else:
                self._hosts.pop(host, None)

    def _settle(self, place: Place, claims: tuple[_Claim, ...]) -> CompiledApi | None:
        """Choose the owner of a place among all who claim it."""
        self._conflicts.pop(place, None)
        if not claims:
            self._claims.pop(place, None)
            return None
        if len(claims) > 1:
            claims = tuple(sorted(claims, key=lambda claim: claim[:3]))
            active = tuple(claim.api for claim in claims if claim.kind != _INACTIVE)
            if len(active) > 1:
                self._conflicts[place] = Conflict(*place, active)
        self._claims[place] = claims
        return claims[0].api

    def served_at(self, domain: str, listen_path: str) -> list[CompiledApi]:
        """Return the active APIs that listen on exactly this place and can be served."""
        return [claim.api for claim in self._claims.get(place_of(domain, listen_path), ()) if claim.kind == _ACTIVE]

    def find(self, host: str, path: str) -> CompiledApi | None:
        """Find the owner of a path, None when nobody owns it. host: lower case, no port. path: canonical."""
        if self._hosts:
            tree = self._hosts.get(host)
            if tree is not None:
                owner = tree.find(path)
                if owner is not None:
                    return owner
        return self._any_host.find(path)

    def place(self, host: str, path: str) -> tuple[CompiledApi, str] | None:
        """As `find`, with the path below the listen path. A path that is read in one way only is remembered."""
        api = self.find(host, path)
        if api is None:
            return None
        found = (api, relative_path(api, path))
        if not self._hosts and "%" not in path:
            self.placed.keep(path, found, len(path))
        return found

    def other_readings(self, owner: CompiledApi, host: str, path: str) -> list[str]:
        """Return the other readings of a path. Raises Refusal(not-found) when one has another owner than the path, or leaves its place."""
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
        """Return the places that several active APIs own; the first of them serves it."""
        return tuple(self._conflicts.values())


def relative_path(api: CompiledApi, path: str) -> str:
    """Return what follows the listen path, with its leading slash; the bare listen path is `/`."""
    return path[owned_length(api, path) :] or "/"


def owned_length(api: CompiledApi, path: str) -> int:
    """Return how many characters of a path are its API's listen path, without its trailing slash."""
    return end_of(path, api.named_segments) if api.named_segments else len(api.listen_path) - 1
