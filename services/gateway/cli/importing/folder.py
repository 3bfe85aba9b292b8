"""What a folder holds of a Tyk: definitions, policies and keys, in the forms that people keep them in.

Read are all `*.json`, `*.jsonl`, `*.ndjson`, `*.yaml` and `*.yml` of the folder and of the folders in it, by name; what they hold decides
what they are. In `keys`, a file may have any name: it is the key. In `policies`, a file is a policy. A broken file stops no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from services.gateway.cli.importing import cluster_objects, definitions, keys
from services.gateway.cli.importing.documents import read_documents
from services.gateway.cli.importing.items import Found, Item, Unread
from services.gateway.definitions.reader import Mistake, Mistakes, read_json

_ENDINGS: Final = (".json", ".jsonl", ".ndjson", ".yaml", ".yml")
_SECRET: Final = re.compile(rf"{keys.PREFIX}[^/]+")
_OF_LINES: Final = (".jsonl", ".ndjson")
_KEYS: Final = "keys"
_POLICIES: Final = "policies"
_LARGEST: Final = 64 * 1024 * 1024  # bytes of one file: a dump of 100,000 keys is half of it
# What a list of definitions or policies may stand in, as Dashboards answer it.
_ENVELOPES: Final = ("apis", "data", "policies")


def read_folder(folder: Path, *, plain_names: bool = False) -> Found:
    """Read everything. plain_names: as of `keys.key`. Raises OSError when the folder itself cannot be read."""
    sorting = _Sorting(plain_names)
    for path in _files(folder, sorting):
        place = path.parent.name if path.parent != folder else ""
        # the name of a key may hold dots
        stem = path.stem if path.suffix.lower() in _ENDINGS else path.name
        source = str(path.relative_to(folder))
        if place == _KEYS and path.suffix.lower() not in _OF_LINES:
            source = f"{_KEYS}/{keys.masked(stem)}"
        if not _is_text(source + stem):
            sorting.unread(source, "the name of the file is not UTF-8: rename it")
            continue
        try:
            if path.stat().st_size > _LARGEST:
                raise Mistakes([Mistake("", f"is larger than {_LARGEST // 1024**2} MB")])
            documents = read_documents(path.name, path.read_bytes())
        except OSError as error:
            sorting.unread(source, f"cannot be read: {error.strerror}")
            continue
        except Mistakes as error:
            sorting.unread(source, "; ".join(f"{_SECRET.sub(_masked, one.pointer)} {one.message}".strip() for one in error.mistakes[:3]))
            continue
        for document in documents:
            sorting.sort(document, source, place, stem, alone=len(documents) == 1)
    return sorting.found()


def _masked(name: re.Match[str]) -> str:
    return keys.PREFIX + keys.masked(name[0])


def _is_text(name: str) -> bool:
    """Tell whether a name can be shown and sent: one that is not UTF-8 cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _files(folder: Path, sorting: _Sorting) -> Iterator[Path]:
    """Yield the files to read, and note the folders that are not read."""
    entries = sorted(folder.iterdir())
    for path in entries:
        if _is_read(path):
            yield path
    for place in [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]:
        try:
            inner = sorted(place.iterdir())
            deeper = [path for path in inner if path.is_dir() and any(path.glob("*.json"))]
        except OSError as error:
            sorting.unread(place.name, f"cannot be read: {error.strerror}")
            continue
        for path in deeper:
            sorting.unread(f"{place.name}/{path.name}", "is too deep to be read: import it, or the folder above it, by its name")
        yield from filter(_is_read, inner)


def _is_read(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and (path.parent.name == _KEYS or path.suffix.lower() in _ENDINGS)


class _Sorting:
    """Says what each document is."""

    def __init__(self, plain_names: bool) -> None:
        self._found = Found()
        self._plain_names = plain_names
        self._ids: dict[str, str] = {}
        self._others: dict[tuple[str, str], int] = {}

    def found(self) -> Found:
        for (source, what), count in sorted(self._others.items()):
            self.unread(source, f"{count} not taken along: {what}")
        apis, policies = ([cluster_objects.linked(one, self._ids) for one in kind] for kind in (self._found.apis, self._found.policies))
        return Found(apis, policies, self._found.keys, self._found.unread)

    def unread(self, source: str, why: str) -> None:
        self._found.unread.append(Unread(source.encode(errors="replace").decode(), why))

    def sort(self, document: Any, source: str, place: str, stem: str, *, alone: bool) -> None:
        """Take one document of a file. place: the folder in the folder. alone: nothing else is in the file."""
        if cluster_objects.is_resource(document):
            for resource in cluster_objects.listed(document):
                self._resource(resource, source)
        elif place == _KEYS:
            self._key(document, source, stem if alone else "")
        elif isinstance(document, list):
            for one in document:
                self.sort(one, source, place, "", alone=False)
        elif definitions.is_definition(document):
            self._found.apis.append(definitions.definition(document, source, stem if alone else ""))
        elif _names_a_key(document):
            self._key(document, source, "")
        elif place == _POLICIES or stem.startswith("policy-") or definitions.is_policy(document):
            self._policies(document, source)
        elif isinstance(document, Mapping) and (inner := _enveloped(document)) is not None:
            self.sort(inner, source, place, "", alone=False)
        else:
            self._policies(document, source)

    def _resource(self, resource: Mapping[str, Any], source: str) -> None:
        item = cluster_objects.item(resource, source)
        if isinstance(item, str):
            self.unread(source, item)
        elif item.kind == "api":
            self._found.apis.append(item)
            self._ids |= cluster_objects.ids(resource, item)
        else:
            self._found.policies.append(item)

    def _policies(self, document: Any, source: str) -> None:
        """Take a policy, or a file of policies by their ids (`policies.json`)."""
        if definitions.is_policy(document) or (isinstance(document, Mapping) and isinstance(document.get("access_rights"), Mapping)):
            self._found.policies.append(definitions.policy(document, source))
        elif (
            isinstance(document, Mapping)
            and document
            and all(isinstance(one, Mapping) and "access_rights" in one for one in document.values())
        ):
            self._found.policies.extend(definitions.policy(one, source, id) for id, one in document.items())
        elif document != {}:
            self.unread(source, "holds no definition, policy or key")

    def _key(self, document: Any, source: str, stem: str) -> None:
        named = _name_of(document)
        name, session = (named, _session(document)) if named else (stem, document)
        what = keys.other(name)
        if what:
            self._others[source, what] = self._others.get((source, what), 0) + 1
        elif not name or not keys.is_session(session):
            self.unread(source, "holds no session object of a key")
        else:
            self._found.keys.append(keys.key(name, session, source, plain_names=self._plain_names))


def _enveloped(document: Mapping[str, Any]) -> Any:
    """Return the list that a document of a Dashboard stands around; None when it is none."""
    return next((value for name, value in document.items() if name.lower() in _ENVELOPES and isinstance(value, list)), None)


def _names_a_key(document: Any) -> bool:
    """Tell whether a document is a line of a dump: `{"key": "apikey-…", "value": …}`."""
    return isinstance(document, Mapping) and "value" in document and bool(_name_of(document))


def _name_of(document: Any) -> str:
    """Return the name that a document gives to a key, "" = none."""
    if not isinstance(document, Mapping):
        return ""
    return next((document[name] for name in ("key", "key_id", "key_hash") if isinstance(document.get(name), str)), "")


def _session(document: Mapping[str, Any]) -> Any:
    """Return the session object beside the name of a key: an object, or its JSON as text."""
    value = next((document[name] for name in ("value", "data", "session") if name in document), None)
    if value is None:
        return {name: member for name, member in document.items() if name not in ("key", "key_id", "key_hash")}
    if isinstance(value, str):
        try:
            return read_json(value)
        except Mistakes:
            return None
    return value


def items(found: Found) -> list[Item]:
    """Return all items in the order in which they can be stored: a key names policies, and both name definitions."""
    return [*found.apis, *found.policies, *found.keys]
