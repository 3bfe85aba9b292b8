"""Rewrites addresses of the upstream in header fields of its answers, such as `Location`, to those of the API (`header_transform`).

In the fields that it names, the scheme, host and port of a target become those of `target_host`, wherever in the value they are, and behind
them the target's own path becomes the listen path. A value that is a path is rewritten, too; other addresses stay as they are.

Fields:
* `response_processors[].options.rev_proxy_header_cleanup.headers` (1.9): Of a `header_transform`: names of the header fields.
* `response_processors[].options.rev_proxy_header_cleanup.target_host` (1.9): The URL by which clients reach the gateway, such as
  `https://api.example.com`. Differs: A path in it is a mistake. Tyk replaces texts, such as `http` anywhere; and where the target has no
  path, it puts the listen path only before the path that was asked for.
Refusals: none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from services.gateway.definitions import values
from services.gateway.definitions.model import TargetUrl
from services.gateway.definitions.reader import Reader
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.ports import Ports
from services.gateway.routing.listen_paths import owned_length

_NO_URL: Final = "must be an http(s) URL without a path, such as https://api.example.com"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Cleanup:
    """One processor. headers: names in lower case. base: what takes the place of a target's scheme and host."""

    headers: frozenset[bytes]
    base: str


@dataclass(frozen=True, slots=True)
class Spec:
    """strips: whether the upstream's paths lack the listen path."""

    cleanups: tuple[Cleanup, ...]
    targets: tuple[TargetUrl, ...]
    strips: bool


def fields(reader: DefinitionReader) -> Spec | None:
    """Read the processors; None when none names a header."""
    found = []
    for value, pointer in reader.items("response_processors"):
        processor = reader.member(value, pointer)
        options = processor.opaque("options").opaque("rev_proxy_header_cleanup")
        if processor.text("name") == "header_transform" and (cleanup := _cleanup(options)) is not None:
            found.append(cleanup)
        processor.disregard()  # response_headers reads them, too
    proxy = reader.definition.proxy
    targets = tuple(target for target in proxy.targets if target.scheme in _DEFAULT_PORTS)
    return Spec(tuple(found), targets, proxy.strip_listen_path) if found else None


def _cleanup(options: Reader) -> Cleanup | None:
    names = options.texts("headers")
    if not names:
        return None
    for name, pointer in names:
        try:
            values.answer_header(name, "")
        except ValueError as error:
            options.report.add(pointer, str(error))
    base = options.text("target_host")
    if not values.is_url(base) or "@" in base or "".join(urlsplit(base)[2:]) not in ("", "/"):
        options.mistake("target_host", _NO_URL)
    return Cleanup(frozenset([name.lower().encode("latin-1", "replace") for name, _ in names]), base.rstrip("/"))


def build(spec: Spec, ports: Ports) -> AnswerUrls:
    """Build a pattern of the targets."""
    return AnswerUrls(spec)


class AnswerUrls:
    """Changes values of header fields."""

    __slots__ = ("_cleanups", "_paths", "_pattern", "_strips")

    def __init__(self, spec: Spec) -> None:
        self._cleanups = spec.cleanups
        self._strips = spec.strips
        self._paths = {target.path for target in spec.targets}
        self._pattern = _pattern(spec.targets)

    def on_response(self, exchange: Exchange, head: ResponseHead) -> None:
        for cleanup in self._cleanups:
            if any(name.lower() in cleanup.headers for name, _ in head.headers):
                head.headers = [
                    (name, self._changed(exchange, value, cleanup.base) if name.lower() in cleanup.headers else value)
                    for name, value in head.headers
                ]

    def _changed(self, exchange: Exchange, value: bytes, base: str) -> bytes:
        text = value.decode("latin-1")
        assert exchange.api is not None
        own = exchange.path[: owned_length(exchange.api, exchange.path)] if self._strips else ""
        if text.startswith("/") and not text.startswith("//"):
            path = max((one for one in self._paths if _is_below(text, one)), key=len, default=None)
            changed = text if path is None else own + text[len(path) :] or "/"
            return value if _names_host(changed) else changed.encode("latin-1")
        return self._pattern.sub(lambda found: f"{base}{own}", text).encode("latin-1")


def _is_below(text: str, path: str) -> bool:
    return text.startswith(path) and text[len(path) : len(path) + 1] in ("", "/", "?", "#")


# How browsers read addresses (WHATWG URL): a backslash is a slash, and a tab is nothing.
_names_host: Final = re.compile(r"/\t*[/\\]").match


def _pattern(targets: Sequence[TargetUrl]) -> re.Pattern[str]:
    """Return what matches the addresses of targets, the longest first, up to where their own paths end."""
    found = []
    for target in targets:
        host = f"[{target.host}]" if ":" in target.host else target.host
        port = f"(?::{target.port})" + ("?" if _DEFAULT_PORTS[target.scheme] == target.port else "")
        found.append((len(target.path), f"(?i:{target.scheme}://{re.escape(host)}){port}{re.escape(target.path)}"))
    either = "|".join(pattern for _, pattern in sorted(found, reverse=True)) or "(?!)"
    return re.compile(rf"(?<![\w+.-])(?:{either})(?![\w:.@%~-])")
