"""Going back and forth in the history of an API: undo, redo, and any former revision.

An undo goes to what was there before the revision that is shown now, and the next undo goes on from there, as in an editor; a redo goes the
other way until something else is saved. Each is a revision of its own and checked like any other save.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.gateway.definitions.claims import claim
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes import definitions, differences, revisions
from services.gateway.operator_api.changes.author import Author
from services.gateway.operator_api.changes.checks import checked, refuse_files, warnings_of
from services.gateway.operator_api.changes.definitions import Saved, end_tokens, place_taken
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.stores.definition_model import Action, ApiIdTaken, NotFound, PlaceTaken, RevisionConflict, same_json
from services.gateway.stores.revisions import Entry, Revision, redo_target, undo_target


@dataclass(frozen=True, slots=True)
class Step:
    """A step in the history. origin, target: the revisions whose content was live before and is live now.

    revision: the new one; None = nothing was written. diff: what changed, "" = nothing. saved: None for a dry run. unchanged: nothing was,
    or would be, written, because the content is the same.
    """

    id: str
    origin: int
    target: int
    diff: str
    revision: int | None = None
    saved: Saved | None = None
    unchanged: bool = False


def undo(gateway: Gateway, key: str, author: Author, if_match: int | None, dry_run: bool) -> Step:
    """Go one step back. Raises OperatorRefusal, also when another writer was quicker."""
    history = _history(gateway, key, if_match)
    number = undo_target(history)
    wanted = None if number is None else _revision(gateway, history, number)
    if wanted is None or wanted.raw is None:
        # one undo too many must not delete an API that clients call
        raise refusals.nothing_to_undo(history[0].position)
    return _go(gateway, history, wanted, "undone", author, dry_run)


def redo(gateway: Gateway, key: str, author: Author, if_match: int | None, dry_run: bool) -> Step:
    """Go one step forward: take the last undo back. Raises OperatorRefusal, also when another writer was quicker."""
    history = _history(gateway, key, if_match)
    number = redo_target(history)
    if number is None:
        raise refusals.nothing_to_redo()
    return _go(gateway, history, _revision(gateway, history, number), "redone", author, dry_run)


def restore(gateway: Gateway, key: str, number: int, author: Author, if_match: int | None, dry_run: bool) -> Step:
    """Save a former revision again; it brings back a deleted definition with its ids. Raises OperatorRefusal."""
    refuse_files(gateway)
    wanted = revisions.existing(gateway, key, number)
    if wanted.raw is None:
        raise refusals.revision_empty(number)
    history = _history(gateway, wanted.definition_id, if_match)
    author = author._replace(note=author.note or f"restored from revision {number}")
    return _go(gateway, history, wanted, "restored", author, dry_run)


def _history(gateway: Gateway, key: str, if_match: int | None) -> list[Entry]:
    """Return the history, newest first and never empty. Raises OperatorRefusal."""
    refuse_files(gateway)
    history = gateway.definitions.revisions(key)
    if not history:
        raise refusals.definition_unknown()
    if if_match is not None and if_match != history[0].number:
        raise refusals.revision_conflict(history[0].number)
    return history


def _revision(gateway: Gateway, history: list[Entry], number: int) -> Revision:
    return gateway.definitions.revision(history[0].definition_id, number)


def _go(gateway: Gateway, history: list[Entry], wanted: Revision, action: Action, author: Author, dry_run: bool) -> Step:
    """Make what `wanted` holds the newest revision, on top of the history that was looked at: a step is exact or refused."""
    newest = history[0]
    present = _revision(gateway, history, newest.number)
    before, after = (differences.whole(one.raw, one.hook_references) for one in (present, wanted))
    names = (f"revision {newest.position}", f"revision {wanted.number}")
    step = Step(newest.definition_id, newest.position, wanted.number, differences.text(before, after, names))
    definition = None if wanted.raw is None else checked(gateway, wanted.raw, "", replaces=newest.api_id if present.raw else None)
    if dry_run:
        if present.raw is None and wanted.raw is not None and any(gateway.definitions.get(wanted.raw[name]) for name in ("id", "api_id")):
            raise refusals.api_id_taken()
        return replace(step, unchanged=action == "restored" and same_json(before, after))
    target = None if action == "restored" else wanted.number
    id, seen, store = newest.definition_id, newest.number, gateway.definitions
    try:
        if definition is None or wanted.raw is None:
            gone = store.delete(id, who=author.who, note=author.note, if_match=seen, action=action, target=target)
            saved = Saved(gone, [*gateway.publish_definitions(), *end_tokens(gateway, gone.api_id)])
        elif present.raw is None:
            stored = store.create(
                wanted.raw,
                wanted.hook_references,
                claim=claim(definition),
                who=author.who,
                note=author.note,
                action=action,
                target=target,
                if_match=seen,
            )
            saved = Saved(stored, gateway.publish_definitions(), warnings_of(gateway, definition, ""))
        else:
            saved = definitions.replace(
                gateway,
                id,
                present.raw,
                wanted.raw,
                wanted.hook_references,
                definition,
                author,
                if_match=seen,
                action=action,
                target=target,
            )
    except (NotFound, RevisionConflict):
        raise refusals.revision_conflict(_newest(gateway, id)) from None
    except (ApiIdTaken, PlaceTaken) as error:
        found = _newest(gateway, id)
        if found != seen:  # another writer brought it back
            raise refusals.revision_conflict(found) from None
        raise (refusals.api_id_taken() if isinstance(error, ApiIdTaken) else place_taken("", error)) from None
    return replace(step, revision=None if saved.unchanged else seen + 1, saved=saved, unchanged=saved.unchanged)


def _newest(gateway: Gateway, id: str) -> int:
    return gateway.definitions.revisions(id)[0].number
