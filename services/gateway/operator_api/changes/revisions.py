"""The history of a definition: its revisions, and how one differs from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes import differences
from services.gateway.operator_api.changes.differences import Difference
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.stores.definition_model import NotFound
from services.gateway.stores.revisions import Entry, Revision


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a revision differs from another.

    against: the number of the other; None = there was none. document: what the revision holds; None = nothing."""

    against: int | None
    document: dict[str, Any] | None
    changes: list[Difference]
    diff: str


def history(gateway: Gateway, key: str) -> list[Entry]:
    """Return all revisions, newest first; also those of a deleted API. Raises OperatorRefusal."""
    found = gateway.definitions.revisions(key)
    if not found and gateway.definitions.get(key) is None:
        raise refusals.definition_unknown()
    return found


def existing(gateway: Gateway, key: str, number: int) -> Revision:
    """Return one revision. Raises OperatorRefusal."""
    try:
        return gateway.definitions.revision(key, number)
    except NotFound:
        raise refusals.revision_unknown() from None


def compared(gateway: Gateway, key: str, revision: Revision, against: int | None) -> Comparison:
    """Compare one revision with another. against: None = the one before. Raises OperatorRefusal."""
    base = gateway.definitions.revision_before(key, revision.number) if against is None else existing(gateway, key, against)
    before, after = (differences.whole(one.raw, one.hook_references) if one else None for one in (base, revision))
    names = (f"revision {base.number}" if base else "nothing", f"revision {revision.number}")
    changes = list(differences.differences(before or {}, after or {}))
    return Comparison(base.number if base else None, after, changes, differences.text(before, after, names))
