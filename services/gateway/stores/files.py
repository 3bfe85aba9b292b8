"""Definitions from a folder of files: the first content of the database, or the only source."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, Self

from services.common import logging as logs
from services.gateway.compiler import interpret
from services.gateway.definitions.claims import claim, place_taken
from services.gateway.definitions.lint import without_effect
from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.definitions.sources import FileDefinition, FileMistakes, read_folder
from services.gateway.stores.callers import Caller
from services.gateway.stores.definition_model import ApiIdTaken, NotFound, Page, PlaceTaken, ReadOnly, StoredDefinition
from services.gateway.stores.definitions import DefinitionStore
from services.gateway.stores.revisions import Entry, Revision

log = logs.get(__name__)


def seed(store: DefinitionStore, folder: Path, environ: Mapping[str, str] | None = None) -> list[FileMistakes]:
    """Store those definitions of the folder that the database never had; a definition that an operator deleted stays deleted.

    Return the files that were refused; they stop nothing. Safe when several processes do it at once.
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
                claim=claim(interpreted),
                who="definitions folder",
                action="seeded",
            )
        except Mistakes as error:
            wrong.append(FileMistakes(definition.file, error.mistakes))
        except PlaceTaken as error:
            wrong.append(FileMistakes(definition.file, (error.mistake,)))
        except ApiIdTaken:
            continue  # another process was quicker
        else:
            log_warnings(definition.file, interpreted)
    log_mistakes(wrong)
    return wrong


def log_mistakes(files: Iterable[FileMistakes]) -> None:
    for file in files:
        mistakes = [f"{one.pointer}: {one.message}" for one in file.mistakes]
        log.error("definition refused", file=file.name, mistakes=mistakes)


def log_warnings(file: str, definition: Definition) -> None:
    """Log what every save reports: fields that are kept and have no effect."""
    warnings = [f"{one.pointer}: {one.message}" for one in without_effect(definition)]
    if warnings:
        log.warning("definition accepted with warnings", file=file, warnings=warnings)


class _Read(NamedTuple):
    """A definition that is right. place: the host and listen path that it owns; None when it is switched off."""

    definition: FileDefinition
    place: str | None


class FileDefinitions(DefinitionStore):
    """The definitions of a folder that is the only source. `all` reads it again; writes raise ReadOnly.

    A file that became wrong changes nothing: what it last said rightly stays in force, and `mistakes` says what is wrong now. One that is
    wrong from the start is returned as it is, so that it keeps its place, if it can be read at all. Of two files for one place the one
    that owned it keeps it, else the first by name. A folder that cannot be read (such as one that is not mounted) is not an empty one.
    """

    source: Literal["database", "files"] = "files"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._whole = self
        self._read: list[StoredDefinition] | None = None
        self._right: dict[str, _Read] = {}
        self.mistakes: list[FileMistakes] = []

    def for_caller(self, caller: Caller) -> Self:
        """Return the folder as the caller sees it; the mistakes of files, which nobody owns, are for who sees everything."""
        own = copy.copy(self)
        own._caller, own.mistakes = caller, [] if caller.org_id else self.mistakes
        return own

    def all(self) -> list[StoredDefinition]:
        with self._lock:
            try:
                os.listdir(self._folder)
            except OSError as error:
                self.mistakes = [FileMistakes(str(self._folder), (Mistake("", f"the folder cannot be read: {error.strerror}"),))]
            else:
                self._read = self._read_again()
            log_mistakes(self.mistakes)
            return list(self._read or ())

    def _read_again(self) -> list[StoredDefinition]:
        """Return what is served now; afterwards `_right` and `mistakes` are up to date."""
        found, wrong = read_folder(self._folder)
        read: dict[str, _Read] = {}
        for definition in found:
            try:
                interpreted = interpret(definition.raw)
            except Mistakes as error:
                wrong.append(FileMistakes(definition.file, error.mistakes))
            else:
                log_warnings(definition.file, interpreted)
                read[definition.file] = _Read(definition, claim(interpreted).place)
        right = self._placed(read, wrong)
        known = {one.definition.api_id for one in right.values()}
        serving = [*(one.definition for one in right.values()), *(one for one in found if one.api_id not in known and one.file not in read)]
        self._right, self.mistakes = right, wrong
        return sorted((StoredDefinition(one.id, one.api_id, 1, one.raw, one.hook_references) for one in serving), key=_order)

    def _placed(self, read: Mapping[str, _Read], wrong: list[FileMistakes]) -> dict[str, _Read]:
        """Return what goes together of the files that are right by themselves, and of what the others last said. Adds mistakes to `wrong`.

        A file that is refused here may keep its former content at a place that a third one wants, so all are checked again after each.
        """
        while True:
            faulty = {file.name for file in wrong}
            right = {name: one for name, one in read.items() if name not in faulty}
            taken = {one.definition.api_id for one in right.values()}
            right |= {name: one for name, one in self._right.items() if name in faulty and one.definition.api_id not in taken}
            conflict = self._conflict(right)
            if conflict is None:
                return right
            wrong.append(conflict)

    def _conflict(self, right: Mapping[str, _Read]) -> FileMistakes | None:
        """Return the mistake of a file that wants the place of another one, if there is one."""
        owners: dict[str, str] = {}
        for name in sorted(right, key=lambda name: (name not in self._right or self._right[name].place != right[name].place, name)):
            place = right[name].place
            if place is not None and owners.setdefault(place, name) != name:
                return FileMistakes(name, (place_taken(owners[place], place),))
        return None

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

    def changed_since(self, generation: int) -> None:
        """Return None: a folder does not say which file changed."""

    def revisions(self, key: str) -> list[Entry]:
        return []

    def revision(self, key: str, number: int) -> Revision:
        raise NotFound

    def revision_before(self, key: str, number: int) -> None:
        return None

    def _known(self) -> list[StoredDefinition]:
        whole = self._whole
        known = whole.all() if whole._read is None else whole._read
        return [one for one in known if self._caller.may_own(one.raw.get("org_id"))]


def _order(definition: StoredDefinition) -> tuple[str, str]:
    return str(definition.raw.get("name") or ""), definition.id


def _searched(definition: StoredDefinition) -> str:
    proxy = definition.raw.get("proxy")
    path = proxy.get("listen_path") if isinstance(proxy, Mapping) else ""
    return "\n".join(str(part or "") for part in (definition.raw.get("name"), definition.id, definition.api_id, path)).lower()
