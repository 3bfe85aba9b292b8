"""The JSON of a definition's event handlers: who hears of refusals and of changes of keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from services.gateway.definitions import values
from services.gateway.definitions.model import LOG, WEBHOOK, EventHandler
from services.gateway.definitions.not_served import refuse_handler
from services.gateway.definitions.reader import Reader, join

EVENTS: Final = frozenset({
    "QuotaExceeded", "RatelimitExceeded", "AuthFailure", "KeyExpired", "VersionFailure", "OrgQuotaExceeded",
    "OrgRateLimitExceeded", "TriggerExceeded", "BreakerTripped", "BreakerReset", "BreakerTriggered", "HostDown", "HostUp",
    "TokenCreated", "TokenUpdated", "TokenDeleted",
})  # fmt: skip
# Definitions are shown, compared, kept as revisions and copied about.
NO_SECRETS: Final = "a secret does not belong into a definition: give it to a webhook (/api/hooks), and name that webhook by its id (_id)"
HOOK_METHODS: Final = ("GET", "PUT", "POST", "DELETE", "PATCH")


def read_event_handlers(reader: Reader) -> dict[str, tuple[EventHandler, ...]]:
    found: dict[str, tuple[EventHandler, ...]] = {}
    events = reader.member({"events": reader.value("events")}, reader.pointer)
    for event, handlers, pointer in events.mapping("events"):
        if event not in EVENTS:
            reader.report.add(pointer, no_event(event))
        if not isinstance(handlers, list | None):
            reader.report.add(pointer, "must be a list")
            continue
        readers = [reader.member(handler, join(pointer, index)) for index, handler in enumerate(handlers or ())]
        found[event] = tuple(handler for handler in map(_event_handler, readers) if handler is not None)
    return found


def no_event(name: str) -> str:
    """What is said of the name of an event that there is not."""
    return f"`{name}` is not an event; known are {', '.join(sorted(EVENTS))}"


def _event_handler(reader: Reader) -> EventHandler | None:
    """None for one that is switched off; of such a one nothing is asked but to keep no secret."""
    if "handler_name" not in reader:
        reader.mistake("handler_name", f"handler_name is missing; {WEBHOOK} or {LOG} is expected")
    name = reader.choice("handler_name", (WEBHOOK, LOG), LOG) if not refuse_handler(reader) else LOG
    meta = reader.object("handler_meta")
    if meta.value("secret"):
        meta.mistake("secret", NO_SECRETS)
    if meta.flag("disabled"):
        meta.disregard()
        return None
    given = reader.value("handler_meta")
    given = given if isinstance(given, Mapping) else {}
    if name == LOG:
        return EventHandler(LOG, prefix=meta.text("prefix"), meta=given)
    url = meta.text("target_path")
    if url:
        _check_hook_url(meta, url)
    else:
        meta.mistake("target_path", "target_path is empty: the URL to call is expected")
    method = meta.text("method", "POST").upper()
    if method not in HOOK_METHODS:
        meta.mistake("method", f"must be one of {', '.join(HOOK_METHODS)}")
    return EventHandler(
        WEBHOOK,
        id=meta.text("_id") or meta.text("id"),
        name=meta.text("name"),
        org_id=meta.text("org_id"),
        method=method,
        target_path=url,
        template_path=meta.text("template_path"),
        header_map=headers(meta, "header_map", values.header),
        event_timeout=meta.integer("event_timeout"),
        meta=given,
    )


def _check_hook_url(meta: Reader, url: str) -> None:
    try:
        values.target_url(url)
    except ValueError as error:
        meta.mistake("target_path", str(error).replace("target_url", "target_path"))


def headers(reader: Reader, name: str, check: Callable[[str, str], tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """A map of header names and values."""
    found = []
    for key, value, pointer in reader.mapping(name):
        if not isinstance(value, str):
            reader.report.add(pointer, "must be a string")
            continue
        try:
            found.append(check(key, value))
        except ValueError as error:
            reader.report.add(pointer, str(error))
    return tuple(found)
