"""The JSON of a definition's event handlers: what happens on a refusal or a change of a key.

Fields:
* `event_handlers.events` (1.3): The handlers of each event: a list by the event's name. Differs: An unknown event is a mistake.
* `event_handlers.events.*[].handler_name` (1.3, required): `eh_web_hook_handler` calls a webhook, `eh_log_handler` writes a line in the
  log, `eh_dynamic_handler` runs a script.
* `event_handlers.events.*[].handler_meta.disabled` (5.4): Leaves the handler out.
* `event_handlers.events.*[].handler_meta._id` (unknown): The id of the webhook in `/api/hooks` that the handler is a copy of.
* `event_handlers.events.*[].handler_meta.id` (5.4): The same as `_id`, which outranks it.
* `event_handlers.events.*[].handler_meta.name` (5.4): The webhook's name; of a script, the name of the object in its file.
* `event_handlers.events.*[].handler_meta.path` (1.5): The file of a script, below `GATEWAY_MIDDLEWARE_PATH`.
* `event_handlers.events.*[].handler_meta.org_id` (unknown): The id of the webhook's owner.
* `event_handlers.events.*[].handler_meta.method` (1.3): The method of the call: GET, PUT, POST, DELETE or PATCH. Differs: PATCH is sent as
  PATCH; 1.4 sends DELETE.
* `event_handlers.events.*[].handler_meta.target_path` (1.3): The URL to call. A webhook needs it.
* `event_handlers.events.*[].handler_meta.template_path` (1.3): The template of the call's body.
* `event_handlers.events.*[].handler_meta.header_map` (1.3): Header fields of the call.
* `event_handlers.events.*[].handler_meta.event_timeout` (1.3): Seconds for which the same event is not sent again; 0 = it is always sent.
  Differs: In 1.4, 0 silences the event for ever.
* `event_handlers.events.*[].handler_meta.secret` (own): A mistake: a definition must not hold a secret. Give it to a webhook in
  `/api/hooks`, and name that webhook by its `_id`.
* `event_handlers.events.*[].handler_meta.prefix` (1.3): The beginning of the line in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.gateway.definitions import values
from services.gateway.definitions.checking import checked, read_headers
from services.gateway.definitions.model import LOG, SCRIPT, WEBHOOK, EventHandler
from services.gateway.definitions.not_served import refuse_handler
from services.gateway.definitions.reader import Reader, join
from services.gateway.definitions.script_names import script_name, script_path

EVENTS: Final = frozenset({
    "QuotaExceeded", "RatelimitExceeded", "AuthFailure", "KeyExpired", "VersionFailure", "OrgQuotaExceeded",
    "OrgRateLimitExceeded", "TriggerExceeded", "BreakerTripped", "BreakerReset", "BreakerTriggered", "HostDown", "HostUp",
    "TokenCreated", "TokenUpdated", "TokenDeleted",
})  # fmt: skip
# Definitions are shown, compared, kept as revisions and copied about.
NO_SECRETS: Final = "a secret does not belong in a definition: give it to a webhook (/api/hooks), and name that webhook by its id (_id)"
HOOK_METHODS: Final = ("GET", "PUT", "POST", "DELETE", "PATCH")


def read_event_handlers(reader: Reader) -> dict[str, tuple[EventHandler, ...]]:
    """Read the handlers of each event, without those that are switched off. reader: of `event_handlers`."""
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
    """Describe the mistake of an unknown event name."""
    return f"`{name}` is not an event; known are {', '.join(sorted(EVENTS))}"


def _event_handler(reader: Reader) -> EventHandler | None:
    """Read one handler; None when it is switched off. Even then it must not hold a secret; nothing else of it is checked."""
    if "handler_name" not in reader:
        reader.mistake("handler_name", f"handler_name is missing; {WEBHOOK}, {LOG} or {SCRIPT} is expected")
    name = reader.choice("handler_name", (WEBHOOK, LOG, SCRIPT), LOG) if not refuse_handler(reader) else LOG
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
    if name == SCRIPT:
        return EventHandler(SCRIPT, name=script_name(meta, "name"), script=script_path(meta, "path"), meta=given)
    url = meta.text("target_path")
    if url:
        checked(meta, "target_path", url, _hook_url, None)
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
        header_map=read_headers(meta, "header_map", values.header),
        event_timeout=meta.integer("event_timeout"),
        meta=given,
    )


def _hook_url(text: str) -> None:
    try:
        values.target_url(text)
    except ValueError as error:
        raise ValueError(str(error).replace("target_url", "target_path")) from None
