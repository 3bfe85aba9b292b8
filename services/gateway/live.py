"""The loaded set of APIs: immutable, numbered, compiled beside the one that serves and swapped whole by one assignment.

Requests read `current` without a lock. A definition whose tags are those of other gateways has no place here. A definition that cannot be
compiled keeps its place (503), a switched-off one too (404); the others are not disturbed by either. What has not changed is neither read
nor compiled again: a set takes over from the one before what stays.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol, TypeVar

from services.common import logging as logs
from services.gateway.compiler import broken_api, compile_api, inactive_api, interpret
from services.gateway.definitions.claims import Occupied
from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.definitions.schema import read_tags
from services.gateway.definitions.sources import files_of
from services.gateway.exchange import CompiledApi
from services.gateway.ports import Ports
from services.gateway.routing.listen_paths import ListenPaths

log = logs.get(__name__)

_T = TypeVar("_T")
# elsewhere: it is served by other gateways, those that have one of its tags.
State = Literal["served", "inactive", "broken", "elsewhere"]
# From this many compiled definitions on, some 300 objects each, they are frozen out of garbage collection.
_MANY: Final = 100


class Stored(Protocol):
    """A definition as it is kept. raw: its JSON object."""

    @property
    def id(self) -> str: ...
    @property
    def api_id(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def raw(self) -> Mapping[str, Any]: ...


class Changed(Protocol):
    """What changed until a generation: by id, None = it is gone."""

    @property
    def generation(self) -> int: ...
    @property
    def definitions(self) -> Mapping[str, Stored | None]: ...


class Source(Protocol):
    """Where the definitions come from. generation: rises with every change."""

    def generation(self) -> int: ...
    def all(self) -> Sequence[Stored]: ...

    def changed_since(self, generation: int) -> Changed | None:
        """Return None when the source does not know any more: then all must be read."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A definition and what became of it. api: what has its place; None when not even that can be read, or it has none here."""

    stored: Stored
    state: State
    api: CompiledApi | None
    mistakes: Sequence[Mistake] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One loaded set; nothing in it is ever changed. generation: of the source, which it stands for. loaded: all of it, by internal id.

    apis: what serves, by api_id. broken: why a definition does not, by api_id.
    """

    number: int = 0
    generation: int = 0
    paths: ListenPaths = field(default_factory=ListenPaths)
    loaded: dict[str, Loaded] = field(default_factory=dict)
    apis: dict[str, CompiledApi] = field(default_factory=dict)
    inactive: dict[str, CompiledApi] = field(default_factory=dict)
    broken: dict[str, Sequence[Mistake]] = field(default_factory=dict)

    @property
    def elsewhere(self) -> dict[str, Mapping[str, Any]]:
        """Return the definitions that only gateways with other tags serve, by api_id."""
        return {one.stored.api_id: one.stored.raw for one in self.loaded.values() if one.state == "elsewhere"}

    def stored(self) -> list[Stored]:
        """Return the definitions that it was made of, broken and switched-off ones included."""
        return [one.stored for one in self.loaded.values()]


class Live:
    """`current` is what requests see; everything else may be called from any thread, and takes a while. tags: of this gateway, which serves
    definitions that have one of them; none = it serves all.
    """

    def __init__(self, source: Source, ports: Ports, tags: frozenset[str] = frozenset()) -> None:
        self._source = source
        self._ports = ports
        self._tags = tags
        self._lock = threading.Lock()
        self._unsettled = 0
        self.current = Snapshot()

    def reload(self) -> Snapshot:
        """Read all definitions and swap the set. Raises the store's error, and then nothing has changed."""
        with self._lock:
            return self._read_all()

    def catch_up(self) -> Snapshot:
        """Load what changed since the set was loaded. Raises the store's error, and then nothing has changed."""
        with self._lock:
            before = self.current
            changed = self._source.changed_since(before.generation) if before.number else None
            if changed is None:
                return self._read_all()
            if changed.generation != before.generation:
                with self._uncollected():
                    self._change(changed)
            return self.current

    def serve(self, stored: Iterable[Stored], generation: int) -> Snapshot:
        """Swap the set for these definitions, without asking the source. generation: which they stand for."""
        with self._lock, self._uncollected():
            return self._serve(stored, generation)

    def _read_all(self) -> Snapshot:
        # The generation first: what is written between the two reads is loaded again by the next catch-up, and not missed.
        generation = self._source.generation()
        with self._uncollected():
            return self._serve(_given_up(self._source.all()), generation)

    def _serve(self, definitions: Iterable[Stored], generation: int) -> Snapshot:
        replaced = _given_up(self.current.loaded.values())
        loaded = {stored.id: self._load(stored, only_served=True) for stored in definitions}
        groups = _by_state(loaded.values())
        paths = ListenPaths(*(_places(groups[state]) for state in ("served", "inactive", "broken")))
        apis = {one.stored.api_id: one.api for one in groups["served"] if one.api is not None}
        inactive = {one.stored.api_id: one.api for one in groups["inactive"] if one.api is not None}
        broken = {one.stored.api_id: one.mistakes for one in groups["broken"]}
        _log_conflicts(paths)
        self.current = now = Snapshot(self.current.number + 1, generation, paths, loaded, apis, inactive, broken)
        for _ in replaced:
            pass
        return now

    def _change(self, changed: Changed) -> None:
        before = self.current
        news = {id: None if stored is None else self._load(stored) for id, stored in changed.definitions.items()}
        news = {id: one for id, one in news.items() if one is not before.loaded.get(id)}
        if not news:
            self.current = replace(before, generation=changed.generation)
            return
        # `copy`, because `dict(...)` of one that had deletions inserts every member again: 2.7 ms instead of 0.4 with 10,000.
        loaded, apis, inactive, broken = before.loaded.copy(), before.apis.copy(), before.inactive.copy(), before.broken.copy()
        gone = [one for id in news if (one := loaded.pop(id, None)) is not None]
        for one in gone:
            for group in (apis, inactive, broken):
                group.pop(one.stored.api_id, None)
        groups = _by_state(one for one in news.values() if one is not None)
        loaded |= {id: one for id, one in news.items() if one is not None}
        apis |= {one.stored.api_id: one.api for one in groups["served"] if one.api is not None}
        inactive |= {one.stored.api_id: one.api for one in groups["inactive"] if one.api is not None}
        broken |= {one.stored.api_id: one.mistakes for one in groups["broken"]}
        paths = before.paths.changed(_places(gone), *(_places(groups[state]) for state in ("served", "inactive", "broken")))
        _log_conflicts(paths, {str(conflict) for conflict in before.paths.conflicts()})
        self.current = Snapshot(before.number + 1, changed.generation, paths, loaded, apis, inactive, broken)

    def _load(self, stored: Stored, *, only_served: bool = False) -> Loaded:
        """Return the same object where nothing has changed: what its stages remember stays warm.

        only_served: one that is not served is tried again, because the environment may have changed, and so is one that takes
        something from files.
        """
        known = self.current.loaded.get(stored.id)
        same = known is not None and known.stored.revision == stored.revision and known.stored.raw == stored.raw
        kept = same and known is not None and not self._reads_anew(known)
        if known is not None and kept and (not only_served or (known.state == "served" and not files_of(stored.raw))):
            return known
        if self._tags:
            tags = read_tags(stored.raw)
            if tags is not None and self._tags.isdisjoint(tags):
                return Loaded(stored, "elsewhere", None)
        self._unsettled += 1
        try:
            definition = interpret(stored.raw)
            if not definition.active:
                return Loaded(stored, "inactive", inactive_api(definition, stored.revision))
            return Loaded(stored, "served", compile_api(definition, self._ports, stored.revision))
        except Mistakes as error:
            mistakes = [f"{one.pointer}: {one.message}" for one in error.mistakes]
            log.error("definition refused", api_id=stored.api_id, mistakes=mistakes)
            if known is not None and same and known.state == "served" and files_of(stored.raw):
                return known  # a file is away that was there: what it held stays in force
            return Loaded(stored, "broken", broken_api(stored.raw, stored.revision), error.mistakes)

    def _reads_anew(self, known: Loaded) -> bool:
        """Tell whether files that a served API has read, or its scripts, are others now."""
        api = known.api
        if api is None or known.state != "served":
            return False
        return any(file.has_changed() for file in api.files) or self._ports.scripts.has_changed(api.api_id, api.scripts)

    @contextlib.contextmanager
    def _uncollected(self) -> Iterator[None]:
        """Pause garbage collection: what is loaded stays, and scanning thousands of new objects would stall the loop.

        What was there before the first load is collected once, before anybody is served.
        """
        enabled = gc.isenabled()
        if not self.current.number:
            gc.collect()
        gc.disable()
        try:
            yield
        finally:
            if self._unsettled >= _MANY:
                self._unsettled = 0
                gc.freeze()
            if enabled:
                gc.enable()

    def check(self, definition: Definition, replaces: str | None = None) -> None:
        """Compile a definition beside the live set. replaces: the api_id whose place it takes. Raises Mistakes."""
        compile_api(definition, self._ports, 0)
        if not definition.active or definition.internal:
            return
        for api in self.current.paths.served_at(definition.domain, definition.proxy.listen_path):
            if api.api_id not in (replaces, definition.api_id):
                raise Occupied(api.api_id, api.name, api.domain + api.listen_path)


def _given_up(items: Iterable[_T]) -> Iterator[_T]:
    """Yield items one by one, each freed before the next: freeing thousands of definitions in one step would stall the loop."""
    left = list(items)
    del items
    left.reverse()
    while left:
        yield left.pop()


def _by_state(loaded: Iterable[Loaded]) -> Mapping[State, list[Loaded]]:
    groups: dict[State, list[Loaded]] = defaultdict(list)
    for one in loaded:
        groups[one.state].append(one)
    return groups


def _places(loaded: Iterable[Loaded]) -> list[CompiledApi]:
    return [one.api for one in loaded if one.api is not None and not one.api.internal]


def _log_conflicts(paths: ListenPaths, known: Iterable[str] = ()) -> None:
    for conflict in paths.conflicts():
        if str(conflict) not in known:
            log.error("listen path conflict", conflict=str(conflict), served="the first definition")
