"""Policies from a file: the first content of the database, or the only source. The file is Tyk's: a JSON object of id → policy."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, Self

import sqlalchemy as sa

from services.common import logging as logs
from services.common.core_database import CoreDatabase
from services.gateway.definitions.model import DEFAULT_ORG
from services.gateway.definitions.reader import Mistake, Mistakes, join, read_json
from services.gateway.definitions.session_schema import KnownApis, read_policy
from services.gateway.definitions.sources import FileMistakes
from services.gateway.definitions.values import identifier
from services.gateway.keys.policies import gives_rights
from services.gateway.stores.callers import Caller
from services.gateway.stores.definition_model import ReadOnly
from services.gateway.stores.policies import PolicyStore, by_name

log = logs.get(__name__)

_NO_POLICY: Final = "must be a policy, an object"


def seed_policies(store: PolicyStore, file: Path, known: KnownApis) -> list[FileMistakes]:
    """Store those policies of a file that the database never had; one that an operator deleted stays deleted.

    Return what was refused; it stops nothing. Safe when several processes do it at once. Raises the store's error.
    """
    try:
        listed = _read_file(file)
    except Mistakes as error:
        return _logged(file, error.mistakes)
    new = store.never_had(listed)
    policies, mistakes = _check({id: listed[id] for id in listed if id in new}, known)
    store.seed(policies.values())
    return _logged(file, mistakes)


class FilePolicies(PolicyStore):
    """The policies of a file that is the only source. `reload` reads it again; writes raise ReadOnly.

    A policy that became wrong changes nothing: what it last said rightly stays in force, and `mistakes` says what is wrong now; so does a
    file that cannot be read. known: as for a policy that an operator saves.
    """

    source: Literal["database", "files"] = "files"

    def __init__(self, database: CoreDatabase, file: Path, known: Callable[[set[str]], Mapping[str, str]]) -> None:
        super().__init__(database)
        self._file = file
        self._known = known
        self._lock = threading.Lock()
        self._read: dict[str, dict[str, Any]] | None = None
        self.mistakes: list[FileMistakes] = []

        self._whole = self

    def for_caller(self, caller: Caller) -> Self:
        """Return the file as the caller sees it; its mistakes are for who sees everything."""
        own = copy.copy(self)
        own._caller, own.mistakes = caller, [] if caller.org_id else self.mistakes
        return own

    def reload(self) -> bool:
        with self._lock:
            before = self._read or {}
            try:
                listed = _read_file(self._file)
            except Mistakes as error:
                self._read = before
                self.mistakes = _logged(self._file, error.mistakes)
                return False
            right, mistakes = _check(listed, self._known)
            self._read = {id: right.get(id) or before[id] for id in listed if id in right or id in before}
            self.mistakes = _logged(self._file, mistakes)
            return self._read != before

    def _policies(self) -> dict[str, dict[str, Any]]:
        """Return all, by id; before anybody else has read them, too."""
        whole = self._whole
        if whole._read is None:
            whole.reload()
        return {id: policy for id, policy in (whole._read or {}).items() if self._caller.may_own(policy["org_id"])}

    def page(self, number: int = 0, size: int = 10) -> tuple[list[dict[str, Any]], int]:
        listed = sorted(self._policies().values(), key=by_name)
        return (listed if number < 0 else listed[number * size : (number + 1) * size]), len(listed)

    def get(self, id: str) -> dict[str, Any] | None:
        return self._policies().get(id)

    def owners(self, ids: Iterable[str]) -> dict[str, str]:
        policies = self._policies()
        return {id: str(policies[id]["org_id"]) for id in ids if id in policies}

    def named(self, ids: Iterable[str]) -> list[Mapping[str, Any] | None]:
        policies = self._policies()
        return [policies.get(id) for id in ids]

    def named_by(self, connection: sa.Connection, ids: Iterable[str]) -> list[Mapping[str, Any] | None]:
        return self.named(ids)

    def rights(self, connection: sa.Connection) -> dict[str, frozenset[str]]:
        return {id: frozenset(policy["access_rights"]) for id, policy in self._policies().items() if gives_rights(policy)}

    def create(self, *_: Any, **__: Any) -> NoReturn:
        raise ReadOnly

    def replace(self, *_: Any, **__: Any) -> NoReturn:
        raise ReadOnly

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise ReadOnly


def _read_file(file: Path) -> dict[str, Any]:
    """Return what a file holds; nothing when there is no such file. Raises Mistakes."""
    try:
        return read_json(file.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Mistakes([Mistake("", f"cannot be read: {error.strerror}")]) from None


def _check(listed: Mapping[str, Any], known: KnownApis) -> tuple[dict[str, dict[str, Any]], list[Mistake]]:
    """Return the policies that are right, as they are stored, and the mistakes of the others."""
    right: dict[str, dict[str, Any]] = {}
    mistakes: list[Mistake] = []
    for id, raw in listed.items():
        place = join("", id)
        try:
            identifier(id)
            if not isinstance(raw, Mapping):
                raise Mistakes([Mistake("", _NO_POLICY)])
            policy = read_policy(raw, known)
            if policy["id"] not in ("", id):
                raise Mistakes([Mistake("/id", f"must be `{id}`, as the member's name")])
        except ValueError as error:
            mistakes.append(Mistake(place, f"its name {error}"))
        except Mistakes as error:
            mistakes += [Mistake(place + one.pointer, one.message) for one in error.mistakes]
        else:
            right[id] = {**policy, "id": id, "org_id": policy.get("org_id") or DEFAULT_ORG}
    return right, mistakes


def _logged(file: Path, mistakes: Iterable[Mistake]) -> list[FileMistakes]:
    listed = tuple(mistakes)
    if not listed:
        return []
    log.error("policies refused", file=str(file), mistakes=[f"{one.pointer}: {one.message}" for one in listed])
    return [FileMistakes(file.name, listed)]
