"""What an event says, and how a webhook's body is written from it.

The metadata are Tyk's: `Message`, `Path`, `Origin`, `Key`; for version failures `Reason`; for `TriggerExceeded` `OrgID`, `TriggerLimit` and
`UsagePercentage`; for breakers `CircuitEvent` and `APIID`; for hosts `HostInfo`, with `CheckURL`, `ResponseCode` and `IsTCPError`. The
default body has Tyk's members (`event`, `message`, `path`, `origin`, `key`) as real JSON, and `api_id` and `time` beside them.

Templates know fields (`{{.EventType}}`, `{{.TimeStamp}}`, `{{.EventMetaData.NAME}}`; in later Tyk `{{.Type}}` and `{{.Meta.NAME}}`),
comments and trim marks. What they put in is escaped for JSON, and a field that the event does not have is empty. A template
with anything else is not used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.common import logging as logs
from services.gateway.exchange import Exchange
from services.gateway.refusals import Refusal

log = logs.get(__name__)

# Members of the default body that only some events have, by Tyk's name of their metadata.
_FURTHER: Final = {
    "Reason": "reason", "OrgID": "org_id", "TriggerLimit": "trigger_limit", "UsagePercentage": "usage_percentage",
    "HostInfo.CheckURL": "check_url", "HostInfo.ResponseCode": "response_code",
}  # fmt: skip
# Events that differ in these are not the same one, whatever else they have in common.
TELLING_APART: Final = ("TriggerLimit", "CircuitEvent", "HostInfo.CheckURL")
_SHOWN_OF_UNKNOWN: Final = 4
_LARGEST_TEMPLATE: Final = 64 * 1024
# Possessive, and matched at one place after the other: each character of a template is read once.
_ACTION: Final = re.compile(r"\{\{(-(?=\s))?\s*+(?:\.(\w++(?:\.\w++)*+)|/\*(?:(?!\*/).)*+\*/)\s*+((?<=\s)-)?\}\}", re.DOTALL).match


@dataclass(frozen=True, slots=True)
class Event:
    """name: `QuotaExceeded`, …. at: ISO 8601 in UTC. metadata: Tyk's names. request_id: "" when no request was the cause."""

    name: str
    api_id: str
    at: str
    metadata: Mapping[str, str]
    request_id: str = ""


def of_refusal(exchange: Exchange, refusal: Refusal, at: str) -> Event:
    """Return the event of a refused request. Keys: the public id of a known one, the first characters of an unknown one, never a secret."""
    kind = refusal.kind
    api = exchange.api
    path, key = logs.mask_secrets(exchange.path), key_shown(exchange, kind.event_key)
    metadata = {"Message": kind.event_message, "Path": path, "Origin": exchange.client, "Key": key}
    if kind.event == "VersionFailure":
        metadata["Reason"] = logs.mask_secrets(refusal.reason)
    return Event(kind.event or "", api.api_id if api else "", at, metadata, exchange.request_id)


def of_request(exchange: Exchange, event: str, metadata: Mapping[str, str], at: str) -> Event:
    """Return an event that a request is the cause of. It names the client, and no path: the path has nothing to do with it."""
    api = exchange.api
    return Event(event, api.api_id if api else "", at, {"Path": "", "Origin": exchange.client, **metadata}, exchange.request_id)


def key_shown(exchange: Exchange, whose: str) -> str:
    """Return how an event names the key."""
    if whose == "address":
        return exchange.client
    if whose == "none":
        return ""
    if exchange.key is not None:
        return exchange.key.id
    presented = exchange.presented_key
    # A secret that is hardly longer than what is shown of it would be given away.
    return presented[:_SHOWN_OF_UNKNOWN] + "****" if len(presented) >= 3 * _SHOWN_OF_UNKNOWN else "****" if presented else ""


def body(event: Event, template: str | None) -> str:
    """Write the body of a webhook call. template: its text, None = the default."""
    if template is not None:
        return "".join(text + _escaped(event, field) for text, field in _pieces(template))
    metadata = event.metadata
    members = {
        "event": event.name,
        "message": metadata.get("Message", ""),
        "path": metadata.get("Path", ""),
        "origin": metadata.get("Origin", ""),
        "key": metadata.get("Key", ""),
        "api_id": event.api_id,
        "time": event.at,
    }
    members |= {member: metadata[name] for name, member in _FURTHER.items() if name in metadata}
    return json.dumps(members, ensure_ascii=False)


def _escaped(event: Event, field: str | None) -> str:
    """Return the value of a field (None = a comment), escaped for a JSON string."""
    first, _, second = (field or "").partition(".")
    if first in ("EventMetaData", "Meta"):
        value = event.metadata.get(second, "")
    else:
        value = {"EventType": event.name, "Type": event.name, "TimeStamp": event.at}.get(field or "", "")
    return json.dumps(value, ensure_ascii=False)[1:-1]


def checked(template: str) -> str:
    """Return the template itself. Raises ValueError for what is not understood."""
    _pieces(template)
    return template


def _pieces(template: str) -> list[tuple[str, str | None]]:
    """Split a template into texts, each with the field that follows it (None = a comment, or the end). Raises ValueError."""
    pieces: list[tuple[str, str | None]] = []
    place, trimmed = 0, False
    while True:
        start = template.find("{{", place)
        text = template[place:] if start < 0 else template[place:start]
        if "}}" in text:
            raise _not_understood(text)
        if trimmed:
            text = text.lstrip()
        if start < 0:
            return [*pieces, (text, None)]
        found = _ACTION(template, start)
        if found is None:
            raise _not_understood(template[start:])
        pieces.append((text.rstrip() if found[1] else text, found[2]))
        place, trimmed = found.end(), found[3] is not None


def _not_understood(strange: str) -> ValueError:
    known = "fields such as {{.EventType}} and {{.EventMetaData.Path}}"
    return ValueError(f"only {known} are understood, not `{strange[:60].split('}}')[0].strip()}`")


class Templates:
    """The templates of one folder, by the path that a hook names; read again when a file changes. For one thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._read: dict[str, tuple[float, str | None]] = {}

    def get(self, path: str) -> str | None:
        """Return the text, None = the default body: no path, outside the folder, unreadable or not understood (as in Tyk, logged once)."""
        if not path:
            return None
        changed = -1.0
        try:
            file = (self._folder / path).resolve()
            if not file.is_relative_to(self._folder):
                raise PermissionError("outside the folder of templates")
            changed = file.stat().st_mtime
            known = self._read.get(path)
            if known is None or known[0] != changed:
                known = self._read[path] = (changed, _read(file))
            return known[1]
        except (OSError, ValueError) as error:
            known = self._read.get(path)
            if known is None or known != (changed, None):
                log.warning("webhook template refused; default body sent", template=path, error=str(error))
                self._read[path] = (changed, None)
            return None


def _read(file: Path) -> str:
    with file.open("rb") as source:
        content = source.read(_LARGEST_TEMPLATE + 1)
    if len(content) > _LARGEST_TEMPLATE:
        raise ValueError(f"larger than {_LARGEST_TEMPLATE} bytes")
    return checked(content.decode("utf-8"))
