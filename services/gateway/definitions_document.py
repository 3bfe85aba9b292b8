"""Writes docs/definitions.md: every field of a definition, from the docstrings of those who read it and from their reading itself.

`python -m services.gateway.definitions_document > docs/definitions.md`. The `Fields:` of a docstring say of each field since when Tyk has
it (`own` = never), what it does, and after `Differs:` what is different here. Type and default are those of the reading, which is done with
a reader that takes notes. Tests keep the file, the docstrings and the reading in step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from types import ModuleType
from typing import Any, Final, NamedTuple

from services.gateway.chain import ORDER
from services.gateway.definitions import error_schema, event_schema, field_names, schema, version_schema
from services.gateway.definitions.model import LOG, WEBHOOK
from services.gateway.definitions.not_served import catalogue
from services.gateway.definitions.reader import Choice, Reader, Report
from services.gateway.definitions.schema import ECHOED, DefinitionReader
from services.gateway.refusals import REGISTRY

_HEAD: Final = """\
# API definitions

Written from the docstrings and the readers of the middlewares (`python -m services.gateway.definitions_document > docs/definitions.md`);
tests keep them in step.

A definition is Tyk's classic API definition, a JSON object. Names of fields are read in any case; `null` is a field that is absent. A
definition is checked whole when it is saved: every mistake is named at once with its JSON pointer, and nothing is saved. A field whose name
is nearly that of a known one is a mistake, too. All other unknown fields are kept, and named as warnings.

* **default**: what an absent field means. *required*: an absent field is a mistake.
* **since**: the first release of Tyk whose definition has the field; up to 2.2 the definition's own library on the day of the release. 1.3
  is the oldest that is known, so it stands for earlier ones, too. "—": Tyk has no such field. "unknown": Tyk writes it, and no definition
  of a release names it.
* **different from Tyk**: what the gateway does otherwise than Tyk, or than the named releases of Tyk.
* In names, `*` is any key of an object, and `[]` any entry of a list.
"""
_NOT_SERVED: Final = """
## Not served

Where a definition asks for one of these it is a mistake, and is not saved: requests must not pass without a check, a rewriting or a
protection that its author relies on. Empty or switched off, as in most exports of Tyk, it is nothing. `use_keyless` outranks the ways of
authentication other than client certificates, as in Tyk. Entries of extended_paths do nothing while their version does not use them.
"""
_ECHOED: Final = """
## Kept without a meaning

Accepted without a warning, given back as they came:
"""
_WARNED: Final = """
## Kept with a warning

Tyk's; kept, given back, and named in a warning when they ask for something:
"""
_TABLE: Final = ("| field | type | default | effect | since | different from Tyk |", "| --- | --- | --- | --- | --- | --- |")
_ITEM: Final = re.compile(r"^\* `(?P<path>[^`]+)` \((?P<since>[\w.]+)(?P<required>, required)?\): (?P<text>.*)$", re.M)
_TELLING: Final = ("one of", "list of text")
_VERSION: Final = "version_data.versions.*"

# Reading them comes by every field that is read at all.
_ENTRIES: Final = [{"path": "/a", "method_actions": {"GET": {"action": "reply", "code": 200}}, "timeout": 1, "size_limit": 1}]
_SAMPLES: Final[tuple[Mapping[str, Any], ...]] = (
    {
        "version_data": {"versions": {"v": {"paths": {}}}},
        "event_handlers": {"events": {"AuthFailure": [{"handler_name": WEBHOOK}, {"handler_name": LOG}]}},
        "error_overrides": {"not-found": {"status": 410, "message": ""}},
        "auth": {"disable_header": True, "use_param": True, "use_cookie": True},
        "definition": {"location": "url"},
    },
    {
        "version_data": {
            "versions": {
                "v": {
                    "use_extended_paths": True,
                    "extended_paths": dict.fromkeys(("ignored", "hard_timeouts", "size_limits"), _ENTRIES),
                }
            }
        }
    },
)


class Described(NamedTuple):
    """A field as a docstring has it. since: of Tyk, `own` or `unknown`."""

    path: str
    since: str
    required: bool
    effect: str
    differs: str


class Read(NamedTuple):
    """How a field is read."""

    kind: str
    default: str


class Notes(Report):
    """What is read, by the path of the field, in the order of reading. paths: of the objects, by their pointers."""

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[str, Read] = {}
        self.paths = {"": ""}

    def path(self, pointer: str) -> str:
        """The path of an object or a list's entry."""
        if pointer not in self.paths:
            parent, _, name = pointer.rpartition("/")
            self.paths[pointer] = f"{self.path(parent)}[]" if name.isdigit() else below(self.path(parent), name)
        return self.paths[pointer]


def below(path: str, name: str) -> str:
    """The path of a member."""
    return f"{path}.{name}".removeprefix(".")


class _NoteTaker(Reader):
    """Reads, and notes what it is asked for."""

    report: Notes

    def member(self, raw: Any, pointer: str, names: Set[str] | None = None) -> Reader:
        return _NoteTaker(raw, pointer, self.report, names)

    def _note(self, name: str, kind: str, default: str = "") -> None:
        path = below(self.report.path(self.pointer), name)
        self.report.paths.setdefault(self.at(name), path)
        known = self.report.read.get(path)
        # What a choice or a list of text asks for besides says less.
        if known is None or not known.kind or kind.startswith(_TELLING):
            self.report.read[path] = Read(kind, default)

    def value(self, name: str) -> Any:
        self._note(name, "")
        return super().value(name)

    def text(self, name: str, default: str = "") -> str:
        self._note(name, "text", f'"{default}"')
        return super().text(name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        self._note(name, "true or false", str(default).lower())
        return super().flag(name, default)

    def integer(self, name: str, default: int = 0, low: int = 0, high: int = 2**53) -> int:
        span = "" if low <= -(2**53) else f", {low} or more" if high == 2**53 else f", {low} to {high}"
        self._note(name, f"whole number{span}", str(default))
        return super().integer(name, default, low, high)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        self._note(name, f"number above {low:g}, at most {high:g}", f"{default:g}")
        return super().number(name, default, low, high)

    def choice(self, name: str, choices: tuple[Choice, ...], default: Choice) -> Choice:
        found = super().choice(name, choices, default)
        self._note(name, f"{_TELLING[0]} {', '.join(f'`{one}`' for one in choices)}", f"`{default}`")
        return found

    def mapping(self, name: str) -> list[tuple[str, Any, str]]:
        self._note(name, "object", "none")
        found = super().mapping(name)
        path = below(self.report.path(self.pointer), name)
        self.report.paths.update({pointer: f"{path}.*" for _, _, pointer in found})
        return found

    def items(self, name: str) -> list[tuple[Any, str]]:
        self._note(name, "list", "none")
        return super().items(name)

    def texts(self, name: str) -> list[tuple[str, str]]:
        found = super().texts(name)
        self._note(name, _TELLING[1], "none")
        return found


class _WholeNoteTaker(_NoteTaker, DefinitionReader):
    """The same for a whole definition."""


def read_fields() -> dict[str, Read]:
    """Every field that is read of a definition, by its path; objects that only hold others are left out."""
    found: dict[str, Read] = {}
    for sample in _SAMPLES:
        notes = Notes()
        reader = _WholeNoteTaker(sample, notes)
        for step in ORDER:
            step.middleware.fields(reader)
        found.update({path: read for path, read in notes.read.items() if path not in found or read.kind.startswith(_TELLING)})
    return {path: read for path, read in found.items() if read.kind or not any(other.startswith(f"{path}.") for other in found)}


def described_fields(module: ModuleType) -> list[Described]:
    """The fields in a module's docstring."""
    found = []
    for item in _ITEM.finditer(_joined(module)):
        path = re.sub(r"^versions\.\*", _VERSION, item["path"])
        effect, _, differs = item["text"].partition(" Differs: ")
        found.append(Described(path, item["since"], bool(item["required"]), effect, differs))
    return found


def _joined(module: ModuleType) -> str:
    """A docstring with each item in one line."""
    return re.sub(r"\n {2,}", " ", module.__doc__ or "")


def document() -> str:
    """The text of docs/definitions.md."""
    read = read_fields()
    lines = [_HEAD, "## The API\n", *_table(schema, read), "\n## Versions\n", *_table(version_schema, read), "\n## Middlewares\n"]
    lines.append("In the order in which they are asked. A middleware that a definition does not use is not in its chain.")
    for step in ORDER:
        module = step.middleware
        assert isinstance(module, ModuleType)
        name = module.__name__.rpartition(".")[2]
        text, _, refusals = _joined(module).partition("Refusals:")
        about = text.partition("\nFields:\n")[0].strip()
        lines += [f"\n### {name}\n", about, ""]
        lines += _table(module, read) if described_fields(module) else ["It has no fields of its own."]
        codes = [f"[`{code}`](errors.md)" for code in named_refusals(refusals)]
        lines += ["", f"Refusals: {', '.join(codes) or 'none of its own'}."]
    lines += ["\n## Events\n", *_table(event_schema, read), "\n## Errors\n", *_table(error_schema, read)]
    lines += [_NOT_SERVED, "| field | asks for | switched off by |", "| --- | --- | --- |"]
    lines += [_row(f"`{one.path}`", one.what, f"`{one.switched_off_by}`" if one.switched_off_by else "") for one in catalogue()]
    lines += [_ECHOED, ", ".join(f"`{name}`" for name in ECHOED) + ".", _WARNED, *_warned(read)]
    return "\n".join(lines) + "\n"


def named_refusals(text: str) -> list[str]:
    """The codes of refusals in a text."""
    return [code for code in re.findall(r"[a-z]+(?:-[a-z]+)+", text) if code in REGISTRY]


def _table(module: ModuleType, read: Mapping[str, Read]) -> Iterator[str]:
    yield from _TABLE
    for one in described_fields(module):
        kind, default = read.get(one.path, Read("", ""))
        since, differs = ("—", one.differs) if one.since == "own" else (one.since, one.differs)
        yield _row(f"`{one.path}`", kind, "*required*" if one.required else default, one.effect, since, differs)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _warned(read: Mapping[str, Read]) -> Iterator[str]:
    """Tyk's fields that nothing reads."""
    known = {*read, *(one.path.lower() for one in catalogue()), *ECHOED}
    objects = {path[: match.start()] for path in known for match in re.finditer(r"\.|\[\]", path)}
    rooms = {
        "": field_names.DEFINITION,
        "proxy": field_names.PROXY,
        "auth": field_names.AUTH,
        "definition": field_names.VERSIONING,
        _VERSION: field_names.VERSION,
        f"{_VERSION}.extended_paths": field_names.EXTENDED_PATHS,
    }
    for room, names in rooms.items():
        unread = sorted(name for name in names if below(room, name) not in known | objects)
        if unread:
            yield f"* {f'`{room}`' if room else 'the definition itself'}: {', '.join(f'`{name}`' for name in unread)}."


if __name__ == "__main__":
    print(document(), end="")
