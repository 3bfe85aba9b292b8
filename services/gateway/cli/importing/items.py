"""What is taken along, one item each: a definition, a policy or a key, in the form that the operator API takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Kind = Literal["api", "policy", "key"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to take along.

    id: the api_id, the id of a policy, or what names a key: mostly its secret, so it is never shown. shown: its name for people. source:
    the file or the path it comes from. differs: what is not as it was there. missing: what it relies on and is not here. refused: why it
    cannot be taken along. hashed: the id of a key is the SHA-256 of its secret.
    """

    kind: Kind
    id: str = field(repr=False)
    shown: str
    source: str
    body: dict[str, Any] = field(repr=False)
    differs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    hashed: bool = False

    def noting(self, *, differs: Iterable[str] = (), missing: Iterable[str] = (), refused: Iterable[str] = ()) -> Item:
        """Return the item with more said about it."""
        return replace(
            self,
            differs=(*self.differs, *differs),
            missing=(*self.missing, *missing),
            refused=(*self.refused, *refused),
        )


@dataclass(frozen=True, slots=True)
class Unread:
    """A file, or a part of one, that is not taken along. why: in a few words."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """All that was found. unread: what is not an item."""

    apis: list[Item] = field(default_factory=list)
    policies: list[Item] = field(default_factory=list)
    keys: list[Item] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Add what another place holds."""
        self.apis.extend(other.apis)
        self.policies.extend(other.policies)
        self.keys.extend(other.keys)
        self.unread.extend(other.unread)
