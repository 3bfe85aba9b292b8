"""Definitions that come from a folder of files: as the first content of the database, or as the only truth."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NoReturn

from services.common import logging as logs
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.definitions.sources import FileDefinition, FileMistakes, address, interpret, read_folder
from services.gateway.stores.definitions import (
    ApiIdTaken,
    DefinitionStore,
    NotFound,
    Page,
    PlaceTaken,
    ReadOnly,
    StoredDefinition,
)
from services.gateway.stores.revisions import Revision

log = logs.get(__name__)


def seed(store: DefinitionStore, folder: Path, environ: Mapping[str, str] | None = None) -> list[FileMistakes]:
    """Store the folder's definitions that the database never knew; a definition that an operator deleted stays deleted.

    Gives the files that could not be used; they stop nothing. Safe when several processes do it at once.
    """
    definitions, wrong = read_folder(folder)
    for definition in definitions:
        if store.revisions(definition.api_id) or store.revisions(definition.id):
            continue
        try:
            interpreted = interpret(definition.raw, environ)
            store.create(
                definition.raw,
                definition.hook_references,
                address=address(interpreted),
                active=interpreted.active,
                who="definitions folder",
                action="seeded",
            )
        except Mistakes as error:
            wrong.append(FileMistakes(definition.file, error.mistakes))
        except PlaceTaken:
            wrong.append(FileMistakes(definition.file, (Mistake("/proxy/listen_path", "another active API owns this place"),)))
        except ApiIdTaken:
            continue  # another process was quicker
    log_mistakes(wrong)
    return wrong


def log_mistakes(files: Iterable[FileMistakes]) -> None:
    for file in files:
        mistakes = [f"{one.pointer}: {one.message}" for one in file.mistakes]
        log.error("a definition of the folder cannot be used", file=file.name, mistakes=mistakes)


class FileDefinitions(DefinitionStore):
    """The definitions of a folder, when the folder is the only truth. `all` reads it again; writes raise ReadOnly.

    A file that became wrong changes nothing: what it said when it was last right goes on, and `mistakes` says what is wrong now. One that
    is wrong from the start is given as it is, so that it keeps its place, when it can be read at all.
    """

    source: Literal["database", "files"] = "files"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._read: list[StoredDefinition] | None = None
        self._right: dict[str, FileDefinition] = {}
        self.mistakes: list[FileMistakes] = []

    def all(self) -> list[StoredDefinition]:
        with self._lock:
            found, wrong = read_folder(self._folder)
            for definition in found:
                try:
                    interpret(definition.raw)
                except Mistakes as error:
                    wrong.append(FileMistakes(definition.file, error.mistakes))
            faulty = {file.name for file in wrong}
            right = {one.file: one for one in found if one.file not in faulty}
            taken = {one.api_id for one in right.values()}
            right |= {name: one for name, one in self._right.items() if name in faulty and one.api_id not in taken}
            known = {one.api_id for one in right.values()}
            serving = [*right.values(), *(one for one in found if one.api_id not in known)]
            self._right, self.mistakes = right, wrong
            stored = (StoredDefinition(one.id, one.api_id, 1, one.raw, one.hook_references) for one in serving)
            self._read = sorted(stored, key=_order)
            log_mistakes(wrong)
            return list(self._read)

    def get(self, key: str) -> StoredDefinition | None:
        return next((one for one in self._known() if key in (one.id, one.api_id)), None)

    def known(self, api_ids: set[str]) -> dict[str, str]:
        return {one.api_id: str(one.raw.get("name") or "") for one in self._known() if one.api_id in api_ids}

    def page(self, number: int = 0, size: int = 10, query: str = "") -> Page:
        items = [one for one in self._known() if query.lower() in _searched(one)]
        shown = items if number < 0 else items[number * size : (number + 1) * size]
        return Page(shown, len(items))

    def create(self, *_: Any, **__: Any) -> NoReturn:
        raise ReadOnly

    def update(self, *_: Any, **__: Any) -> NoReturn:
        raise ReadOnly

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise ReadOnly

    def generation(self) -> int:
        return 0

    def revisions(self, key: str) -> list[Revision]:
        return []

    def revision(self, key: str, number: int) -> Revision:
        raise NotFound

    def _known(self) -> list[StoredDefinition]:
        return self.all() if self._read is None else self._read


def _order(definition: StoredDefinition) -> tuple[str, str]:
    return str(definition.raw.get("name") or ""), definition.id


def _searched(definition: StoredDefinition) -> str:
    proxy = definition.raw.get("proxy")
    path = proxy.get("listen_path") if isinstance(proxy, Mapping) else ""
    return "\n".join(str(part or "") for part in (definition.raw.get("name"), definition.id, definition.api_id, path)).lower()
