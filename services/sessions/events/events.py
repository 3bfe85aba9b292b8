"""Events: operations that a client fires by POST. One description of each serves JSON clients, the forms of the pages and OpenAPI.

An event's body is a positional JSON list; an object by name and form fields, by name or by position, mean the same. Values that may be left
out may also be null, and in a form empty (Tygron's SDKs; `docs/sessions.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.sessions import refusals

Run = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """What values of a parameter are. name: for people. read: takes a JSON value, gives what the handler gets; raises ValueError with what
    is expected. parse: takes the text of a form field, gives the JSON value that
    it means; one that means none is given as it is. choices: of a selection. schema: for OpenAPI.
    """

    name: str
    read: Callable[[Any], Any]
    parse: Callable[[str], Any]
    schema: Mapping[str, Any]
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of an event. optional: it may be left out or null; the handler gets None."""

    name: str
    kind: Kind
    help: str
    optional: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One event. names: the first is primary, the others mean the same. level: what the caller must have. changes: whether it changes
    anything; a token that may only read fires those that do not. by_get: whether programs may also fire it by GET, where today's clients
    do; it has no parameters then. run: the handler; its docstring is the description.
    shape: turns a positional list into one of all parameters, for events whose lists have come in several shapes.
    """

    names: tuple[str, ...]
    level: str
    parameters: tuple[Parameter, ...]
    run: Run
    changes: bool = True
    answer: Mapping[str, Any] = field(default_factory=dict)
    shape: Callable[[list[Any]], list[Any]] = list
    by_get: bool = False

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def description(self) -> str:
        """Return what the event does, as its handler says."""
        return (self.run.__doc__ or "").strip()

    def described(self) -> dict[str, Any]:
        """Return what the event is, for programs."""
        parameters = [
            {"name": one.name, "type": one.kind.name, "optional": one.optional, "about": one.help, "choices": list(one.kind.choices)}
            for one in self.parameters
        ]
        return {
            "name": self.name,
            "aliases": list(self.names[1:]),
            "level": self.level,
            "about": self.description,
            "parameters": parameters,
        }


class EventSet:
    """Events under one address. names: the first is primary. Event names are case-blind, those of sets as well."""

    def __init__(self, *names: str, title: str) -> None:
        self.names = names
        self.title = title
        self._events: dict[str, Event] = {}

    def event(
        self,
        *names: str,
        level: str,
        parameters: Sequence[Parameter] = (),
        changes: bool = True,
        answer: Mapping[str, Any] | None = None,
        shape: Callable[[list[Any]], list[Any]] = list,
        by_get: bool = False,
    ) -> Callable[[Run], Run]:
        """Add the decorated function as an event; see `Event`."""

        def decorate(run: Run) -> Run:
            made = Event(names, level, tuple(parameters), run, changes, answer or {}, shape, by_get)
            for name in names:
                if name.lower() in self._events:
                    raise ValueError(f"{name} is there twice")
                self._events[name.lower()] = made
            return run

        return decorate

    def find(self, name: str) -> Event | None:
        """Return the event of a name, in any case."""
        return self._events.get(name.lower())

    def __iter__(self) -> Iterator[Event]:
        """Give each event once, in the order in which they were added."""
        return iter({event.name: event for event in self._events.values()}.values())


def by_position(event: Event, values: Sequence[Any]) -> list[Any]:
    """Read the values of a positional list. Returns one for each parameter. Raises Refusal 400."""
    return _read(event, event.shape(list(values)))


def by_name(event: Event, values: Mapping[str, Any]) -> list[Any]:
    """Read values by name, in any case, or by position as text: `{"0": …}`. Returns one for each parameter. Raises Refusal 400."""
    return _read(event, _placed(event, values))


def from_form(event: Event, fields: Mapping[str, str]) -> list[Any]:
    """Read the fields of a form, as `by_name`. Returns one value for each parameter. Raises Refusal 400."""
    placed = _placed(event, {name: text for name, text in fields.items() if text.strip() or not _is_optional(event, name)})
    parameters = event.parameters
    parsed = [text if text is None else one.kind.parse(text) for one, text in zip(parameters, placed, strict=False)]
    return _read(event, parsed)


def _is_optional(event: Event, name: str) -> bool:
    return any(one.optional and name.lower() in (one.name.lower(), str(place)) for place, one in enumerate(event.parameters))


def _placed(event: Event, values: Mapping[str, Any]) -> list[Any]:
    """Put values by name in the order of the parameters; when all names are numbers, it is a positional list."""
    positions = {str(place): place for place in range(len(event.parameters))}
    named = {one.name.lower(): place for place, one in enumerate(event.parameters)}
    numbered = all(name in positions for name in values)
    known = positions if numbered else positions | named
    found: list[Any] = [None] * len(event.parameters)
    given: set[int] = set()
    for name, value in values.items():
        place = known.get(name.lower())
        if place is None:
            raise refusals.invalid_request(f"{event.name} has no value {name[:50]!r}. It takes {signature(event)}.")
        if place in given:
            raise refusals.invalid_request(f"{event.name} has {event.parameters[place].name} twice.", event.parameters[place].name)
        given.add(place)
        found[place] = value
    return event.shape(found[: max(given) + 1]) if numbered and given else found


def signature(event: Event) -> str:
    """Write the parameters for a message: `sessionType, project, language?`."""
    return ", ".join(f"{one.name}{'?' if one.optional else ''}" for one in event.parameters) or "no values"


def _read(event: Event, values: list[Any]) -> list[Any]:
    if len(values) > len(event.parameters):
        raise refusals.invalid_request(f"{event.name} takes {signature(event)}; {len(values)} values are too many.")
    values = values + [None] * (len(event.parameters) - len(values))
    found = []
    for parameter, value in zip(event.parameters, values, strict=True):
        if value is None and not parameter.optional:
            raise refusals.invalid_request(f"{event.name} needs {parameter.name}. It takes {signature(event)}.", parameter.name)
        found.append(None if value is None else _told(event, parameter, value))
    return found


def _told(event: Event, parameter: Parameter, value: Any) -> Any:
    try:
        return parameter.kind.read(value)
    except ValueError as error:
        raise refusals.invalid_request(f"{parameter.name} of {event.name}: {error}", parameter.name, str(error)) from None
