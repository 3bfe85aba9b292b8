"""The JSON of the scripts of a definition: custom middleware, virtual endpoints and event handlers, which share one context.

What the fields mean stands in the middlewares that run them (`custom_pre`, `custom_auth`, `custom_response`, `virtual_endpoint`, …). Here
only their shape is checked; whether a file is there and compiles is found out when the definition is compiled (`services/gateway/scripts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from services.gateway.definitions.field_names import MIDDLEWARE
from services.gateway.definitions.model import SCRIPT, EventHandler, Language, Script, ScriptKind
from services.gateway.definitions.not_served import refuse_middleware
from services.gateway.definitions.reader import Reader
from services.gateway.definitions.script_names import registered_name, script_name, script_path
from services.gateway.definitions.version_schema import VersionReader

_LANGUAGES: Final[Mapping[str, Language]] = {
    "": "javascript", "otto": "javascript", "goja": "javascript", "javascript": "javascript", "python": "python",
}  # fmt: skip
NOT_ASKED: Final = "this script would not be asked who calls: set custom_plugin_auth_enabled, without use_keyless, or take it out"
NO_CHECK: Final = "asks a script who calls, and there is none: name it in custom_middleware.auth_check"
_LISTS: Final[tuple[ScriptKind, ...]] = ("pre", "post_key_auth", "post", "response")


def read_hooks(root: Reader) -> tuple[list[Script], Language | None]:
    """Read the scripts of `custom_middleware`, without those that are switched off, and their language; None = it is not served."""
    middleware = root.object("custom_middleware", MIDDLEWARE)
    driver = middleware.text("driver").lower()
    middleware.value("id_extractor")
    language = _LANGUAGES.get(driver)
    asked = [*_check(middleware), *(entry for kind in _LISTS for entry in _listed(middleware, kind))]
    refuse_middleware(root, middleware, driver, [] if language is not None else [kind for kind, _ in asked])
    if language is None:
        for _, reader in asked:
            reader.disregard()
        return [], None
    return [_hook(reader, kind, language) for kind, reader in asked], language


def _check(middleware: Reader) -> Iterable[tuple[ScriptKind, Reader]]:
    """Yield `auth_check`, which is one object where the others are lists; a Dashboard always writes it."""
    given = middleware.value("auth_check")
    fields: Mapping[str, Any] = {str(name).lower(): value for name, value in given.items()} if isinstance(given, dict) else {}
    reader = middleware.member(given, middleware.at("auth_check"))
    if not any(fields.get(name) for name in ("name", "path", "code")):
        reader.disregard()
    elif not _is_off(reader):
        yield "auth_check", reader


def _listed(middleware: Reader, kind: ScriptKind) -> Iterable[tuple[ScriptKind, Reader]]:
    for value, pointer in middleware.items(kind):
        reader = middleware.member(value, pointer)
        if not _is_off(reader):
            yield kind, reader


def _is_off(reader: Reader) -> bool:
    if reader.flag("disabled"):
        reader.disregard()
        return True
    return False


def _hook(reader: Reader, kind: ScriptKind, language: Language) -> Script:
    reader.flag("raw_body_only")
    code = reader.text("code")
    registered = language == "python" and not code and not reader.text("path")
    return Script(
        kind, language, (registered_name if registered else script_name)(reader, "name"),
        "" if code or registered else script_path(reader, "path"), code,
        with_session=reader.flag("require_session"), pointer=reader.pointer,
    )  # fmt: skip


def refuse_idle_check(root: Reader, hooks: Iterable[Script], language: Language | None, *, asked: bool) -> None:
    """Add a mistake where `auth_check` and the switch that has it asked do not stand together. asked: whether it is switched on.

    In JavaScript the script may be found by its folder, so that it is missing only when the definition is compiled.
    """
    check = next((script for script in hooks if script.kind == "auth_check"), None)
    if check is not None and not asked:
        root.report.add(check.pointer, NOT_ASKED)
    elif check is None and asked and language != "javascript":
        name = "enable_coprocess_auth" if root.flag("enable_coprocess_auth") else "custom_plugin_auth_enabled"
        root.mistake(name, NO_CHECK)


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
