"""References to webhooks, and the event handlers that they become in a definition, as in Tyk's dashboard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.gateway.definitions.event_schema import EVENTS, NO_SECRETS, no_event
from services.gateway.definitions.model import WEBHOOK, Definition
from services.gateway.definitions.reader import Mistake, Mistakes, join
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes.ports import Gateway


def embed(gateway: Gateway, document: dict[str, Any], references: Any, before: list[Any]) -> tuple[list[Any], dict[str, str]]:
    """Write a handler for every hook reference into the definition.

    Handlers that came from references (the former ones or these) are replaced, so that saving what was read changes nothing;
    handlers that the author wrote directly stay. Returns the references as they are stored, and where each handler came from: its pointer
    in the definition → that of its reference, for mistakes. Raises OperatorRefusal.
    """
    if references is None:
        references = []
    mistakes: list[Mistake] = []
    listed = list(_references(gateway, references, mistakes))
    if mistakes:
        raise refusals.invalid("definition", Mistakes(mistakes))
    former = [one for one in (*before, *listed) if isinstance(one, Mapping) and isinstance(one.get("hook"), Mapping)]
    replaced = [(one.get("event_name"), _hook_id(one)) for one in former if _hook_id(one)]
    nameless = [(one.get("event_name"), _handler(one)) for one in former if not _hook_id(one)]
    if not former:
        return listed, {}
    handlers = document.get("event_handlers") or {}
    events = handlers.get("events") or {} if isinstance(handlers, Mapping) else None
    if not isinstance(events, Mapping) or not all(isinstance(given, list | None) for given in events.values()):
        return listed, {}  # the check of the definition reports it
    kept = {
        event: [one for one in given or () if (event, _embedded_id(one)) not in replaced and (event, one) not in nameless]
        for event, given in events.items()
    }
    sources = {}
    for index, reference in enumerate(listed):
        own = kept.setdefault(reference["event_name"], [])
        sources[join(join("/event_handlers/events", reference["event_name"]), len(own))] = join("/hook_references", index)
        own.append(_handler(reference))
    gone = {one.get("event_name") for one in former}
    document["event_handlers"] = {**handlers, "events": {event: given for event, given in kept.items() if given or event not in gone}}
    return listed, sources


def refuse_of_others(gateway: Gateway, definition: Definition) -> None:
    """Refuse handlers that name a webhook of another organisation: its secret would sign their calls. Raises Mistakes."""
    of_others = gateway.hooks.of_others({handler.id for given in definition.event_handlers.values() for handler in given if handler.id})
    events = [event for event, given in definition.event_handlers.items() if any(handler.id in of_others for handler in given)]
    if events:
        raise Mistakes(Mistake(join("/event_handlers/events", event), "there is no such webhook") for event in events)


def place(pointer: str, sources: Mapping[str, str], prefix: str) -> str:
    """Return the pointer of a mistake in the caller's document. prefix: of the definition there. sources: from `embed`."""
    for handler, reference in sources.items():
        if pointer == handler or pointer.startswith(handler + "/"):
            rest = pointer.removeprefix(handler).removeprefix("/handler_meta")
            return reference + (rest if rest in ("", "/event_timeout") else f"/hook{rest}")
    return prefix + pointer


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
        if reference["event_name"] not in EVENTS:
            mistakes.append(Mistake(join(pointer, "event_name"), no_event(reference["event_name"])))
            continue
        if any(name.lower() == "secret" and value for name, value in hook.items()):
            mistakes.append(Mistake(join(join(pointer, "hook"), "secret"), NO_SECRETS))
            continue
        if not hook.get("target_path"):
            known = gateway.hooks.get(str(hook.get("id") or ""))
            if known is None:
                mistakes.append(Mistake(join(join(pointer, "hook"), "id"), "there is no such webhook, and target_path is missing"))
                continue
            hook = {"api_model": {}, **known}
        # `signed` is what /api/hooks says of a webhook now; it is not part of it
        yield {**reference, "hook": {name: value for name, value in hook.items() if name != "signed"}}


def _handler(reference: Mapping[str, Any]) -> dict[str, Any]:
    return {"handler_name": WEBHOOK, "handler_meta": _meta(reference)}


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
