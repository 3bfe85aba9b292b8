"""The call that an action makes: where it may go, and what it carries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv6Address
from typing import Any, Final
from urllib.parse import urlsplit

from services.common.addresses import host_name
from services.common.header_names import FRAMING

LONGEST_URL: Final = 2048
MOST_HEADERS: Final = 20
LONGEST_HEADER: Final = 2000  # characters of a value
LARGEST_DATA: Final = 32_000  # characters; of records that are left out, the body says how many matched
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII).fullmatch  # RFC 9110, 5.6.2
_NOT_REPLACED: Final = "Message variables such as $VALUE$ are not served; the body holds the records"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]").search
_NOT_IN_A_URL: Final = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]").search
_A_MESSAGE_VARIABLE: Final = re.compile(r"\$(VARIABLE|VALUE|UNIT|TIME|LOCATION|DEVICE(\.NAME)?|ACTION\.STATE)\$").search
_OURS: Final = FRAMING | {"host", "expect", "keep-alive", "proxy-connection", "webhook-id", "webhook-timestamp", "webhook-signature"}


def check(action: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with the `action` of an action, by field; empty when nothing is. Its fields have the right types."""
    wrong: dict[str, list[str]] = {}
    for field, text in (*_of_url(action["url"]), *_of_headers(action.get("headers") or {})):
        wrong.setdefault(field, []).append(text)
    return wrong


def body(action: Mapping[str, Any], device: Mapping[str, Any], fired_at: str, matched: int, records: Iterable[str]) -> str:
    """Write the JSON that a receiver gets. action, device: as it is shown of them. records: JSON of those that matched, from the first.

    matched: how many did. `data` has as many as fit into `LARGEST_DATA`, and one in any case; no more are taken from `records`.
    """
    written: list[str] = []
    size = 0
    for text in records:
        size += len(text) + 1
        if written and size > LARGEST_DATA:
            break
        written.append(text)
    head = as_json({"action": action, "device": device, "fired_at": fired_at, "matched": matched})
    return f'{head[:-1]},"data":[{",".join(written)}]}}'


def _of_url(url: str) -> Iterator[tuple[str, str]]:
    """The URL is not repeated: it may hold a password."""
    if len(url) > LONGEST_URL:
        yield "url", f"Longer than {LONGEST_URL} characters"
        return
    if _NOT_IN_A_URL(url):
        yield "url", "Holds a space or a control character"
        return
    if _A_MESSAGE_VARIABLE(url):
        yield "url", _NOT_REPLACED
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if "[" in parts.netloc:
            IPv6Address(host)
        else:
            host_name(host)
    except ValueError:
        yield "url", "The host or the port is malformed"
        return
    if parts.scheme not in ("http", "https"):
        yield "url", "Must begin with http:// or https://"
    if port == 0:
        yield "url", "The port is 0"
    if "@" in parts.netloc:
        yield "url", "Holds a user name or password; use a header"


def _of_headers(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if len(headers) > MOST_HEADERS:
        yield "headers", f"More than {MOST_HEADERS}"
        return
    if len({name.lower() for name in headers}) < len(headers):
        yield "headers", "A name comes twice"
    for name, value in headers.items():
        if not _NAME(name):
            yield "headers", "Holds what is not a header name"
        elif name.lower() in _OURS:
            yield f"headers.{name}", "Is set by the service"
        elif len(value) > LONGEST_HEADER:
            yield f"headers.{name}", f"Longer than {LONGEST_HEADER} characters"
        elif _CONTROL(value):
            yield f"headers.{name}", "Holds a line break or another control character"
        elif _A_MESSAGE_VARIABLE(value):
            yield f"headers.{name}", _NOT_REPLACED


def as_json(value: Any) -> str:
    """Write JSON as it stands in a call."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
