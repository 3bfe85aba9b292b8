"""Reads JSON objects field by field and gathers every mistake with its place, instead of stopping at the first.

Field names are compared without regard to case, and a field that is `null` is absent. Go reads JSON in this way, so definitions written for
Tyk load unchanged.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from services.gateway.definitions.field_names import ANYWHERE, CLOSING_LISTS, HOMES, near

Choice = TypeVar("Choice", bound=str)

_NOT_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
_DEEPEST: Final = 100  # levels; functions that walk through a document recurse once per level
_LONGEST_NAME: Final = 256  # characters; a name is repeated in the pointers of all that is below it
_MOST_COMPARED: Final = 200  # unknown fields of one object that are compared with known names; nobody writes more by hand
_NOTHING: Final[tuple[Any, ...]] = (None, False, 0, "", "0s", [])
_KINDS: Final = {bool: "true or false", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}


class Mistake(NamedTuple):
    """pointer: RFC 6901, "" = the whole document. message: what is wrong there and what is expected."""

    pointer: str
    message: str


class Mistakes(Exception):
    """All the mistakes of a document at once. unread: pointers and values of its fields that mean nothing here."""

    def __init__(self, mistakes: Iterable[Mistake], unread: Iterable[tuple[str, Any]] = ()) -> None:
        self.mistakes: tuple[Mistake, ...] = tuple(mistakes)
        self.unread: tuple[tuple[str, Any], ...] = tuple(unread)
        super().__init__("; ".join(f"{mistake.pointer or '/'}: {mistake.message}" for mistake in self.mistakes))


class _Fields:
    """The fields of one object: by their name in lower case, as they were given; and which of them were read.

    names: as of `Reader`.
    """

    __slots__ = ("given", "names", "pointer", "read")

    def __init__(self, pointer: str, names: Set[str] | None) -> None:
        self.pointer = pointer
        self.names = names
        self.given: dict[str, tuple[str, Any]] = {}
        self.read: set[str] = set()

    def unread(self) -> Iterator[tuple[str, Any]]:
        return ((join(self.pointer, key), value) for folded, (key, value) in self.given.items() if folded not in self.read)

    def misspelled(self) -> Iterator[Mistake]:
        """Find the unread fields that are spelled nearly like a known one, or that would keep somebody out in another place only."""
        harmless = ANYWHERE if self.names is None else self.names
        unread = [name for name, (_, value) in self.given.items() if name not in self.read and name not in harmless and value is not None]
        known = self.read | (self.names or frozenset()) if unread else frozenset()
        for folded in unread[:_MOST_COMPARED]:
            key, value = self.given[folded]
            home = HOMES.get(folded, "") if self.names is not None and _closes(folded, value) else ""
            meant = "" if home else near(folded, known)
            if home:
                yield Mistake(join(self.pointer, key), f"{folded} belongs in {home}; here it has no effect")
            elif meant:
                yield Mistake(join(self.pointer, key), f"`{key}` is not known here; did you mean `{meant}`?")


class Report:
    """What was found while reading: mistakes, one for each place, and the places of fields that nothing read."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._places: set[str] = set()
        # Not the readers: they refer to their report, and loading would leave thousands of reference cycles to the garbage collector.
        self.objects: list[_Fields] = []
        self.compared: list[_Fields] = []  # whose unread fields may be misspelled ones

    def add(self, pointer: str, message: str) -> None:
        """Add a mistake, unless its place has one: the first is the one that helps, the others follow from it."""
        if pointer not in self._places:
            self._places.add(pointer)
            self.mistakes.append(Mistake(pointer, message))

    def unknown(self) -> list[tuple[str, Any]]:
        """Return pointers and values of the fields that nothing read, except those that are mistakes."""
        return [field for fields in self.objects for field in fields.unread() if field[0] not in self._places]

    def compare_names(self) -> None:
        """Add the mistakes of fields that nothing read because of their spelling or their place. Call it when everything is read."""
        for fields in self.compared:
            for mistake in fields.misspelled():
                self.add(*mistake)


def says_nothing(value: Any) -> bool:
    """Tell whether a field with this value is as good as absent: exports of Tyk hold every field, most of them zero."""
    if isinstance(value, Mapping):
        return all(says_nothing(member) for member in value.values())
    return value in _NOTHING


def _closes(name: str, value: Any) -> bool:
    """Tell whether a field of `HOMES` keeps somebody out. Extended paths may only open some."""
    if name == "extended_paths" and isinstance(value, Mapping):
        return any(not says_nothing(member) for key, member in value.items() if key.lower() in CLOSING_LISTS)
    return not says_nothing(value)


def join(pointer: str, name: str | int) -> str:
    """Return the pointer of a member (RFC 6901, section 3)."""
    return f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"


class Reader:
    """One JSON object. Each getter gives a value of the right type: the default when the field is absent, null or wrong.

    names: fields that Tyk knows here, in lower case, besides those that are read; None = not listed.
    """

    def __init__(self, raw: Any, pointer: str, report: Report, names: Set[str] | None = None) -> None:
        self.pointer = pointer
        self.report = report
        self._own = _Fields(pointer, names)
        self._fields, self._read = self._own.given, self._own.read
        if not isinstance(raw, Mapping):
            if raw is not None:
                report.add(pointer, f"must be an object, not {_kind(raw)}")
            raw = {}
        for key, value in raw.items():
            folded = str(key).lower()
            if folded in self._fields:
                report.add(join(pointer, key), f"is the same field as `{self._fields[folded][0]}`: case does not count")
            self._fields[folded] = (key, value)
        report.objects.append(self._own)
        report.compared.append(self._own)

    def __contains__(self, name: str) -> bool:
        return self._fields.get(name, ("", None))[1] is not None

    def at(self, name: str) -> str:
        """Return the pointer of a field, spelled as it was given."""
        return join(self.pointer, self._fields.get(name, (name, None))[0])

    def mistake(self, name: str, message: str) -> None:
        self.report.add(self.at(name), message)

    def value(self, name: str) -> Any:
        self._read.add(name)
        return self._fields.get(name, ("", None))[1]

    def _typed(self, name: str, kind: type | tuple[type, ...], default: Any) -> Any:
        value = self.value(name)
        if value is None:
            return default
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
        wanted = _KINDS[kind if isinstance(kind, type) else kind[0]]
        self.mistake(name, f"must be {wanted}, not {_kind(value)}")
        return default

    def text(self, name: str, default: str = "") -> str:
        value: str = self._typed(name, str, default)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value: bool = self._typed(name, bool, default)
        return value

    def integer(self, name: str, default: int = 0, low: int = 0, high: int = 2**53) -> int:
        value = self._typed(name, (int, float), default)
        if not low <= value <= high or value != int(value):  # in this order: infinity has no `int`
            self.mistake(name, f"must be a whole number from {low} to {high}")
            return default
        return int(value)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Read a number above `low`, at most `high`."""
        value = self._typed(name, (int, float), default)
        if value != default and not low < value <= high:
            self.mistake(name, f"must be a number above {low:g} and at most {high:g}")
            return default
        return float(value)

    def limit(self, name: str, high: int = 2**53) -> float:
        """Read a number from 0 to `high`, or -1 for no limit, which is also the default."""
        value = self._typed(name, (int, float), -1)
        if value != -1 and not 0 <= value <= high:
            self.mistake(name, f"must be a number from 0 to {high}, or -1 (no limit)")
            return -1
        return float(value)

    def choice(self, name: str, choices: tuple[Choice, ...], default: Choice) -> Choice:
        value = self.text(name, default)
        for choice in choices:
            if value == choice:
                return choice
        self.mistake(name, f"must be one of {', '.join(choices)}, not `{value}`")
        return default

    def member(self, raw: Any, pointer: str, names: Set[str] | None = None) -> Reader:
        """Return a reader of what `items` or `mapping` found."""
        return Reader(raw, pointer, self.report, names)

    def object(self, name: str, names: Set[str] | None = None) -> Reader:
        """Read a nested object, empty when it is absent."""
        return self.member(self.value(name), self.at(name), names)

    def opaque(self, name: str, names: Set[str] | None = None) -> Reader:
        """Read a nested object whose unread fields are not reported: they are Tyk's and have no meaning here.

        Names are compared only where `names` are given.
        """
        inner = self.object(name, names)
        self.report.objects.pop()
        if names is None:
            self.report.compared.pop()
        return inner

    def disregard(self) -> None:
        """Stop reporting unread fields of this object as unknown or misspelled; mistakes in it still count."""
        self.report.objects.remove(self._own)
        self.report.compared.remove(self._own)

    def mapping(self, name: str) -> list[tuple[str, Any, str]]:
        """Read the members of an object whose keys are the user's names: (key, value, pointer). Case counts."""
        value = self._typed(name, dict, {})
        return [(key, member, join(self.at(name), key)) for key, member in value.items()]

    def items(self, name: str) -> list[tuple[Any, str]]:
        """Read the elements of a list: (value, pointer)."""
        value = self._typed(name, list, [])
        return [(element, join(self.at(name), index)) for index, element in enumerate(value)]

    def texts(self, name: str) -> list[tuple[str, str]]:
        """Read the elements of a list of strings: (value, pointer)."""
        found = []
        for element, pointer in self.items(name):
            if isinstance(element, str):
                found.append((element, pointer))
            else:
                self.report.add(pointer, f"must be a string, not {_kind(element)}")
        return found


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return _KINDS[dict] if isinstance(value, dict) else _KINDS.get(type(value), type(value).__name__)


class _Members(dict[str, Any]):
    """A JSON object that remembers which of its keys came twice."""

    twice: tuple[str, ...] = ()


def read_json(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises Mistakes: not JSON, not an object, nested too deeply, a key given twice, text that no database keeps.
    """
    try:
        document = json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant)
    except RecursionError:
        raise Mistakes([Mistake("", "is nested too deeply")]) from None
    except UnicodeDecodeError:
        raise Mistakes([Mistake("", "is not UTF-8")]) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Mistakes([Mistake("", f"is not valid JSON: {error.msg} ({where})")]) from None
    except ValueError as error:
        raise Mistakes([Mistake("", f"is not valid JSON: {error}")]) from None
    wrong = list(_unkeepable(document, "", _DEEPEST))
    if wrong:
        raise Mistakes(wrong)
    if not isinstance(document, dict):
        raise Mistakes([Mistake("", f"must be an object, not {_kind(document)}")])
    return document


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = _Members(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        members.twice = tuple(sorted(name for name, times in Counter(names).items() if times > 1))
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _unkeepable(value: Any, pointer: str, levels: int) -> Iterator[Mistake]:
    """Find what JSON allows, but what cannot be stored and given back as it is."""
    if levels < 0:
        yield Mistake(pointer, f"is nested too deeply: {_DEEPEST} levels are allowed")
    elif isinstance(value, str):
        if _NOT_TEXT.search(value):
            yield Mistake(pointer, "holds a NUL or half of a surrogate pair")
    elif isinstance(value, _Members):
        for name in value.twice:
            yield Mistake(join(pointer, name), "is given twice")
        for key, member in value.items():
            if len(key) > _LONGEST_NAME:
                yield Mistake(pointer, f"has a field whose name is longer than {_LONGEST_NAME} characters")
            elif _NOT_TEXT.search(key):
                yield Mistake(pointer, "has a field whose name holds a NUL or half of a surrogate pair")
            else:
                yield from _unkeepable(member, join(pointer, key), levels - 1)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from _unkeepable(element, join(pointer, index), levels - 1)
