"""Saving a definition: filled in, hooks embedded, checked whole, stored as a revision, live on every worker. Or nothing changes at all."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.gateway.definitions.lint import unread_fields, without_effect
from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.definitions.sources import address, interpret
from services.gateway.operator_api.changes import differences, hook_references
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.operator_api.refusals import Refused, invalid
from services.gateway.stores.definitions import (
    Action,
    ApiIdTaken,
    NotFound,
    PlaceTaken,
    ReadOnly,
    RevisionConflict,
    StoredDefinition,
    Unchanged,
    new_api_id,
    new_id,
    same_json,
)

DEFAULT_ORG: Final = "default"
_LONGEST_PATH: Final = 1024
_NOWHERE_ELSE: Final[Mapping[str, str]] = {}
_CANONICAL: Final = ("id", "name", "api_id", "org_id", "active", "proxy", "event_handlers")


@dataclass(frozen=True, slots=True)
class Saved:
    """unconfirmed: workers that do not serve it yet. warnings: what is kept and has no effect. unchanged: it was so already, nothing was
    written. diff: of a dry run, what would change.
    """

    stored: StoredDefinition
    unconfirmed: list[str]
    warnings: Sequence[Mistake] = ()
    unchanged: bool = False
    diff: str | None = None


def create(
    gateway: Gateway, raw: Mapping[str, Any], references: Any, who: str, note: str, prefix: str = "", dry_run: bool = False
) -> Saved:
    """Store a new definition. prefix: the pointer of the definition in the caller's document, for mistakes. dry_run: only check."""
    refuse_files(gateway)
    document = filled(raw)
    listed, sources = hook_references.embed(gateway, document, references, [])
    definition = checked(gateway, document, prefix, replaces=None, sources=sources)
    if dry_run:
        if any(gateway.definitions.get(document[name]) is not None for name in ("id", "api_id")):
            raise id_taken()
        planned = StoredDefinition(document["id"], document["api_id"], 0, document, listed)
        diff = differences.text(None, differences.whole(document, listed), ("nothing", "this"))
        return Saved(planned, [], warnings_of(definition, prefix), diff=diff)
    try:
        stored = gateway.definitions.create(document, listed, address=address(definition), active=definition.active, who=who, note=note)
    except ApiIdTaken:
        raise id_taken() from None
    except PlaceTaken as error:
        raise place_taken(prefix, error) from None
    return Saved(stored, gateway.publish_definitions(), warnings_of(definition, prefix))


def update(
    gateway: Gateway,
    key: str,
    raw: Mapping[str, Any],
    references: Any,
    who: str,
    note: str,
    if_match: int | None = None,
    prefix: str = "",
    dry_run: bool = False,
) -> Saved:
    """Replace a definition wholly. references None = as they are stored. dry_run: only check, and tell what would change."""
    refuse_files(gateway)
    before = existing(gateway, key)
    if if_match is not None and if_match != before.revision:
        raise conflict(before.revision)
    document = _canonical(raw)
    for name, own, shown in (("id", before.id, "id"), ("api_id", before.api_id, "APIID")):
        if document.get(name) in (None, ""):
            document[name] = own
        elif document[name] != own:
            message = f"Request {shown} does not match that in Definition! For Update operations these must match."
            raise Refused(400, message, "id-mismatch", mistakes=[Mistake(f"{prefix}/{name}", f"must be `{own}`")])
    _fill(document, before.raw.get("org_id") or DEFAULT_ORG)
    kept = before.hook_references if references is None else references
    listed, sources = hook_references.embed(gateway, document, kept, before.hook_references)
    definition = checked(gateway, document, prefix, replaces=before.api_id, sources=sources)
    if dry_run:
        now, then = differences.whole(before.raw, before.hook_references), differences.whole(document, listed)
        diff = differences.text(now, then, (f"revision {before.revision}", "this"))
        return Saved(before, [], warnings_of(definition, prefix), same_json(now, then), diff)
    try:
        return replace(gateway, before.id, document, listed, definition, who=who, note=note, if_match=if_match, prefix=prefix)
    except NotFound:
        raise _missing() from None


def replace(
    gateway: Gateway,
    id: str,
    document: Mapping[str, Any],
    references: list[Any],
    definition: Definition,
    *,
    who: str,
    note: str,
    if_match: int | None,
    prefix: str = "",
    action: Action = "updated",
    target: int | None = None,
) -> Saved:
    """Store and announce what was checked, unless it is so already. Raises Refused, NotFound."""
    try:
        stored = gateway.definitions.update(
            id,
            document,
            references,
            address=address(definition),
            active=definition.active,
            who=who,
            note=note,
            if_match=if_match,
            action=action,
            target=target,
        )
    except Unchanged as same:
        return Saved(same.stored, [], warnings_of(definition, prefix), unchanged=True)
    except RevisionConflict as error:
        raise conflict(error.current) from None
    except PlaceTaken as error:
        raise place_taken(prefix, error) from None
    return Saved(stored, gateway.publish_definitions(), warnings_of(definition, prefix))


def delete(gateway: Gateway, key: str, who: str, note: str, if_match: int | None = None) -> Saved:
    """Raises Refused (404, 409, 412)."""
    refuse_files(gateway)
    try:
        stored = gateway.definitions.delete(key, who=who, note=note, if_match=if_match)
    except NotFound:
        raise Refused(404, "Could not retrieve API detail", "api-unknown") from None
    except RevisionConflict as error:
        raise conflict(error.current) from None
    return Saved(stored, gateway.publish_definitions())


def existing(gateway: Gateway, key: str) -> StoredDefinition:
    """Raises Refused."""
    found = gateway.definitions.get(key)
    if found is None:
        raise _missing()
    return found


def inspect(gateway: Gateway, raw: Mapping[str, Any]) -> Definition:
    """The Definition that saving `raw` would give. Raises Mistakes."""
    document = filled(raw)
    before = gateway.definitions.get(str(document["api_id"]))
    definition = interpret(document)
    gateway.check(definition, None if before is None else before.api_id)
    return definition


def _missing() -> Refused:
    return Refused(404, "API definition does not exist", "api-unknown")


def conflict(current: int) -> Refused:
    message = f"The API was changed meanwhile: it is at revision {current}. Read it again and repeat the change."
    return Refused(412, message, "revision-conflict", headers={"ETag": f'"{current}"'})


def id_taken() -> Refused:
    return Refused(409, "Found API with the same ID", "api-id-taken")


def place_taken(prefix: str, error: PlaceTaken) -> Refused:
    return invalid("definition", Mistakes([Mistake(f"{prefix}/proxy/listen_path", str(error))]))


def refuse_files(gateway: Gateway) -> None:
    if gateway.definitions.source == "files":
        raise read_only()


def read_only() -> Refused:
    message = "The definitions are read from files (GATEWAY_SOURCE=files): change the file and call /tyk/reload/"
    return Refused(409, message, "definitions-from-files")


def checked(
    gateway: Gateway, document: Mapping[str, Any], prefix: str, replaces: str | None, sources: Mapping[str, str] = _NOWHERE_ELSE
) -> Definition:
    """sources: of handlers that came from hook references."""
    try:
        definition = interpret(document)
        if len(definition.proxy.listen_path) > _LONGEST_PATH:
            raise Mistakes([Mistake("/proxy/listen_path", f"listen_path must not be longer than {_LONGEST_PATH} characters")])
        gateway.check(definition, replaces)
    except Mistakes as error:
        placed = (Mistake(hook_references.place(mistake.pointer, sources, prefix), mistake.message) for mistake in error.mistakes)
        kept = (Mistake(prefix + one.pointer, one.message) for one in unread_fields(error.unread))
        raise invalid("definition", Mistakes(placed), warnings=kept) from None
    except ReadOnly:
        raise read_only() from None
    return definition


def warnings_of(definition: Definition, prefix: str) -> list[Mistake]:
    return [Mistake(prefix + one.pointer, one.message) for one in without_effect(definition)]


def filled(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A new definition with what the server adds: ids, the organisation, the listen path."""
    document = _canonical(raw)
    document["id"] = document.get("id") or new_id()
    document["api_id"] = document.get("api_id") or new_api_id()
    _fill(document, DEFAULT_ORG)
    return document


def _fill(document: dict[str, Any], org_id: str) -> None:
    document["org_id"] = document.get("org_id") or org_id
    proxy = document.get("proxy")
    if isinstance(proxy, Mapping):
        known = {name.lower() for name, value in proxy.items() if value is not None}
        added = {} if "listen_path" in known else {"listen_path": f"/{document['api_id']}/"}
        document["proxy"] = {**proxy, **added}


def _canonical(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A copy whose fields that we touch are spelled in one way; case does not count in Tyk's JSON."""
    present = set(raw)
    renamed = {}
    for name, value in raw.items():
        folded = name.lower()
        renamed[folded if folded in _CANONICAL and folded not in present else name] = copy.deepcopy(value)
    return renamed
