"""What is loaded for one API: the files of its scripts, and what is called in them. Passed as JSON to the process beside the loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Source(NamedTuple):
    """A file. name: as faults name it. language: javascript or python. entry_point: `module:name` of an installed package, "" = a file."""

    name: str
    text: str
    language: str
    entry_point: str = ""


class Entry(NamedTuple):
    """What is called: the kind of script, the name of the object or function, the file's place in the program.

    place: among the entries of its language.
    """

    kind: str
    language: str
    name: str
    source: int
    place: int


class Program(NamedTuple):
    """All scripts of one API. config: what each of them gets as `config`."""

    sources: tuple[Source, ...]
    entries: tuple[Entry, ...]
    config: Mapping[str, Any]

    def of(self, language: str) -> tuple[list[Source], list[Entry]]:
        """Return the files and entries of a language, each in its order."""
        return [one for one in self.sources if one.language == language], [one for one in self.entries if one.language == language]

    def as_json(self) -> dict[str, Any]:
        """Return the program as JSON knows it."""
        return {"sources": self.sources, "entries": self.entries, "config": self.config}

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> Program:
        """Return the program that `as_json` wrote."""
        sources = tuple(Source(*one) for one in given["sources"])
        return cls(sources, tuple(Entry(*one) for one in given["entries"]), given["config"])
