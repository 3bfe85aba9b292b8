"""The table of definitions, and functions of a connection that read and write it."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from services.common.core_database import UTCDateTime
from services.gateway.definitions.claims import Claim
from services.gateway.stores import revisions
from services.gateway.stores.base import metadata
from services.gateway.stores.definition_model import Action, ApiIdTaken, NotFound, PlaceTaken, RevisionConflict, StoredDefinition
from services.gateway.stores.generations import raise_generation
from services.gateway.stores.revisions import Revision

GENERATION: Final = "definitions"
DEFINITIONS: Final = sa.Table(
    "definitions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("api_id", sa.String(128), nullable=False, unique=True),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("place", sa.String(2048), unique=True),  # the address of an active definition
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("hook_references", sa.JSON, nullable=False),
    sa.Column("created_at", UTCDateTime, nullable=False),
    sa.Column("updated_at", UTCDateTime, nullable=False),
)
_D: Final = DEFINITIONS.c


def find(connection: sa.Connection, key: str) -> sa.Row[Any] | None:
    """Find a row by internal id, else by api_id."""
    row = connection.execute(sa.select(DEFINITIONS).where(_D.id == key)).one_or_none()
    return row or connection.execute(sa.select(DEFINITIONS).where(_D.api_id == key)).one_or_none()


def locked(connection: sa.Connection, key: str, if_match: int | None) -> sa.Row[Any]:
    """Find a row and keep it from other writers until the transaction ends. Raises NotFound, RevisionConflict."""
    found = find(connection, key)
    if found is None:
        raise NotFound
    # locked and read again: on PostgreSQL two writers may have found it at once
    row = connection.execute(sa.select(DEFINITIONS).where(_D.id == found.id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound
    if if_match is not None and row.revision != if_match:
        raise RevisionConflict(row.revision)
    return row


def check_free(connection: sa.Connection, id: str, api_id: str, place: str | None, own: str | None) -> None:
    """Check that no other definition has these ids and this place. own: the id of what is replaced. Raises ApiIdTaken, PlaceTaken."""
    others = sa.select(_D.id).where(_D.id != own) if own else sa.select(_D.id)
    same = _D.api_id == api_id if own else sa.or_(_D.api_id.in_((api_id, id)), _D.id.in_((api_id, id)))
    if connection.scalar(others.where(same).limit(1)) is not None:
        raise ApiIdTaken
    owner = None if place is None else connection.scalar(others.with_only_columns(_D.api_id).where(_D.place == place))
    if owner == api_id:  # created since the look before
        raise ApiIdTaken
    if owner is not None:
        raise PlaceTaken(owner)


def to_columns(stored: StoredDefinition, claim: Claim) -> dict[str, Any]:
    """Return the columns of a definition, without the time of its creation."""
    return {
        "id": stored.id,
        "api_id": stored.api_id,
        "address": claim.address,
        "place": claim.place,
        "name": str(stored.raw.get("name") or ""),
        "revision": stored.revision,
        "document": stored.raw,
        "hook_references": stored.hook_references,
        "updated_at": stored.updated_at,
    }


def record(
    connection: sa.Connection, stored: StoredDefinition, action: Action, who: str, note: str, target: int | None, deleted: bool = False
) -> StoredDefinition:
    """Write the revision of a change and raise the generation, in the transaction of the change."""
    assert stored.updated_at is not None
    raw = None if deleted else stored.raw
    what = Revision(stored.id, stored.revision, stored.api_id, action, stored.updated_at, who, note, target, raw, stored.hook_references)
    revisions.record(connection, what)
    raise_generation(connection, GENERATION, [stored.id])
    return stored


def revised_id(connection: sa.Connection, key: str) -> str:
    """Return the internal id of a definition, also a deleted one. key: the internal id, else the api_id, of which the last owner counts."""
    row = find(connection, key)
    if row is not None:
        return str(row.id)
    return key if revisions.last_number(connection, key) else revisions.last_with(connection, key) or key


def from_row(row: sa.Row[Any]) -> StoredDefinition:
    """Return the definition that a row holds."""
    return StoredDefinition(row.id, row.api_id, row.revision, row.document, row.hook_references, row.created_at, row.updated_at)
