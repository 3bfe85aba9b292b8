"""Where definitions come from besides the operator API: a folder of JSON files, and the environment for what differs between machines.

A target written `env://UPSTREAM_AUTH/v1`, also that of a version, becomes the value of that environment variable followed by `/v1`, so that
one file serves a laptop, a container and a cluster. Only names that begin with `UPSTREAM_` are read, so that no definition can send another
setting to an upstream. What the signatures of tokens are checked with (`jwt_source`, the URLs of `jwt_jwks_uris`) may also be in a variable
that begins with `TYK_`: a secret belongs there, and not in a definition. An operator allows further names by `GATEWAY_ENV_ALLOW`. The
`env://` form is what is stored and given back.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from services.gateway.definitions.reader import Mistake, Mistakes, join, read_json

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
    """Fill in what a definition takes from the environment; return its JSON and the mistakes in that.

    Field names are found without regard to case, as everywhere.
    """
    mistakes: list[Mistake] = []
    filled = dict(raw)
    for name, value in raw.items():
        pointer = join("", name)
        if name.lower() == "proxy" and isinstance(value, Mapping):
            filled[name] = _proxy(value, pointer, environ, mistakes)
        elif name.lower() == "version_data" and isinstance(value, Mapping):
            filled[name] = _versions(value, pointer, environ, mistakes)
        elif name.lower() == "jwt_source":
            filled[name] = _fill_key(value, pointer, environ, mistakes)
        elif name.lower() == "jwt_jwks_uris" and isinstance(value, list):
            filled[name] = [_key_set(one, join(pointer, index), environ, mistakes) for index, one in enumerate(value)]
    return (filled if filled != raw else raw), mistakes


def _proxy(proxy: Mapping[str, Any], pointer: str, environ: Mapping[str, str], mistakes: list[Mistake]) -> dict[str, Any]:
    filled = dict(proxy)
    for name, value in proxy.items():
        place = join(pointer, name)
        if name.lower() == "target_url":
            filled[name] = _fill(value, place, environ, mistakes)
        elif name.lower() == "target_list" and isinstance(value, list):
            filled[name] = [_fill(one, join(place, index), environ, mistakes) for index, one in enumerate(value)]
    return filled


def _versions(data: Mapping[str, Any], pointer: str, environ: Mapping[str, str], mistakes: list[Mistake]) -> dict[str, Any]:
    def version(value: Any, place: str) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {
            name: _fill(one, join(place, name), environ, mistakes) if name.lower() == "override_target" else one
            for name, one in value.items()
        }

    return {
        name: {key: version(one, join(join(pointer, name), key)) for key, one in value.items()}
        if name.lower() == "versions" and isinstance(value, Mapping)
        else value
        for name, value in data.items()
    }


def _key_set(one: Any, pointer: str, environ: Mapping[str, str], mistakes: list[Mistake]) -> Any:
    if not isinstance(one, Mapping):
        return one
    return {
        name: _fill_key(value, join(pointer, name), environ, mistakes) if name.lower() == "url" else value for name, value in one.items()
    }


def _fill_key(value: Any, pointer: str, environ: Mapping[str, str], mistakes: list[Mistake]) -> Any:
    return _fill(value, pointer, environ, mistakes, _NAME_OF_KEY, "UPSTREAM_ or TYK_")


def _fill(
    value: Any,
    pointer: str,
    environ: Mapping[str, str],
    mistakes: list[Mistake],
    names: re.Pattern[str] = _NAME,
    beginning: str = "UPSTREAM_",
) -> Any:
    match = _FROM_ENVIRONMENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    name, rest = match.groups()
    if not names.fullmatch(name) and not _is_allowed(name, environ):
        said = f"only environment variables that begin with {beginning}, or that {_ALLOWED} names, can be used here"
        mistakes.append(Mistake(pointer, said))
        return _NOWHERE
    base = environ.get(name) or _DEFAULTS.get(name, "")
    if not base:
        mistakes.append(Mistake(pointer, f"{name} is not set in the environment of the gateway"))
        return _NOWHERE
    return base.rstrip("/") + rest if rest.startswith("/") else base + rest


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
