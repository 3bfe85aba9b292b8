"""The loaded set of APIs: immutable, numbered, compiled beside the one that serves and swapped whole by one assignment.

Requests read `current` without a lock. A definition that cannot be compiled keeps its place (503), a switched-off one too (404); the
others are not disturbed by either.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.common import logging as logs
from services.gateway.compiler import broken_api, compile_api, inactive_api
from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.definitions.sources import interpret
from services.gateway.exchange import CompiledApi
from services.gateway.ports import Ports
from services.gateway.routing.listen_paths import ListenPaths

log = logs.get(__name__)


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


class Source(Protocol):
    """Where the definitions come from."""

    def all(self) -> Sequence[Stored]: ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One loaded set. apis: what serves, by api_id. broken: why a definition does not, by api_id."""

    number: int = 0
    paths: ListenPaths = field(default_factory=lambda: ListenPaths(()))
    apis: Mapping[str, CompiledApi] = field(default_factory=dict)
    inactive: Mapping[str, CompiledApi] = field(default_factory=dict)
    broken: Mapping[str, Sequence[Mistake]] = field(default_factory=dict)


class Live:
    """`current` is what requests see; `reload` may be called from any thread."""

    def __init__(self, source: Source, ports: Ports) -> None:
        self._source = source
        self._ports = ports
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, int], tuple[Stored, CompiledApi]] = {}
        self.current = Snapshot()

    def reload(self) -> Snapshot:
        """Reads all definitions and swaps the set. Raises the store's error, and then nothing has changed."""
        with self._lock:
            apis: dict[str, CompiledApi] = {}
            inactive: dict[str, CompiledApi] = {}
            broken: dict[str, Sequence[Mistake]] = {}
            kept: dict[tuple[str, int], tuple[Stored, CompiledApi]] = {}
            holding: list[CompiledApi] = []
            for stored in self._source.all():
                known = self._kept.get((stored.id, stored.revision))
                if known is not None and known[0].raw == stored.raw:
                    # The same object goes on: what its stages remember stays warm.
                    kept[stored.id, stored.revision] = known
                    apis[stored.api_id] = known[1]
                    continue
                try:
                    definition = interpret(stored.raw)
                    if not definition.active:
                        inactive[stored.api_id] = inactive_api(definition, stored.revision)
                        continue
                    api = compile_api(definition, self._ports, stored.revision)
                except Mistakes as error:
                    broken[stored.api_id] = error.mistakes
                    log.error(
                        "a stored definition cannot be served",
                        api_id=stored.api_id,
                        mistakes=[f"{m.pointer}: {m.message}" for m in error.mistakes],
                    )
                    place = broken_api(stored.raw, stored.revision)
                    if place is not None:
                        holding.append(place)
                    continue
                apis[stored.api_id] = api
                kept[stored.id, stored.revision] = (stored, api)
            paths = ListenPaths([*apis.values(), *holding], inactive.values())
            for conflict in paths.conflicts():
                log.error("two active definitions own the same place; the first serves it", conflict=str(conflict))
            self._kept = kept
            self.current = Snapshot(self.current.number + 1, paths, apis, inactive, broken)
            return self.current

    def check(self, definition: Definition, replaces: str | None = None) -> None:
        """Compiles a definition beside the live set. replaces: the api_id whose place it takes. Raises Mistakes."""
        compile_api(definition, self._ports, 0)
        if not definition.active:
            return
        for api in self.current.apis.values():
            same_place = api.domain == definition.domain and api.listen_path == definition.proxy.listen_path
            if same_place and api.api_id not in (replaces, definition.api_id):
                raise Mistakes(
                    [Mistake("/proxy/listen_path", f"`{api.name}` ({api.api_id}) already listens on {api.domain}{api.listen_path}")]
                )
