"""Where definitions come from besides the operator API: a folder of JSON files; and what differs between machines, from elsewhere.

A target written `env://UPSTREAM_AUTH/v1`, also that of a version, becomes the value of that environment variable followed by `/v1`, so that
one file serves a laptop, a container and a cluster. Only names that begin with `UPSTREAM_` are read, so that no definition can send another
setting to an upstream. What the signatures of tokens are checked with (`jwt_source`, the URLs of `jwt_jwks_uris`) may also be in a variable
that begins with `TYK_`: a secret belongs there, and not in a definition. An operator allows further names by
`GATEWAY_ENV_ALLOW`. `secrets://NAME` and `file://PATH` stand in the same places for the content of a file (`secret_files.py`). These forms
are what is stored and given back.

A Tyk fills in `env://`, `secrets://`, `vault://` and `consul://` wherever they stand. In other places they are mistakes here: what was
meant to be a secret would be a text that everybody can guess.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from services.gateway.definitions.reader import Mistake, Mistakes, join, read_json
from services.gateway.definitions.secret_files import FOLDER, continued, of_file

_REFERENCES: Final = ("env://", "secrets://", "file://")
# What a Tyk would fill in, and objects that nothing here reads: they ask for nothing, or are mistakes as a whole.
_OF_TYK: Final = re.compile(r"(?<![A-Za-z0-9])(env|secrets|vault|consul)://")
_UNREAD: Final = frozenset({"analytics_plugin", "external_oauth", "graphql", "request_signing", "upstream_auth"})
_PLACES: Final = "target_url, target_list, override_target, jwt_source and jwt_jwks_uris"
_ELSEWHERE: Final = f"is read in {_PLACES} only: write the value itself"
_NEVER_READ: Final = f"is not served: write env://, secrets:// or file:// (in {_PLACES}), or the value itself"
_FROM_ENVIRONMENT: Final = re.compile(r"env://([^/?#]*)(.*)", re.DOTALL)
_NAME: Final = re.compile(r"UPSTREAM_[A-Z0-9_]+")
_NAME_OF_KEY: Final = re.compile(r"(?:UPSTREAM|TYK)_[A-Z0-9_]+")
# Where Gatehouse's own services listen unless the environment says otherwise.
_DEFAULTS: Final = {
    "UPSTREAM_AUTH": "http://127.0.0.1:8101",
    "UPSTREAM_SESSIONS": "http://127.0.0.1:8102",
    "UPSTREAM_TOKENS": "http://127.0.0.1:8103",
    "UPSTREAM_DEVICES": "http://127.0.0.1:8104",
    "UPSTREAM_MOBILITY": "http://127.0.0.1:8105",
}
_ALLOWED: Final = "GATEWAY_ENV_ALLOW"  # a setting, checked at the start
# Settings and secrets of the house: no definition sends one to an upstream, whatever is allowed.
_NEVER: Final = re.compile(r"(?:AUTH|DATABASE|DEVICES|GATEHOUSE|GATEWAY|MOBILITY|SESSIONS|TOKENS|VALKEY)_.*|.*_FILE")
# Stands in for an address that is not known, so that the other mistakes of the definition are found too.
_NOWHERE: Final = "http://upstream.invalid/"


def resolve(raw: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[Mapping[str, Any], list[Mistake]]:
    """Fill in what a definition takes from the environment and from files; return its JSON and the mistakes in that.

    Field names are found without regard to case, as everywhere. Reads the files each time.
    """
    mistakes: list[Mistake] = []
    found: set[str] = set()

    def filled(value: str, pointer: str, is_key: bool) -> str:
        found.add(pointer)
        try:
            if value.startswith("env://"):
                return _of_environment(value, environ, is_key)
            return of_file(value, environ.get(FOLDER, ""))
        except ValueError as error:
            mistakes.append(Mistake(pointer, str(error)))
            return _NOWHERE

    resolved = _mapped(raw, filled)
    for name, value in raw.items():
        if name.lower() not in _UNREAD:
            mistakes += [one for one in _left_as_they_are(value, join("", name)) if one.pointer not in found]
    return resolved, mistakes


def _left_as_they_are(value: Any, pointer: str) -> Iterator[Mistake]:
    """Find what a Tyk would fill in."""
    if isinstance(value, str):
        match = _OF_TYK.search(value)
        if match:
            yield Mistake(pointer, f"{match[0]} {_ELSEWHERE if match[0] in _REFERENCES else _NEVER_READ}")
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from _left_as_they_are(member, join(pointer, name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _left_as_they_are(member, join(pointer, index))


def files_of(raw: Mapping[str, Any]) -> dict[str, str]:
    """Return what a definition takes from files: its references, by their pointers."""
    found: dict[str, str] = {}

    def noted(value: str, pointer: str, is_key: bool) -> str:
        if not value.startswith("env://"):
            found[pointer] = value
        return value

    _mapped(raw, noted)
    return found


def _mapped(raw: Mapping[str, Any], fill: Callable[[str, str, bool], str]) -> Mapping[str, Any]:
    """Return a definition with every reference replaced. fill: of (reference, pointer, whether keys are there)."""

    def one(value: Any, pointer: str, is_key: bool) -> Any:
        return fill(value, pointer, is_key) if isinstance(value, str) and value.startswith(_REFERENCES) else value

    filled = dict(raw)
    for name, value in raw.items():
        pointer = join("", name)
        if name.lower() == "proxy" and isinstance(value, Mapping):
            filled[name] = _proxy(value, pointer, one)
        elif name.lower() == "version_data" and isinstance(value, Mapping):
            filled[name] = _versions(value, pointer, one)
        elif name.lower() == "jwt_source":
            filled[name] = one(value, pointer, True)
        elif name.lower() == "jwt_jwks_uris" and isinstance(value, list):
            filled[name] = [_key_set(member, join(pointer, index), one) for index, member in enumerate(value)]
    return filled if filled != raw else raw


def _proxy(proxy: Mapping[str, Any], pointer: str, one: Callable[[Any, str, bool], Any]) -> dict[str, Any]:
    filled = dict(proxy)
    for name, value in proxy.items():
        place = join(pointer, name)
        if name.lower() == "target_url":
            filled[name] = one(value, place, False)
        elif name.lower() == "target_list" and isinstance(value, list):
            filled[name] = [one(member, join(place, index), False) for index, member in enumerate(value)]
    return filled


def _versions(data: Mapping[str, Any], pointer: str, one: Callable[[Any, str, bool], Any]) -> dict[str, Any]:
    def version(value: Any, place: str) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {
            name: one(member, join(place, name), False) if name.lower() == "override_target" else member for name, member in value.items()
        }

    return {
        name: {key: version(member, join(join(pointer, name), key)) for key, member in value.items()}
        if name.lower() == "versions" and isinstance(value, Mapping)
        else value
        for name, value in data.items()
    }


def _key_set(key_set: Any, pointer: str, one: Callable[[Any, str, bool], Any]) -> Any:
    if not isinstance(key_set, Mapping):
        return key_set
    return {name: one(value, join(pointer, name), True) if name.lower() == "url" else value for name, value in key_set.items()}


def _of_environment(reference: str, environ: Mapping[str, str], is_key: bool) -> str:
    """Return what `env://` stands for. Raises ValueError."""
    match = _FROM_ENVIRONMENT.fullmatch(reference)
    assert match is not None
    name, rest = match.groups()
    if not (_NAME_OF_KEY if is_key else _NAME).fullmatch(name) and not _is_allowed(name, environ):
        beginning = "UPSTREAM_ or TYK_" if is_key else "UPSTREAM_"
        raise ValueError(f"only environment variables that begin with {beginning}, or that {_ALLOWED} names, can be used here")
    base = environ.get(name) or _DEFAULTS.get(name, "")
    if not base:
        raise ValueError(f"{name} is not set in the environment of the gateway")
    return continued(base, rest)


def _is_allowed(name: str, environ: Mapping[str, str]) -> bool:
    patterns = environ.get(_ALLOWED, "").split(",")
    return name != "" and not _NEVER.fullmatch(name) and any(fnmatchcase(name, pattern.strip()) for pattern in patterns)


@dataclasses.dataclass(frozen=True, slots=True)
class FileDefinition:
    """A definition of a folder. file: its name, without the folder. raw: with `id` and `api_id`."""

    file: str
    id: str
    api_id: str
    raw: dict[str, Any]
    hook_references: list[Any]


@dataclasses.dataclass(frozen=True, slots=True)
class FileMistakes:
    """A file that cannot be used. name: without its folder."""

    name: str
    mistakes: tuple[Mistake, ...]


def read_folder(folder: Path) -> tuple[list[FileDefinition], list[FileMistakes]]:
    """Read every `*.json` of a folder, by name. Only what cannot be addressed is a mistake here: not JSON, no `api_id`, an id given twice.

    A definition without `id` gets one that depends on its api_id alone, so that it is the same on every machine.
    """
    found: dict[str, FileDefinition] = {}
    ids: set[str] = set()
    wrong: list[FileMistakes] = []
    for path in sorted(folder.glob("*.json")):
        try:
            raw, references = _unwrap(read_json(path.read_bytes()))
            api_id = raw.get("api_id")
            if not isinstance(api_id, str) or not api_id:
                raise Mistakes([Mistake("/api_id", "api_id is missing")])
            if api_id in found:
                raise Mistakes([Mistake("/api_id", f"`{api_id}` is in another file of the folder, too")])
            given = raw.get("id")
            id = given if isinstance(given, str) and given else hashlib.sha256(api_id.encode()).hexdigest()[:24]
            if id in ids:
                raise Mistakes([Mistake("/id", f"`{id}` is in another file of the folder, too; leave id out to get one")])
        except OSError as error:
            wrong.append(FileMistakes(path.name, (Mistake("", f"cannot be read: {error.strerror}"),)))
            continue
        except Mistakes as error:
            wrong.append(FileMistakes(path.name, error.mistakes))
            continue
        ids.add(id)
        found[api_id] = FileDefinition(path.name, id, api_id, {**raw, "id": id}, references)
    return list(found.values()), wrong


def _unwrap(document: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Return the definition and the hook references of a file, which holds a definition or what the operator API shows of one."""
    inner = document.get("api_definition")
    if isinstance(inner, dict):
        references = document.get("hook_references")
        return inner, references if isinstance(references, list) else []
    return document, []
