"""What a definition claims: a place, which only one active definition may own; an internal one owns none.

The live set, the database and files share it.
"""

from __future__ import annotations

from typing import NamedTuple

from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.routing.places import place_of


class Claim(NamedTuple):
    """address: host and listen path, by which a definition is found. active: whether it owns them."""

    address: str
    active: bool

    @property
    def place(self) -> str | None:
        """Return what the definition owns; None when it is switched off."""
        return self.address if self.active else None


class Occupied(Mistakes):
    """The place of a definition is another's. api_id: the other's. where: host and listen path."""

    def __init__(self, api_id: str, name: str, where: str) -> None:
        super().__init__([place_taken(f"`{name}` ({api_id})", where)])
        self.api_id = api_id
        self.where = where


def claim(definition: Definition) -> Claim:
    """Return the claim of a definition."""
    return Claim(str(place_of(definition.domain, definition.proxy.listen_path)), definition.active and not definition.internal)


def place_taken(owner: str, where: str = "this listen_path") -> Mistake:
    """Return the mistake of a definition that wants the place of another."""
    return Mistake("/proxy/listen_path", f"{owner} already listens on {where}")
