"""`/api/gatehouse`: what Tyk has not: revisions with their differences, undo and redo, lint, and which worker serves what."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from services.common.clock import isoformat
from services.gateway.announcements import Unreachable
from services.gateway.definitions.lint import lint, unread_fields
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.operator_api import arguments
from services.gateway.operator_api.access import author, protected
from services.gateway.operator_api.answers import answer, done, places
from services.gateway.operator_api.changes import definitions, differences, undoing
from services.gateway.operator_api.refusals import Refused
from services.gateway.operator_api.web import gateway
from services.gateway.stores.definitions import NotFound
from services.gateway.stores.revisions import Entry, Revision

blueprint = protected("revisions", __name__)


@blueprint.get("/api/gatehouse/apis/<key>/revisions")
def list_revisions(key: str) -> Response:
    """Newest first; also of an API that was deleted."""
    found = gateway().definitions.revisions(key)
    if not found and gateway().definitions.get(key) is None:
        raise Refused(404, "API definition does not exist", "api-unknown")
    return answer({"revisions": [_summary(revision) for revision in found]})


@blueprint.get("/api/gatehouse/apis/<key>/revisions/<int:number>")
def get_revision(key: str, number: int) -> Response:
    """One revision and how it differs from the one before, or from `?against=N`."""
    revision = _revision(key, number)
    other = request.args.get("against", "")
    if other and not (other.isdecimal() and len(other) <= 9):
        raise Refused(400, "against must be the number of a revision", "invalid-argument")
    base = _revision(key, int(other)) if other else gateway().definitions.revision_before(key, number)
    before, after = (differences.whole(one.raw, one.hook_references) if one else None for one in (base, revision))
    names = (f"revision {base.number}" if base else "nothing", f"revision {number}")
    return answer({
        **_summary(revision),
        "against": base.number if base else None,
        "document": after,
        "changes": [change._asdict() for change in differences.differences(before or {}, after or {})],
        "diff": differences.text(before, after, names),
    })  # fmt: skip


@blueprint.post("/api/gatehouse/apis/<key>/revisions/<int:number>/restore")
def restore_revision(key: str, number: int) -> Response:
    """`?dry_run=1` here and below: only says what would change."""
    return _stepped("API restored", undoing.restore(gateway(), key, number, *author(), arguments.if_match(), arguments.flag("dry_run")))


@blueprint.post("/api/gatehouse/apis/<key>/undo")
def undo(key: str) -> Response:
    """One step back; also of a deletion."""
    return _stepped("API undone to revision {}", undoing.undo(gateway(), key, *author(), arguments.if_match(), arguments.flag("dry_run")))


@blueprint.post("/api/gatehouse/apis/<key>/redo")
def redo(key: str) -> Response:
    """One step forward: what was undone last, until something else is saved."""
    return _stepped("API redone to revision {}", undoing.redo(gateway(), key, *author(), arguments.if_match(), arguments.flag("dry_run")))


def _stepped(message: str, step: undoing.Step) -> Response:
    """from, to: the revisions whose content was there and is there. revision: the new one, null when nothing was written."""
    more: dict[str, Any] = {"from": step.origin, "to": step.target, "revision": step.revision, "diff": step.diff}
    if step.unchanged:
        more["Unchanged"] = True
    if step.saved is None:
        return done("Dry run: nothing was written", step.id, **more, DryRun=True)
    headers = {"ETag": f'"{step.revision or step.saved.stored.revision}"'}
    return done(
        message.format(step.target), step.id, unconfirmed=step.saved.unconfirmed, warnings=step.saved.warnings, headers=headers, **more
    )


@blueprint.post("/api/gatehouse/lint")
def lint_definition() -> Response:
    """Mistakes (they would stop a save) and warnings (they would not) of a definition, which is not stored."""
    body = arguments.body("definition")
    raw = body.get("api_definition", body)
    if not isinstance(raw, dict):
        raise Refused(400, "api_definition must be an object", "invalid-definition")
    mistakes: tuple[Mistake, ...] = ()
    warnings: list[Mistake] = []
    try:
        warnings = lint(definitions.inspect(gateway(), raw))
    except Mistakes as error:
        mistakes, warnings = error.mistakes, unread_fields(error.unread)
    return answer({"valid": not mistakes, "mistakes": places(mistakes), "warnings": places(warnings)})


@blueprint.get("/api/gatehouse/workers")
def list_workers() -> Response:
    """Who runs, and what the answering worker serves: every API with its revision, and those it could not compile, with the reasons."""
    current = gateway().live.current
    try:
        workers: list[str] | None = gateway().announcements.workers()
    except Unreachable:
        workers = None  # Valkey is away: nobody knows
    return answer({
        "workers": workers,
        "number": current.number,
        "generation": gateway().definitions.generation(),
        "apis": {api_id: api.revision for api_id, api in current.apis.items()},
        "broken": {api_id: places(mistakes) for api_id, mistakes in current.broken.items()},
    })  # fmt: skip


def _revision(key: str, number: int) -> Revision:
    try:
        return gateway().definitions.revision(key, number)
    except NotFound:
        raise Refused(404, "There is no such revision of this API", "revision-unknown") from None


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
