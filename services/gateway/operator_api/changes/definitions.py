"""Saving a definition: filled in, hooks embedded, checked whole, stored as a revision, live on every worker. Or nothing changes at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.gateway.definitions.claims import claim
from services.gateway.definitions.model import DEFAULT_ORG, Definition
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes import differences, hook_references
from services.gateway.operator_api.changes.author import Author
from services.gateway.operator_api.changes.checks import checked, refuse_files, warnings_of
from services.gateway.operator_api.changes.filling import canonical, completed, filled
from services.gateway.operator_api.changes.owning import own_organisation
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.operator_api.refusals import OperatorRefusal
from services.gateway.stores.definition_model import (
    Action,
    ApiIdTaken,
    NotFound,
    PlaceTaken,
    RevisionConflict,
    StoredDefinition,
    Unchanged,
    same_json,
)


@dataclass(frozen=True, slots=True)
class Saved:
    """A definition after a save.

    unconfirmed: workers that do not serve it yet. warnings: what is kept and has no effect. unchanged: the stored one was the same, and
    nothing was written. diff: of a dry run, what would change.
    """

    stored: StoredDefinition
    unconfirmed: list[str]
    warnings: Sequence[Mistake] = ()
    unchanged: bool = False
    diff: str | None = None


def create(gateway: Gateway, raw: Mapping[str, Any], references: Any, author: Author, *, prefix: str = "", dry_run: bool = False) -> Saved:
    """Store a new definition.

    prefix: the pointer of the definition in the caller's document, for mistakes. dry_run: only check. Raises OperatorRefusal.
    """
    refuse_files(gateway)
    document = filled(raw, own_organisation(gateway))
    listed, sources = hook_references.embed(gateway, document, references, [])
    definition = checked(gateway, document, prefix, replaces=None, sources=sources)
    if dry_run:
        if any(gateway.definitions.get(document[name]) is not None for name in ("id", "api_id")):
            raise refusals.api_id_taken()
        planned = StoredDefinition(document["id"], document["api_id"], 0, document, listed)
        diff = differences.text(None, differences.whole(document, listed), ("nothing", "this"))
        return Saved(planned, [], warnings_of(gateway, definition, prefix), diff=diff)
    try:
        stored = gateway.definitions.create(document, listed, claim=claim(definition), who=author.who, note=author.note)
    except ApiIdTaken:
        raise refusals.api_id_taken() from None
    except PlaceTaken as error:
        raise place_taken(prefix, error) from None
    return Saved(stored, gateway.publish_definitions(), warnings_of(gateway, definition, prefix))


def update(
    gateway: Gateway,
    key: str,
    raw: Mapping[str, Any],
    references: Any,
    author: Author,
    *,
    if_match: int | None = None,
    prefix: str = "",
    dry_run: bool = False,
) -> Saved:
    """Replace a definition wholly.

    references: None = as they are stored. if_match: the revision that the caller saw. prefix: as for `create`. dry_run: only check, and
    tell what would change. Raises OperatorRefusal.
    """
    refuse_files(gateway)
    before = existing(gateway, key)
    if if_match is not None and if_match != before.revision:
        raise refusals.revision_conflict(before.revision)
    document = canonical(raw)
    for name, own, shown in (("id", before.id, "id"), ("api_id", before.api_id, "APIID")):
        if document.get(name) in (None, ""):
            document[name] = own
        elif document[name] != own:
            raise refusals.id_mismatch(shown, Mistake(f"{prefix}/{name}", f"must be `{own}`"))
    completed(document, before.raw.get("org_id") or DEFAULT_ORG)
    kept = before.hook_references if references is None else references
    listed, sources = hook_references.embed(gateway, document, kept, before.hook_references)
    definition = checked(gateway, document, prefix, replaces=before.api_id, sources=sources)
    if dry_run:
        now, then = differences.whole(before.raw, before.hook_references), differences.whole(document, listed)
        diff = differences.text(now, then, (f"revision {before.revision}", "this"))
        return Saved(before, [], warnings_of(gateway, definition, prefix), same_json(now, then), diff)
    try:
        return replace(gateway, before.id, before.raw, document, listed, definition, author, if_match=if_match, prefix=prefix)
    except NotFound:
        raise refusals.definition_unknown() from None


def put(gateway: Gateway, api_id: str, raw: Mapping[str, Any], author: Author, if_match: int | None = None) -> Saved:
    """Store a definition, or replace the one of the same api_id: Tyk overwrites the file of the same api_id.

    api_id: used when `raw` has none; "" = a new one. Raises OperatorRefusal.
    """
    given = str(raw.get("api_id") or api_id)
    before = gateway.definitions.get(given) if given else None
    if before is None:
        try:
            return create(gateway, {**raw, "api_id": given} if given else raw, [], author)
        except OperatorRefusal as refusal:
            # somebody created it between the look-up and the write
            before = gateway.definitions.get(given) if refusal.code == "api-id-taken" else None
            if before is None:
                raise
    return update(gateway, before.id, {**raw, "id": before.id}, None, author, if_match=if_match)


def replace(
    gateway: Gateway,
    id: str,
    before: Mapping[str, Any],
    document: Mapping[str, Any],
    references: list[Any],
    definition: Definition,
    author: Author,
    *,
    if_match: int | None,
    prefix: str = "",
    action: Action = "updated",
    target: int | None = None,
) -> Saved:
    """Store and announce a checked definition, unless the stored one is the same. Raises OperatorRefusal, NotFound.

    before: the stored one.
    """
    try:
        stored = gateway.definitions.update(
            id,
            document,
            references,
            claim=claim(definition),
            who=author.who,
            note=author.note,
            if_match=if_match,
            action=action,
            target=target,
        )
    except Unchanged as same:
        return Saved(same.stored, [], warnings_of(gateway, definition, prefix), unchanged=True)
    except RevisionConflict as error:
        raise refusals.revision_conflict(error.current) from None
    except PlaceTaken as error:
        raise place_taken(prefix, error) from None
    unconfirmed = gateway.publish_definitions()
    if (before.get("org_id") or DEFAULT_ORG) != (document.get("org_id") or DEFAULT_ORG):
        unconfirmed = [*unconfirmed, *end_tokens(gateway, stored.api_id)]
    return Saved(stored, unconfirmed, warnings_of(gateway, definition, prefix))


def delete(gateway: Gateway, key: str, author: Author, if_match: int | None = None) -> Saved:
    """Delete a definition; its history stays. Raises OperatorRefusal."""
    refuse_files(gateway)
    try:
        stored = gateway.definitions.delete(key, who=author.who, note=author.note, if_match=if_match)
    except NotFound:
        raise refusals.api_unknown() from None
    except RevisionConflict as error:
        raise refusals.revision_conflict(error.current) from None
    unconfirmed = gateway.publish_definitions()
    return Saved(stored, [*unconfirmed, *end_tokens(gateway, stored.api_id)])


def end_tokens(gateway: Gateway, api_id: str) -> list[str]:
    """End the access tokens of an API that was deleted, or moved to another organisation; return the workers that may not know yet.

    Its OAuth2 clients stay: they have it again when that is undone. Until then they get no tokens.
    """
    ended = gateway.oauth_store.end_api(api_id)
    return [] if ended is None else gateway.publish_keys(ended.generation, ended.hashes)


def reload(gateway: Gateway) -> list[str]:
    """Make every worker read the definitions and policies of files again, and return the names of those that did not confirm in time.

    Raises OperatorRefusal for files with mistakes: their last valid contents are still served, the other files are live.
    """
    gateway.definitions.generation()  # fails here when the database is away, so that no worker is blamed
    unconfirmed = gateway.publish_reload()
    files = [*gateway.definitions.mistakes, *gateway.policies.mistakes]
    if files:
        raise refusals.definitions_not_loaded(Mistake(f"{file.name}#{one.pointer}", one.message) for file in files for one in file.mistakes)
    return unconfirmed


def existing(gateway: Gateway, key: str) -> StoredDefinition:
    """Return a definition by its id or api_id. Raises OperatorRefusal."""
    found = gateway.definitions.get(key)
    if found is None:
        raise refusals.definition_unknown()
    return found


def place_taken(prefix: str, error: PlaceTaken) -> OperatorRefusal:
    """Refuse a definition whose place another one owns. prefix: as for `create`."""
    return refusals.invalid("definition", Mistakes([error.mistake._replace(pointer=prefix + error.mistake.pointer)]))
