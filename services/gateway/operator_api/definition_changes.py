"""Saving a definition: filled in, hooks embedded, checked whole, stored as a revision, live on every worker. Or nothing changes at all."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.gateway.definitions.model import WEBHOOK, Definition
from services.gateway.definitions.reader import Mistake, Mistakes, join
from services.gateway.definitions.schema import NO_SECRETS
from services.gateway.definitions.sources import address, interpret
from services.gateway.operator_api.answers import Refused, invalid
from services.gateway.operator_api.context import Gateway
from services.gateway.stores.definitions import (
    ApiIdTaken,
    NotFound,
    PlaceTaken,
    ReadOnly,
    RevisionConflict,
    StoredDefinition,
    new_api_id,
    new_id,
)

DEFAULT_ORG: Final = "default"
_LONGEST_PATH: Final = 1024
_CANONICAL: Final = ("id", "name", "api_id", "org_id", "active", "proxy", "event_handlers")


@dataclass(frozen=True, slots=True)
class Saved:
    """unconfirmed: workers that do not serve it yet."""

    stored: StoredDefinition
    unconfirmed: list[str]


def create(gateway: Gateway, raw: Mapping[str, Any], references: Any, who: str, note: str, prefix: str = "") -> Saved:
    """Store a new definition. prefix: the pointer of the definition in the caller's document, for mistakes."""
    _refuse_files(gateway)
    document = _filled(raw)
    listed = _embedded(gateway, document, references, [])
    definition = _checked(gateway, document, prefix, replaces=None)
    try:
        stored = gateway.definitions.create(document, listed, address=address(definition), active=definition.active, who=who, note=note)
    except ApiIdTaken:
        raise Refused(409, "Found API with the same ID", "api-id-taken") from None
    except PlaceTaken:
        raise _place_taken(prefix) from None
    return Saved(stored, gateway.publish_definitions())


def update(
    gateway: Gateway, key: str, raw: Mapping[str, Any], references: Any, who: str, note: str, if_match: int | None = None, prefix: str = ""
) -> Saved:
    """Replace a definition wholly. references None = as they are stored."""
    _refuse_files(gateway)
    before = existing(gateway, key)
    if if_match is not None and if_match != before.revision:
        raise _conflict(before.revision)
    document = _canonical(raw)
    for name, own, shown in (("id", before.id, "id"), ("api_id", before.api_id, "APIID")):
        if document.get(name) in (None, ""):
            document[name] = own
        elif document[name] != own:
            message = f"Request {shown} does not match that in Definition! For Update operations these must match."
            raise Refused(400, message, "id-mismatch", mistakes=[Mistake(f"{prefix}/{name}", f"must be `{own}`")])
    _fill(document, before.raw.get("org_id") or DEFAULT_ORG)
    listed = _embedded(gateway, document, before.hook_references if references is None else references, before.hook_references)
    definition = _checked(gateway, document, prefix, replaces=before.api_id)
    return _replace(gateway, before, document, listed, definition, who, note, if_match, prefix)


def _replace(
    gateway: Gateway,
    before: StoredDefinition,
    document: dict[str, Any],
    references: list[Any],
    definition: Definition,
    who: str,
    note: str,
    if_match: int | None,
    prefix: str = "",
    restored: bool = False,
) -> Saved:
    try:
        stored = gateway.definitions.update(
            before.id,
            document,
            references,
            address=address(definition),
            active=definition.active,
            who=who,
            note=note,
            if_match=if_match,
            action="restored" if restored else "updated",
        )
    except NotFound:
        raise _missing() from None
    except RevisionConflict as error:
        raise _conflict(error.current) from None
    except PlaceTaken:
        raise _place_taken(prefix) from None
    return Saved(stored, gateway.publish_definitions())


def delete(gateway: Gateway, key: str, who: str, note: str, if_match: int | None = None) -> Saved:
    """Raises Refused (404, 409, 412)."""
    _refuse_files(gateway)
    try:
        stored = gateway.definitions.delete(key, who=who, note=note, if_match=if_match)
    except NotFound:
        raise Refused(404, "Could not retrieve API detail", "api-unknown") from None
    except RevisionConflict as error:
        raise _conflict(error.current) from None
    return Saved(stored, gateway.publish_definitions())


def restore(gateway: Gateway, key: str, number: int, who: str, note: str, if_match: int | None = None) -> Saved:
    """Make a former revision the newest one, checked like any other save; brings back a deleted definition with its ids."""
    _refuse_files(gateway)
    try:
        revision = gateway.definitions.revision(key, number)
    except NotFound:
        raise Refused(404, "There is no such revision of this API", "revision-unknown") from None
    if revision.raw is None:
        raise Refused(400, f"Revision {number} is the deletion of the API; restore an earlier one", "revision-empty")
    note = note or f"restored from revision {number}"
    before = gateway.definitions.get(revision.definition_id)
    definition = _checked(gateway, revision.raw, "", replaces=None if before is None else before.api_id)
    if before is not None:
        return _replace(gateway, before, revision.raw, revision.hook_references, definition, who, note, if_match, restored=True)
    try:
        stored = gateway.definitions.create(
            revision.raw,
            revision.hook_references,
            address=address(definition),
            active=definition.active,
            who=who,
            note=note,
            action="restored",
        )
    except ApiIdTaken:
        raise Refused(409, "Found API with the same ID", "api-id-taken") from None
    except PlaceTaken:
        raise _place_taken("") from None
    return Saved(stored, gateway.publish_definitions())


def existing(gateway: Gateway, key: str) -> StoredDefinition:
    """Raises Refused."""
    found = gateway.definitions.get(key)
    if found is None:
        raise _missing()
    return found


def inspect(gateway: Gateway, raw: Mapping[str, Any]) -> Definition:
    """The Definition that saving `raw` would give. Raises Mistakes."""
    document = _filled(raw)
    before = gateway.definitions.get(str(document["api_id"]))
    definition = interpret(document)
    gateway.check(definition, None if before is None else before.api_id)
    return definition


def _missing() -> Refused:
    return Refused(404, "API definition does not exist", "api-unknown")


def _conflict(current: int) -> Refused:
    message = f"The API was changed meanwhile: it is at revision {current}. Read it again and repeat the change."
    return Refused(412, message, "revision-conflict", headers={"ETag": f'"{current}"'})


def _place_taken(prefix: str) -> Refused:
    return invalid("definition", Mistakes([Mistake(f"{prefix}/proxy/listen_path", "another active API owns this listen_path")]))


def _refuse_files(gateway: Gateway) -> None:
    if gateway.definitions.source == "files":
        raise read_only()


def read_only() -> Refused:
    message = "The definitions are read from files (GATEWAY_SOURCE=files): change the file and call /tyk/reload/"
    return Refused(409, message, "definitions-from-files")


def _checked(gateway: Gateway, document: Mapping[str, Any], prefix: str, replaces: str | None) -> Definition:
    try:
        definition = interpret(document)
        if len(definition.proxy.listen_path) > _LONGEST_PATH:
            raise Mistakes([Mistake("/proxy/listen_path", f"listen_path must not be longer than {_LONGEST_PATH} characters")])
        gateway.check(definition, replaces)
    except Mistakes as error:
        placed = (Mistake(prefix + mistake.pointer, mistake.message) for mistake in error.mistakes)
        raise invalid("definition", Mistakes(placed)) from None
    except ReadOnly:
        raise read_only() from None
    return definition


def _filled(raw: Mapping[str, Any]) -> dict[str, Any]:
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
        added = {"listen_path": f"/{document['api_id']}/", "strip_listen_path": True}
        document["proxy"] = {**proxy, **{name: value for name, value in added.items() if name not in known}}


def _canonical(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A copy whose fields that we touch are spelled in one way; case does not count in Tyk's JSON."""
    present = set(raw)
    renamed = {}
    for name, value in raw.items():
        folded = name.lower()
        renamed[folded if folded in _CANONICAL and folded not in present else name] = copy.deepcopy(value)
    return renamed


def _embedded(gateway: Gateway, document: dict[str, Any], references: Any, before: list[Any]) -> list[Any]:
    """Write a handler for every hook reference into the definition; gives the references as they are stored.

    Handlers that came from references (the former ones or these) are replaced, so that saving what was read changes nothing;
    handlers that the author wrote directly stay.
    """
    if references is None:
        references = []
    mistakes: list[Mistake] = []
    listed = list(_references(gateway, references, mistakes))
    if mistakes:
        raise invalid("definition", Mistakes(mistakes))
    replaced = {(one.get("event_name"), _hook_id(one)) for one in (*before, *listed) if isinstance(one, Mapping) and _hook_id(one)}
    if not listed and not replaced:
        return listed
    handlers = document.get("event_handlers") or {}
    events = handlers.get("events") or {} if isinstance(handlers, Mapping) else None
    if not isinstance(events, Mapping) or not all(isinstance(given, list | None) for given in events.values()):
        return listed  # the check of the definition names what is wrong
    kept = {event: [one for one in given or () if (event, _embedded_id(one)) not in replaced] for event, given in events.items()}
    for reference in listed:
        kept.setdefault(reference["event_name"], []).append({"handler_name": WEBHOOK, "handler_meta": _meta(reference)})
    gone = {event for event, _ in replaced}
    document["event_handlers"] = {**handlers, "events": {event: given for event, given in kept.items() if given or event not in gone}}
    return listed


def _references(gateway: Gateway, references: Any, mistakes: list[Mistake]) -> Iterator[dict[str, Any]]:
    if not isinstance(references, list):
        mistakes.append(Mistake("/hook_references", "must be a list"))
        return
    for index, reference in enumerate(references):
        pointer = join("/hook_references", index)
        hook = reference.get("hook") if isinstance(reference, Mapping) else None
        if not isinstance(hook, Mapping):
            mistakes.append(Mistake(pointer, "must be an object with event_name, event_timeout and hook"))
            continue
        if not isinstance(reference.get("event_name"), str) or not reference["event_name"]:
            mistakes.append(Mistake(join(pointer, "event_name"), "event_name is missing"))
            continue
        if not hook.get("target_path"):
            known = gateway.hooks.get(str(hook.get("id") or ""))
            if known is None:
                mistakes.append(Mistake(join(join(pointer, "hook"), "id"), "there is no such webhook; its target_path is missing, too"))
                continue
            hook = {"api_model": {}, **known}
        if any(name.lower() == "secret" and value for name, value in hook.items()):
            mistakes.append(Mistake(join(join(pointer, "hook"), "secret"), NO_SECRETS))
            continue
        # `signed` is what /api/hooks says of a webhook now, no part of it
        yield {**reference, "hook": {name: value for name, value in hook.items() if name != "signed"}}


def _meta(reference: Mapping[str, Any]) -> dict[str, Any]:
    """A handler's meta: the webhook with its id under `_id` and with the reference's time-out, in the order of Tyk's samples."""
    hook = {name: value for name, value in reference["hook"].items() if name not in ("api_model", "id", "_id")}
    if reference.get("event_timeout") is not None:
        hook["event_timeout"] = reference["event_timeout"]
    return {"_id": _hook_id(reference), **dict(sorted(hook.items()))}


def _hook_id(reference: Mapping[str, Any]) -> str:
    hook = reference.get("hook")
    return str(hook.get("id") or hook.get("_id") or "") if isinstance(hook, Mapping) else ""


def _embedded_id(handler: Any) -> str:
    meta = handler.get("handler_meta") if isinstance(handler, Mapping) else None
    return str(meta.get("_id") or "") if isinstance(meta, Mapping) else ""
