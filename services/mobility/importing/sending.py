"""Send nodes in batches, each of them one transaction of the service."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.mobility.importing import courses
from services.mobility.importing.client import Client, Refused, encode
from services.mobility.importing.problems import Problems
from services.mobility.importing.progress import Progress
from services.mobility.importing.resume import State

_BODY: Final = 8 * 1024 * 1024  # bytes of nodes in one request; the service takes 10 MiB
_NODE_FAULTS: Final = (404, 422)  # the nodes are wrong, not the caller


@dataclass(frozen=True, slots=True)
class Kind:
    """What all nodes of one request share. modality: of the nodes themselves."""

    create_type: str = "create"
    node_type: str | None = None
    modality: str | None = None

    def params(self, srid: int) -> dict[str, Any]:
        """Return the parameters of the bulk call."""
        found: dict[str, Any] = {"create_type": self.create_type, "srid": srid}
        if self.node_type is not None:
            found["node_type"] = self.node_type
        if self.modality is not None:
            found["modalities"] = [self.modality]
        return found


@dataclass(frozen=True, slots=True)
class Item:
    """A node as it is sent. where: how people find it in the file."""

    kind: Kind
    node: Mapping[str, Any]
    where: str


@dataclass(slots=True)
class Totals:
    """What an import did, in nodes. resumed: those that an earlier run had written."""

    created: int = 0
    updated: int = 0
    skipped: int = 0
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Where nodes go and how. dry_run: the service only checks them."""

    client: Client
    layer: str
    srid: int
    batch: int
    dry_run: bool


class Sender:
    """Sends items in order."""

    def __init__(self, target: Target, problems: Problems, progress: Progress, state: State) -> None:
        self._target = target
        self._problems = problems
        self._progress = progress
        self._state = state
        self._size = target.batch
        self.totals = Totals()

    def send(self, items: Iterable[Item], done: int = 0, confirmed: Callable[[int], None] = lambda count: None) -> None:
        """Send all items after the first `done`. confirmed: takes how many more are done with.

        Raises Stopped, Refused, Unreachable, OSError.
        """
        iterator = iter(items)
        if done:
            self.totals.resumed = sum(1 for _ in itertools.islice(iterator, done))
            confirmed(self.totals.resumed)
        position = self.totals.resumed
        for batch in self._batches(iterator):
            self._write(batch)
            position += len(batch)
            self._state.save(position)
            confirmed(len(batch))

    def _batches(self, items: Iterator[Item]) -> Iterator[list[tuple[Item, bytes]]]:
        batch: list[tuple[Item, bytes]] = []
        size = 0
        for item in items:
            content = encode(item.node)
            if batch and (len(batch) >= self._size or size + len(content) > _BODY or item.kind != batch[0][0].kind):
                yield batch
                batch, size = [], 0
            batch.append((item, content))
            size += len(content)
        if batch:
            yield batch

    def _write(self, batch: Sequence[tuple[Item, bytes]]) -> None:
        """Write a batch, in parts and without the refused nodes where that is needed."""
        target, kind = self._target, batch[0][0].kind
        waiting = [list(batch)]
        while waiting:
            part = waiting.pop()
            contents = [content for _, content in part]
            try:
                if kind.create_type == "routes" and not target.dry_run:
                    self._prepare(part, contents, kind.params(target.srid))
                results = target.client.write_encoded(target.layer, contents, kind.params(target.srid), target.dry_run)
            except Refused as error:
                if error.status == 413 and len(part) > 1:
                    self._size = max(1, min(self._size, len(part) // 2))
                    self._progress.tell(f"the service does not take that much at once; now {self._size} nodes a request")
                elif error.status not in (*_NODE_FAULTS, 413) or _of_layer(error, target.layer):
                    raise
                elif len(part) == 1 or (error.index is not None and 0 <= error.index < len(part)):
                    self._refused(part.pop(error.index if len(part) > 1 and error.index is not None else 0)[0], error)
                    waiting += [part] if part else []
                    continue
                half = len(part) // 2  # the service does not say which node it is
                waiting += [part[half:], part[:half]]
                continue
            self._count(results, part)

    def _prepare(self, part: Sequence[tuple[Item, bytes]], contents: list[bytes], params: Mapping[str, Any]) -> None:
        target = self._target
        for place in courses.prepare(target.client, target.layer, [item.node for item, _ in part], contents, params):
            self._problems.note(
                "lines without a timetable", f"{part[place][0].where}: takes another course now, but its node is in use; no timetable"
            )

    def _refused(self, item: Item, error: Refused) -> None:
        self._problems.wrong("nodes that the service refuses", f"{item.where}: {error} ({error.status})")

    def _count(self, results: Mapping[str, Any], part: Sequence[tuple[Item, bytes]]) -> None:
        totals = results.get("totals", {})
        self.totals.created += int(totals.get("created", 0))
        self.totals.updated += int(totals.get("updated", 0))
        for skipped in results.get("skipped", ()):
            self.totals.skipped += 1
            index = skipped.get("index")
            where = part[index][0].where if isinstance(index, int) and 0 <= index < len(part) else "a node"
            self._problems.note("nodes that the service skips", f"{where}: skipped by the service: {skipped.get('reason', '')}")


def _of_layer(error: Refused, layer: str) -> bool:
    return error.status == 404 and str(error).endswith(f"layer spec: {layer}")
