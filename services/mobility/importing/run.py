"""One import from beginning to end: the layer, the place where an earlier run stopped, the nodes, the session."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from services.mobility.importing import geojson, resume
from services.mobility.importing.client import Client, Refused
from services.mobility.importing.gtfs.network import Network
from services.mobility.importing.gtfs.nodes import Nodes
from services.mobility.importing.gtfs.tables import Feed
from services.mobility.importing.gtfs.trips import Trips
from services.mobility.importing.problems import Problems, Stopped
from services.mobility.importing.progress import Progress
from services.mobility.importing.resume import State
from services.mobility.importing.seen import Seen
from services.mobility.importing.sending import Item, Sender, Target

Files = Sequence[tuple[str, Callable[[], BinaryIO]]]


@dataclass(frozen=True)
class Options:
    """How to import. create: the fields of a layer to create when it is missing. states: folder of what `resume` reads."""

    layer: str
    batch: int
    dry_run: bool
    resume: bool
    create: Mapping[str, str] | None
    states: Path


class Run:
    """An import with its totals."""

    def __init__(self, client: Client, options: Options, problems: Problems, progress: Progress) -> None:
        self._client = client
        self._options = options
        self._problems = problems
        self._progress = progress
        self._begun = time.monotonic()
        self._sender: Sender | None = None

    def geojson(self, paths: Sequence[Path], keys: geojson.Keys, srid: int | None) -> dict[str, Any]:
        """Import GeoJSON files; return what was done. srid: None takes what they say. Raises Stopped, Refused, Unreachable, OSError."""
        srids = {path: srid or geojson.srid_of(path) for path in paths}
        if len(set(srids.values())) > 1:
            raise Stopped("the files have different reference systems; import them one by one, or say --srid")
        chosen = srids[paths[0]]

        def items(seen: Seen, folder: Path) -> Iterator[Item]:
            for path in paths:
                self._progress.begin(path.name, path.stat().st_size, "bytes")
                yield from geojson.items(path, keys, self._options.layer, seen, self._problems, self._progress.advance)

        files = [(path.name, lambda path=path: path.open("rb")) for path in paths]
        return self._run(paths, files, {"id": keys.id, "name": keys.name, "srid": chosen}, chosen, items, lambda count: None)

    def gtfs(self, paths: Sequence[Path]) -> dict[str, Any]:
        """Import GTFS feeds; return what was done. Raises Stopped, Refused, Unreachable, OSError."""
        with ExitStack() as open_feeds:
            feeds = []
            for path in paths:
                feeds.append(Feed(path))
                open_feeds.callback(feeds[-1].close)

            def items(seen: Seen, folder: Path) -> Iterator[Item]:
                for number, feed in enumerate(feeds):
                    place = folder / str(number)
                    place.mkdir()
                    yield from self._feed(feed, seen, place)

            files: list[tuple[str, Callable[[], BinaryIO]]] = []
            for feed in feeds:
                if feed.path.is_dir():
                    files += [(name, lambda feed=feed, name=name: feed.open(name)) for name in feed.names()]  # type: ignore[misc]
                else:
                    files.append((feed.path.name, lambda path=feed.path: path.open("rb")))  # type: ignore[misc]
            return self._run(paths, files, {}, geojson.WGS84, items, self._progress.advance)

    def _feed(self, feed: Feed, seen: Seen, folder: Path) -> Iterator[Item]:
        names = feed.names()
        self._progress.begin(f"reading {feed.path.name}", sum(feed.size(name) for name in names), "bytes")
        network = Network(feed, self._problems, self._progress.advance)
        trips = Trips(feed, network, self._problems, folder, self._progress.advance) if network.read() else None
        try:
            if trips is not None:
                trips.read()
            total = len(network.stops) + (trips.count() if trips is not None else 0)
            self._progress.begin(f"writing {feed.path.name}", total, "nodes")
            yield from Nodes(feed, network, trips, self._options.layer, seen, self._problems, self._options.dry_run)
        finally:
            if trips is not None:
                trips.close()

    def _run(
        self,
        paths: Sequence[Path],
        files: Files,
        key: Mapping[str, Any],
        srid: int,
        items: Callable[[Seen, Path], Iterable[Item]],
        confirmed: Callable[[int], None],
    ) -> dict[str, Any]:
        options, names = self._options, [path.name for path in paths]
        self._client.log_in()  # a wrong password, or none such layer, is told before a large file is read
        self._ensure_layer()
        state = State(None, "", {})
        if not options.dry_run:
            about = {"layer": options.layer, "url": self._client.url}
            state = State(options.states, resume.digest({**key, **about}, files), {**about, "files": names})
        done = state.load() if options.resume else 0
        if done:
            self._progress.tell(f"going on after {done} nodes that an earlier run wrote")
        elif options.resume:
            self._progress.tell("there is no unfinished import of these files to this layer; beginning at the first node")
        target = Target(self._client, options.layer, srid, options.batch, options.dry_run)
        self._sender = Sender(target, self._problems, self._progress, state)
        with tempfile.TemporaryDirectory(prefix="gatehouse-import-") as folder:
            seen = Seen(Path(folder))
            try:
                self._sender.send(items(seen, Path(folder)), done, confirmed)
            finally:
                seen.close()
        state.finish()
        if not options.dry_run:
            self._note(names)
        return self.document()

    def _ensure_layer(self) -> None:
        fields = self._options.create
        if self._client.layer(self._options.layer) is not None:
            return
        if fields is None:
            raise Stopped(f"there is no layer {self._options.layer} (--create-layer creates it)")
        if self._options.dry_run:
            raise Stopped(f"the layer {self._options.layer} does not exist, and a dry run creates none; create it first, without --dry-run")
        self._client.create_layer({"name": self._options.layer, **fields})
        self._progress.tell(f"created the layer {self._options.layer}")

    def _note(self, names: Sequence[str]) -> None:
        """Leave at the layer what was imported; an import does not fail for that."""
        text = f"{self.totals_text()} from {', '.join(names)}"
        try:
            self._client.note_status(self._options.layer, text[:1000])
        except Refused as error:
            self._progress.tell(f"the layer's status could not be written: {error}")

    def confirmed(self) -> int:
        """Return how many nodes the service has, of this run and the ones before."""
        totals = self._sender.totals if self._sender is not None else None
        return totals.resumed + totals.created + totals.updated if totals is not None else 0

    def totals_text(self) -> str:
        """Say what was done in a few words."""
        assert self._sender is not None
        totals = self._sender.totals
        words = [f"{totals.created} created", f"{totals.updated} updated"]
        words += [f"{count} {word}" for count, word in ((totals.skipped, "skipped"), (totals.resumed, "written before")) if count]
        return ", ".join(words)

    def document(self) -> dict[str, Any]:
        """Return what was done, for programs."""
        assert self._sender is not None
        totals = self._sender.totals
        return {
            "layer": self._options.layer,
            "dry_run": self._options.dry_run,
            "created": totals.created,
            "updated": totals.updated,
            "skipped": totals.skipped,
            "resumed": totals.resumed,
            "left_out": dict(self._problems.left_out),
            "notes": dict(self._problems.notes),
            "seconds": round(time.monotonic() - self._begun, 3),
        }
