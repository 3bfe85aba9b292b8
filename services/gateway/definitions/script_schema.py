"""The JSON of the scripts of a definition: custom middleware, virtual endpoints and event handlers, which share one context.

What the fields mean stands in the middlewares that run them (`custom_pre`, `custom_post_key`, `custom_post`, `virtual_endpoint`). Here
only their shape is checked; whether a file is there and compiles is found out when the definition is compiled (`services/gateway/scripts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from services.gateway.definitions.field_names import MIDDLEWARE
from services.gateway.definitions.model import SCRIPT, EventHandler, Script, ScriptKind
from services.gateway.definitions.not_served import refuse_middleware
from services.gateway.definitions.reader import Reader
from services.gateway.definitions.script_names import script_name, script_path
from services.gateway.definitions.version_schema import VersionReader

_LANGUAGES: Final[Mapping[str, Literal["javascript", "python"]]] = {
    "": "javascript", "otto": "javascript", "goja": "javascript", "python": "python",
}  # fmt: skip
HOOKS: Final[tuple[ScriptKind, ...]] = ("pre", "post_key_auth", "post")


def read_hooks(root: Reader) -> list[Script]:
    """Read the scripts of `custom_middleware`, without those that are switched off."""
    middleware = root.object("custom_middleware", MIDDLEWARE)
    driver = middleware.text("driver").lower()
    refuse_middleware(root, middleware, driver, served=driver in _LANGUAGES)
    language = _LANGUAGES.get(driver)
    found = []
    for kind in HOOKS:
        readers = [middleware.member(value, pointer) for value, pointer in middleware.items(kind)]
        found += [_hook(reader, kind, language) for reader in readers if not _is_off(reader)] if language is not None else []
    return found


def _is_off(reader: Reader) -> bool:
    if reader.flag("disabled"):
        reader.disregard()
        return True
    return False


def _hook(reader: Reader, kind: ScriptKind, language: Literal["javascript", "python"]) -> Script:
    reader.flag("raw_body_only")
    return Script(
        kind, language, script_name(reader, "name"), script_path(reader, "path"),
        with_session=reader.flag("require_session"), pointer=reader.pointer,
    )  # fmt: skip


def read_virtual(version: VersionReader) -> list[tuple[Reader, Script]]:
    """Read the virtual endpoints of a version: each entry with its script."""
    return [(reader, _virtual(reader)) for reader in version.entries("virtual")]


def _virtual(reader: Reader) -> Script:
    name = script_name(reader, "response_function_name")
    source = reader.choice("function_source_type", ("file", "blob"), "file")
    with_session = reader.flag("use_session")
    if source == "file":
        path = script_path(reader, "function_source_uri")
        return Script("virtual", "javascript", name, path, with_session=with_session, pointer=reader.pointer)
    blob = reader.text("function_source_uri")
    if not blob:
        reader.mistake("function_source_uri", "is empty: the source as base64 is expected")
    return Script("virtual", "javascript", name, "", blob, with_session=with_session, pointer=reader.pointer)


def handler_scripts(handlers: Mapping[str, tuple[EventHandler, ...]]) -> list[Script]:
    """Return the scripts of the event handlers, each once."""
    found = {(one.name, one.script): one for one in _all(handlers) if one.handler_name == SCRIPT}
    return [Script("event", "javascript", one.name, one.script, pointer="/event_handlers") for one in found.values()]


def _all(handlers: Mapping[str, tuple[EventHandler, ...]]) -> Iterable[EventHandler]:
    return (one for several in handlers.values() for one in several)
