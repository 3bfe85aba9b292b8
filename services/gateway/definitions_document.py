"""Writes docs/definitions.md: every field of a definition, from the docstrings of the modules that read it and from their reading itself.

`python -m services.gateway.definitions_document > docs/definitions.md`. The `Fields:` of a docstring say of each field since which release
Tyk has it (`own` = Tyk does not have it), what it does, and after `Differs:` what is different here. A reader that takes notes finds the
type and the default; behind the release `required`, or the default in words, takes the place of the latter. Tests keep the file, the
docstrings and the reading in step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from types import ModuleType
from typing import Any, Final, NamedTuple

from services.gateway.chain import ORDER
from services.gateway.definitions import (
    authentication_schema,
    error_schema,
    event_schema,
    field_names,
    schema,
    upstream_schema,
    uptime_schema,
    version_schema,
)
from services.gateway.definitions.model import LOG, SCRIPT, WEBHOOK
from services.gateway.definitions.not_served import catalogue
from services.gateway.definitions.reader import Choice, Reader, Report
from services.gateway.definitions.schema import ECHOED, DefinitionReader
from services.gateway.refusals import REGISTRY

_HEAD: Final = """\
# API definitions

Every field of an API definition: what it does, and where the gateway differs from Tyk.

A definition is a JSON object, Tyk's classic API definition. Upper and lower case are the same in the names of fields, and `null` means that
a field is absent. The gateway checks the whole definition when it is saved. If there are mistakes, it names all of them at once, each with
its JSON pointer, and saves nothing. An unknown field whose name is close to a known one is a mistake, too; other unknown fields are kept,
with a warning.

* **field**: `*` stands for any key of an object, `[]` for every entry of a list.
* **default**: what an absent field means. *required*: an absent field is a mistake.
* **since**: the first release of Tyk that has the field. The history begins with 1.3, so 1.3 may also mean an earlier release. "—": Tyk
  does not have the field. "unknown": Tyk writes the field, and its source does not say since when.
* **different from Tyk**: what the gateway does in another way than Tyk, or than the releases of Tyk that are named.

This page is generated from the code: `python -m services.gateway.definitions_document > docs/definitions.md`.
"""
_NOT_SERVED: Final = """
## Not served

The gateway does not save a definition that asks for one of these: requests must not pass without a check, a rewriting or a protection that
its author relies on. A field that is empty or switched off, as in most exports of Tyk, asks for nothing; nor do ways of authentication
beside `use_keyless`, as in Tyk. Entries of `extended_paths` ask for nothing in a version without `use_extended_paths`.
"""
_ECHOED: Final = """
## Kept without effect

The gateway accepts these fields without a warning, and gives them back as they came:
"""
_WARNED: Final = """
## Kept with a warning

These fields of Tyk's have no effect either. The gateway keeps them, gives them back, and warns of those that ask for something:
"""
_TABLE: Final = ("| field | type | default | effect | since | different from Tyk |", "| --- | --- | --- | --- | --- | --- |")
_ITEM: Final = re.compile(r"^\* `(?P<path>[^`]+)` \((?P<since>[\w.]+)(?:, (?P<default>[^)]+))?\): (?P<text>.*)$", re.M)
_TELLING: Final = ("one of", "list of text")
_VERSION: Final = "version_data.versions.*"

# Together they make the readers ask for every field that they know.
_MATCHES: Final = ("header_matches", "path_part_matches", "query_val_matches", "request_context_matches", "session_meta_matches")
_ENTRIES: Final = [
    {
        "path": "/a",
        "method_actions": {"GET": {"action": "reply", "code": 200}},
        "timeout": 1,
        "size_limit": 1,
        "triggers": [{"on": "any", "options": {name: {"a": {"match_rx": "a"}} for name in _MATCHES}}],
    }
]
_LISTS: Final = (
    "advance_cache_config", "circuit_breakers", "do_not_track_endpoints", "hard_timeouts", "ignored", "internal", "method_transforms",
    "mock_response", "rate_limit", "size_limits", "track_endpoints", "transform", "transform_headers", "transform_response",
    "transform_response_headers", "url_rewrites", "validate_json", "virtual",
)  # fmt: skip
_SAMPLES: Final[tuple[Mapping[str, Any], ...]] = (
    {
        "version_data": {"versions": {"v": {"paths": {}}}},
        "event_handlers": {"events": {"AuthFailure": [{"handler_name": WEBHOOK}, {"handler_name": LOG}, {"handler_name": SCRIPT}]}},
        "error_overrides": {"not-found": {"status": 410, "message": ""}, "404": [{"response": {"message": ""}}]},
        "auth": {"disable_header": True, "use_param": True, "use_cookie": True},
        "use_oauth2": True,
        "use_basic_auth": True,
        "use_mutual_tls_auth": True,
        "enable_signature_checking": True,
        "enable_jwt": True,
        "jwt_jwks_uris": [{"url": ""}],
        "use_openid": True,
        "openid_options": {"providers": [{}]},
        "auth_configs": {"oidc": {}, "coprocess": {}, "oauth": {}, "basic": {}, "hmac": {}, "jwt": {}},
        "definition": {"location": "url"},
        "response_processors": [
            {"name": "header_injector", "options": {}},
            {"name": "header_transform", "options": {"rev_proxy_header_cleanup": {"headers": ["a"]}}},
        ],
        "uptime_tests": {"check_list": [{"url": ""}]},
        "custom_plugin_auth_enabled": True,
        "custom_middleware": {"pre": [{}], "auth_check": {"name": "a"}, "post_key_auth": [{}], "post": [{}], "response": [{}]},
    },
    {
        "version_data": {
            "versions": {
                "v": {
                    "use_extended_paths": True,
                    "extended_paths": dict.fromkeys(_LISTS, _ENTRIES),
                }
            }
        }
    },
)


class Described(NamedTuple):
    """A field as a docstring has it. since: of Tyk, `own` or `unknown`. default: in words, `required`, or "" for that of the reading."""

    path: str
    since: str
    default: str
    effect: str
    differs: str


class Read(NamedTuple):
    """How a field is read."""

    kind: str
    default: str


class Notes(Report):
    """read: how each field is read, by its path, in the order of reading. paths: of the objects, by their pointers."""

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[str, Read] = {}
        self.paths = {"": ""}

    def path(self, pointer: str) -> str:
        """Return the path of an object or of a list's entry."""
        if pointer not in self.paths:
            parent, _, name = pointer.rpartition("/")
            self.paths[pointer] = f"{self.path(parent)}[]" if name.isdigit() else below(self.path(parent), name)
        return self.paths[pointer]


def below(path: str, name: str) -> str:
    """Return the path of a member."""
    return f"{path}.{name}".removeprefix(".")


class _NoteTaker(Reader):
    """A reader that notes what it is asked for."""

    report: Notes

    def member(self, raw: Any, pointer: str, names: Set[str] | None = None) -> Reader:
        return _NoteTaker(raw, pointer, self.report, names)

    def _note(self, name: str, kind: str, default: str = "") -> None:
        path = below(self.report.path(self.pointer), name)
        self.report.paths.setdefault(self.at(name), path)
        known = self.report.read.get(path)
        # A choice and a list of text also ask for the text or the list, which says less.
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
        least = "0 or more" if default == low == 0 else f"above {low:.0f}"
        self._note(name, f"number {least}, at most {high:.0f}", f"{default:g}")
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
    """Return how each field of a definition is read, by its path, without the objects that only hold others."""
    found: dict[str, Read] = {}
    for sample in _SAMPLES:
        notes = Notes()
        reader = _WholeNoteTaker(sample, notes)
        for step in ORDER:
            step.middleware.fields(reader)
        found.update({path: read for path, read in notes.read.items() if path not in found or read.kind.startswith(_TELLING)})
    return {path: read for path, read in found.items() if read.kind or not any(other.startswith(f"{path}.") for other in found)}


def described_fields(module: ModuleType) -> list[Described]:
    """Return the fields in a module's docstring."""
    found = []
    for item in _ITEM.finditer(_joined(module)):
        path = re.sub(r"^versions\.\*", _VERSION, item["path"])
        effect, _, differs = item["text"].partition(" Differs: ")
        found.append(Described(path, item["since"], item["default"] or "", effect, differs))
    return found


def _joined(module: ModuleType) -> str:
    """Return a docstring with each item on one line."""
    return re.sub(r"\n {2,}", " ", module.__doc__ or "")


def document() -> str:
    """Return the text of docs/definitions.md."""
    read = read_fields()
    lines = [_HEAD, "## The API\n", *_table(schema, read), "\n## Versions\n", *_table(version_schema, read)]
    lines += ["\n## Authentication\n", _about(authentication_schema), "", *_table(authentication_schema, read), "\n## Middlewares\n"]
    lines.append("In the order in which a request meets them. A middleware that a definition does not use costs its requests nothing.")
    for step in ORDER:
        module = step.middleware
        assert isinstance(module, ModuleType)
        name = module.__name__.rpartition(".")[2]
        text, _, refusals = _joined(module).partition("Refusals:")
        about = text.partition("\nFields:\n")[0].strip()
        lines += [f"\n### {name}\n", about, ""]
        lines += _table(module, read) if described_fields(module) else ["It has no fields in a definition."]
        codes = [f"[`{code}`](errors.md)" for code in named_refusals(refusals)]
        lines += ["", f"Refusals: {', '.join(codes) or 'none of its own'}."]
    lines += ["\n## Events\n", *_table(event_schema, read), "\n## Connections to upstreams\n", *_table(upstream_schema, read)]
    lines += ["\n## Uptime tests\n", *_table(uptime_schema, read)]
    lines += ["\n## Errors\n", *_table(error_schema, read)]
    lines += [_NOT_SERVED, "| field | asks for | switched off by |", "| --- | --- | --- |"]
    lines += [_row(f"`{one.path}`", one.what, f"`{one.switched_off_by}`" if one.switched_off_by else "") for one in catalogue()]
    lines += [_ECHOED, ", ".join(f"`{name}`" for name in ECHOED) + ".", _WARNED, *_warned(read)]
    return "\n".join(lines) + "\n"


def _about(module: ModuleType) -> str:
    """Return what a docstring says beneath its first line and before its fields."""
    return _joined(module).partition("\nFields:\n")[0].partition("\n\n")[2].strip()


def named_refusals(text: str) -> list[str]:
    """Return the codes of refusals in a text."""
    return [code for code in re.findall(r"[a-z]+(?:-[a-z]+)+", text) if code in REGISTRY]


def _table(module: ModuleType, read: Mapping[str, Read]) -> Iterator[str]:
    yield from _TABLE
    for one in described_fields(module):
        kind, default = read.get(one.path, Read("", ""))
        since, differs = ("—", one.differs) if one.since == "own" else (one.since, one.differs)
        yield _row(f"`{one.path}`", kind, "*required*" if one.default == "required" else one.default or default, one.effect, since, differs)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _warned(read: Mapping[str, Read]) -> Iterator[str]:
    """Return the items of the last list: Tyk's fields that nothing reads."""
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
