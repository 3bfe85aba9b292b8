"""The JSON of one version of an API: its name, its end and how its paths match; middlewares read their lists of paths from it.

Fields:
* `versions.*.name` (1.3): Has no effect. Differs: The key in `versions` is the name; in 1.4 and 2.3 both must be the same.
* `versions.*.expires` (1.3): The end of the version, `YYYY-MM-DD HH:MM` in UTC; empty or `-1` = never. Differs: A date that cannot be read
  is a mistake; in Tyk the version has then ended. It also ends the version of an API that is `not_versioned`, as in 1.4 and 2.3; in 3.1 it
  does not.
* `versions.*.use_extended_paths` (1.3): `true` applies `extended_paths` and ignores `paths`; `false` the other way round.
* `versions.*.path_matching` (own): How patterns match the path below the listen path: `search` finds them anywhere in it, `prefix` compares
  whole segments from the start, `exact` compares all of it.
* `versions.*.ignore_endpoint_case` (3.0): Upper and lower case are the same in all patterns of the version.
* `versions.*.overrides` (unknown): Has no effect; it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from services.gateway.definitions import field_names, values
from services.gateway.definitions.checking import checked
from services.gateway.definitions.model import Version
from services.gateway.definitions.not_served import refuse_in_version
from services.gateway.definitions.reader import Mistake, Reader
from services.gateway.routing.overlaps import Line, taken
from services.gateway.routing.patterns import MATCHINGS, PatternError, translate

# Lists whose entries open and close nothing: an empty path means every path, as in Tyk. In others it is a slip.
OF_EVERY_PATH: Final = frozenset({"transform", "transform_headers", "transform_response", "transform_response_headers"})


class VersionReader:
    """One version. extended: whether its extended_paths apply. paths: these, empty when they do not apply. reader: the version's object."""

    __slots__ = ("extended", "paths", "reader", "version")

    def __init__(self, key: str, reader: Reader, expiration: float | None = None) -> None:
        """Read a version. key: in the map of versions; it is the version's name, whatever `name` says. expiration: epoch seconds when the
        whole API ends, None = never.
        """
        self.reader = reader
        reader.text("name")
        end = checked(reader, "expires", reader.text("expires"), values.expires, None)
        self.version = Version(
            name=key,
            expires=min((one for one in (end, expiration) if one is not None), default=None),
            path_matching=reader.choice("path_matching", MATCHINGS, "search"),
            ignore_endpoint_case=reader.flag("ignore_endpoint_case"),
        )
        self.extended = reader.flag("use_extended_paths")
        for ignored_here in ("paths", "extended_paths", "overrides", "global_size_limit"):
            reader.value(ignored_here)
        self.paths = (
            reader.object("extended_paths", field_names.EXTENDED_PATHS)
            if self.extended
            else reader.member(None, reader.at("extended_paths"))
        )
        refuse_in_version(self.paths)

    def entries(self, name: str) -> list[Reader]:
        """Return the entries of a list of extended_paths, without those that are switched off, which are not checked."""
        fills = name in OF_EVERY_PATH and self.version.path_matching != "exact"
        entries = [(_of_every_path(value) if fills else value, pointer) for value, pointer in self.paths.items(name)]
        readers = [self.reader.member(value, pointer) for value, pointer in entries]
        for reader in readers:
            if reader.flag("disabled"):
                reader.disregard()
        return [reader for reader in readers if not reader.flag("disabled")]

    def method(self, entry: Reader) -> str:
        """Read the method of an entry; "" = every method."""
        method = entry.text("method")
        if method and not values.is_method(method):
            entry.mistake("method", values.NO_METHOD)
        return method

    def path(self, entry: Reader, ignore_case: bool = False) -> str:
        """Read and check the pattern of an entry."""
        path = entry.text("path")
        self.check_pattern(path, entry.at("path"), ignore_case)
        return path

    def check_pattern(self, text: str, pointer: str, ignore_case: bool = False) -> None:
        """Add a mistake for a path that is empty or does not compile."""
        if not text:
            self.reader.report.add(pointer, "path is empty; write / to mean every path")
            return
        try:
            translate(text, self.version.path_matching, ignore_case)
        except PatternError as error:
            self.reader.report.add(pointer, f"path `{text[:100]}` is not a regular expression in RE2's syntax: {error}")

    def never_deciding(self, entries: Sequence[Reader]) -> Iterator[Mistake]:
        """Warn of entries of a list that can never decide. entries: as `entries` gives them, each with `path` and `method`."""
        case = self.version.ignore_endpoint_case
        lines = [Line(one.text("path"), [method] if (method := one.text("method")) else None, case) for one in entries]
        for index, other in taken(lines, self.version.path_matching):
            yield Mistake(
                entries[index].pointer, f"never decides: `{lines[other].path}` ({entries[other].pointer}) takes all of its requests"
            )


def _of_every_path(entry: Any) -> Any:
    """Return an entry with the path that an empty one means."""
    if not isinstance(entry, Mapping) or any(key.lower() == "path" and path for key, path in entry.items()):
        return entry
    return {**{key: value for key, value in entry.items() if key.lower() != "path"}, "path": "/"}
