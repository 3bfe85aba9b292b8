"""A definition as it is stored, and how its store says no."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from services.gateway.definitions.claims import place_taken

Action = Literal["created", "updated", "deleted", "restored", "seeded", "undone", "redone"]


@dataclass(frozen=True, slots=True)
class StoredDefinition:
    """raw: the definition's JSON object, with id, api_id and org_id. hook_references: as they were given, beside it."""

    id: str
    api_id: str
    revision: int
    raw: dict[str, Any]
    hook_references: list[Any] = field(default_factory=list)
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What changed until a generation: by internal id, None = it is gone."""

    generation: int
    definitions: Mapping[str, StoredDefinition | None]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. total: of all pages."""

    items: list[StoredDefinition]
    total: int


class NotFound(Exception):
    """There is no such definition or revision."""


class RevisionConflict(Exception):
    """The definition is at another revision than the writer saw. Nothing was written."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the definition is at revision {current}")
        self.current = current


class ApiIdTaken(Exception):
    """Another definition has this api_id or id. Nothing was written."""


class PlaceTaken(Exception):
    """Another active definition owns this host and listen path. Nothing was written. owner: as the caller may know it."""

    def __init__(self, owner: str) -> None:
        self.mistake = place_taken(owner)
        super().__init__(self.mistake.message)


class Unchanged(Exception):
    """What would be stored is stored already. Nothing was written."""

    def __init__(self, stored: StoredDefinition) -> None:
        super().__init__(f"revision {stored.revision} is the same")
        self.stored = stored


class ReadOnly(Exception):
    """The definitions are read from files; nothing can be written here."""


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; the order of members does not count, and `1` is neither `true` nor `1.0`."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def new_id() -> str:
    """Create an internal id: 24 hexadecimal digits, as Tyk's."""
    return secrets.token_hex(12)


def new_api_id() -> str:
    """Create an api_id: 32 hexadecimal digits, as Tyk's."""
    return secrets.token_hex(16)
