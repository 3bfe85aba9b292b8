"""`/api/gatehouse/apis`: what Tyk does not have: revisions with their differences, undo and redo."""

from __future__ import annotations

from typing import Any

from flask import Response

from services.common.clock import isoformat
from services.gateway.operator_api import arguments
from services.gateway.operator_api.access import author, protected
from services.gateway.operator_api.answers import answer, done
from services.gateway.operator_api.changes import revisions, undoing
from services.gateway.operator_api.web import gateway
from services.gateway.stores.revisions import Entry

blueprint = protected("revisions", __name__)


@blueprint.get("/api/gatehouse/apis/<key>/revisions")
def list_revisions(key: str) -> Response:
    """List revisions, newest first; also those of a deleted API."""
    return answer({"revisions": [_summary(revision) for revision in revisions.history(gateway(), key)]})


@blueprint.get("/api/gatehouse/apis/<key>/revisions/<int:number>")
def get_revision(key: str, number: int) -> Response:
    """Show one revision and how it differs from the one before, or from `?against=N`."""
    revision = revisions.existing(gateway(), key, number)
    compared = revisions.compared(gateway(), key, revision, arguments.against())
    return answer({
        **_summary(revision),
        "against": compared.against,
        "document": compared.document,
        "changes": [change._asdict() for change in compared.changes],
        "diff": compared.diff,
    })  # fmt: skip


@blueprint.post("/api/gatehouse/apis/<key>/revisions/<int:number>/restore")
def restore_revision(key: str, number: int) -> Response:
    """`?dry_run=1`, here and below: show what would change, write nothing."""
    return _stepped("API restored", undoing.restore(gateway(), key, number, author(), arguments.if_match(), arguments.dry_run()))


@blueprint.post("/api/gatehouse/apis/<key>/undo")
def undo(key: str) -> Response:
    """Go one step back; this also brings back a deleted API."""
    return _stepped("API undone to revision {}", undoing.undo(gateway(), key, author(), arguments.if_match(), arguments.dry_run()))


@blueprint.post("/api/gatehouse/apis/<key>/redo")
def redo(key: str) -> Response:
    """Go one step forward: redo what was undone last. Possible until something else is saved."""
    return _stepped("API redone to revision {}", undoing.redo(gateway(), key, author(), arguments.if_match(), arguments.dry_run()))


def _stepped(message: str, step: undoing.Step) -> Response:
    """Answer a step.

    from, to: the revisions whose content was live before and is live now. revision: the new one, null when nothing was written.
    """
    more: dict[str, Any] = {"from": step.origin, "to": step.target, "revision": step.revision, "diff": step.diff}
    if step.unchanged:
        more["Unchanged"] = True
    if step.saved is None:
        return done("Dry run: nothing was written", step.id, **more, DryRun=True)
    headers = {"ETag": f'"{step.revision or step.saved.stored.revision}"'}
    return done(
        message.format(step.target), step.id, unconfirmed=step.saved.unconfirmed, warnings=step.saved.warnings, headers=headers, **more
    )


def _summary(revision: Entry) -> dict[str, Any]:
    return {
        "id": revision.definition_id,
        "api_id": revision.api_id,
        "number": revision.number,
        "action": revision.action,
        "to": revision.target,
        "at": isoformat(revision.at),
        "who": revision.who,
        "note": revision.note,
    }
