"""Reads what is loaded for one API: the files that its definition names or its folders hold, and the functions that packages register."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from services.gateway.definitions.model import Script
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.scripts import files
from services.gateway.scripts.checking import place_of
from services.gateway.scripts.program import Entry, Program, Source

# What packages register functions in (`[project.entry-points."gatehouse.middleware"]`).
GROUP: Final = "gatehouse.middleware"


def read_program(folder: Path, scripts: Sequence[Script], config: dict[str, Any]) -> tuple[Program, list[files.ReadFile]]:
    """Read the sources of scripts; return the program, its entries in the order of the scripts, and the files. Raises Mistakes."""
    sources: dict[tuple[str, str], int] = {}
    texts: list[Source] = []
    entries: list[Entry] = []
    read: list[files.ReadFile] = []
    mistakes: list[Mistake] = []
    counts = {"javascript": 0, "python": 0}
    for script in scripts:
        where = (script.language, script.path or script.blob or f"entry point {script.name}")
        if where not in sources:
            try:
                source, file = _source(folder, script)
            except files.BadFile as error:
                mistakes.append(Mistake(place_of(script), str(error)))
                continue
            if file is not None:
                read.append(file)
            sources[where] = len(texts)
            texts.append(source)
        entries.append(Entry(script.kind, script.language, script.name, sources[where], counts[script.language]))
        counts[script.language] += 1
    if mistakes:
        raise Mistakes(mistakes)
    return Program(tuple(texts), tuple(entries), config), read


def _source(folder: Path, script: Script) -> tuple[Source, files.ReadFile | None]:
    """Return a source, and the file that it is from. Raises BadFile, whose text names the script."""
    try:
        if script.path:
            text, file = files.read(folder, script.path)
            return Source(script.path, text, script.language), file
        if script.blob:
            return Source(f"blob of {script.name}", files.decoded(script.blob), script.language), None
        return _registered(script.name), None
    except files.BadFile as error:
        raise files.BadFile(f"`{script.path[:100] or (script.name if not script.blob else 'the blob')}` {error}") from None


def _registered(name: str) -> Source:
    """Return what a package registers by this name, without importing it. Raises BadFile.

    Its text is the package with its version: with another one, another process loads it.
    """
    found = {(one.value, one.dist and (one.dist.name, one.dist.version)) for one in entry_points(group=GROUP, name=name)}
    if not found:
        raise files.BadFile(f"is registered by no installed package ({GROUP}), and there is no path of a file")
    if len(found) > 1:
        raise files.BadFile(f"is registered by several packages ({GROUP}): {', '.join(sorted(value for value, _ in found))}")
    [(value, package)] = found
    return Source(f"entry point {name}", str(package), "python", value)
