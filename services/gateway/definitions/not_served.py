"""What Tyk's definitions can ask for and the gateway does not serve yet.

A definition that asks for it has a mistake: requests must not pass without a check, a rewriting or a protection that the author relies on.
A field that is switched off or empty, as in most exports of Tyk, asks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from services.gateway.definitions.reader import Reader

# Without them an API would be open to clients that its author keeps out. `use_keyless` outranks them, as in Tyk.
_MODES: Final = {
    "use_go_plugin_auth": "authentication by a plug-in in Go",
}
# Objects with a switch in them: name → (switch, what it is, the fields that names are compared with).
_SWITCHES: Final = {
    "graphql": ("enabled", "GraphQL", None),
    "request_signing": ("is_enabled", "signing of the requests to the upstream", None),
    "upstream_auth": ("enabled", "authentication at the upstream", None),
}
# Of the definition: name → (what switches it off, what it is).
_OF_DEFINITIONS: Final = {
    "listen_port": ("", "a port of one API (listen_port); all APIs are on the port of GATEWAY_PROXY_BIND"),
    "enable_proxy_protocol": (
        "",
        "the PROXY protocol; clients of a proxy are known by X-Forwarded-For (GATEWAY_TRUSTED_PROXIES)",
    ),
}
_PROTOCOLS: Final = {
    "tcp": "TCP services (protocol tcp)",
    "tls": "TCP services (protocol tls)",
    "https": "TLS of one API (protocol https); the gateway has it for all of them, by its settings",
    "h2c": "HTTP/2 without TLS (protocol h2c)",
}
_DRIVERS: Final = {
    "goplugin": "plug-ins in Go",
    "grpc": "plug-ins by gRPC",
    "lua": "plug-ins in Lua",
}
_HANDLERS: Final = {
    "cp_dynamic_handler": "event handlers of plug-ins",
}
# Of other objects, or asked for by more than one field.
_OTHERS: Final = {
    "auth.validate_signature": "signatures of requests",
    "external_oauth": "tokens of another authorisation server",
    "custom_middleware_bundle": "bundles of plug-ins",
    "application_protocol": "what Tyk checks of other protocols than HTTP (MCP)",
    "definition": "versions that are APIs of their own",
    "proxy.service_discovery": "service discovery; target_list with enable_load_balancing names several targets",
}
# Lists of extended_paths.
_OF_PATHS: Final = {
    "transform_jq": "body transforms by jq; transform has templates",
    "transform_jq_response": "body transforms by jq; transform_response has templates",
    "validate_request": "validation of requests by an OpenAPI document; validate_json checks bodies",
    "go_plugin": "plug-ins in Go",
    "persist_graphql": "GraphQL",
}
# The fields without which an entry of these lists does nothing.
_SAYING: Final = {
    "validate_request": ("enabled",),
}


class NotServed(NamedTuple):
    """A field, by its path in a definition, what it asks for, and the field beside it that switches it off ("" = none)."""

    path: str
    what: str
    switched_off_by: str = ""


def catalogue() -> Iterator[NotServed]:
    """Return every field that is a mistake where it asks for something."""
    version = "version_data.versions.*"
    for name, what in _MODES.items():
        yield NotServed(name, what)
    for name, (switch, what, _) in _SWITCHES.items():
        yield NotServed(f"{name}.{switch}", what)
    for name, (switch, what) in _OF_DEFINITIONS.items():
        yield NotServed(name, what, switch)
    yield NotServed("protocol", "another protocol than HTTP")
    yield NotServed("custom_middleware.driver", "custom middleware in Lua, in Go or by gRPC")
    for name, what in _OTHERS.items():
        yield NotServed(name, what, "custom_middleware_bundle_disabled" if name == "custom_middleware_bundle" else "")
    for name, what in _HANDLERS.items():
        yield NotServed(f"event_handlers.events.*[].handler_name = {name}", what)
    for name, what in _OF_PATHS.items():
        yield NotServed(f"{version}.extended_paths.{name}", what, "disabled")


def refuse_authentication(root: Reader, auth: Reader, use_keyless: bool) -> None:
    """Add mistakes for ways of authentication that are not served; `use_keyless` outranks them, as in Tyk."""
    asked = [(root, name, mode) for name, mode in _MODES.items() if root.flag(name)]
    if auth.flag("validate_signature"):
        asked.append((auth, "validate_signature", _OTHERS["auth.validate_signature"]))
    if root.opaque("external_oauth").flag("enabled"):
        asked.append((root, "external_oauth", _OTHERS["external_oauth"]))
    if use_keyless:
        asked = []
    for reader, name, what in asked:
        reader.mistake(name, f"not available yet: {what}; without it the API would be open to the wrong clients")


def refuse_middleware(root: Reader, middleware: Reader, driver: str, asked: Iterable[str]) -> None:
    """Add mistakes for custom middleware by a driver that is not served, and for bundles.

    middleware: the object `custom_middleware`. asked: the kinds of scripts that it has of such a driver.
    """
    for name in dict.fromkeys(asked):
        _refuse(middleware, name, _DRIVERS.get(driver, f"custom middleware with the driver {driver[:20]}"))
    bundle = root.text("custom_middleware_bundle")
    if not root.flag("custom_middleware_bundle_disabled") and bundle:
        _refuse(root, "custom_middleware_bundle", _OTHERS["custom_middleware_bundle"])


def refuse_handler(handler: Reader) -> bool:
    """Tell whether an event handler is of a kind that is not served; add the mistake if it is."""
    what = _HANDLERS.get(handler.text("handler_name"), "")
    if what:
        handler.mistake("handler_name", f"not available yet: {what}")
    return bool(what)


def refuse_in_definition(root: Reader, proxy: Reader) -> None:
    """Add mistakes for what else a definition asks for outside its versions."""
    for name, (switch, what, names) in _SWITCHES.items():
        if root.opaque(name, names).flag(switch):
            _refuse(root, name, what)
    for name, (switch, what) in _OF_DEFINITIONS.items():
        switched_off = bool(switch) and root.flag(switch)
        if root.value(name) and not switched_off:
            _refuse(root, name, what)
    _refuse_protocols(root)
    placing = root.opaque("definition")
    if placing.flag("enabled") and placing.value("versions"):
        _refuse(root, "definition", _OTHERS["definition"])
    if proxy.opaque("service_discovery").flag("use_discovery_service"):
        _refuse(proxy, "service_discovery", _OTHERS["proxy.service_discovery"])


def _refuse_protocols(root: Reader) -> None:
    protocol = root.text("protocol").lower()
    if protocol not in ("", "http"):
        root.mistake("protocol", f"not available yet: {_PROTOCOLS.get(protocol, f'the protocol {protocol[:20]}')}")
    if root.text("application_protocol").lower() not in ("", "http"):
        _refuse(root, "application_protocol", _OTHERS["application_protocol"])


def refuse_in_version(paths: Reader) -> None:
    """Add mistakes for what a version asks for. paths: its extended_paths, empty when they do not count."""
    for name, what in _OF_PATHS.items():
        if any(_is_on(entry, _SAYING.get(name, ())) for entry, _ in paths.items(name)):
            _refuse(paths, name, what)


def _is_on(entry: Any, saying: tuple[str, ...] = ()) -> bool:
    """Tell whether an entry is on. saying: fields of which at least one must be set; none = it is on unless it is switched off."""
    if not isinstance(entry, Mapping):
        return True
    fields = {key.lower(): value for key, value in entry.items()}
    return fields.get("disabled") is not True and (not saying or any(fields.get(name) for name in saying))


def _refuse(reader: Reader, name: str, what: str) -> None:
    reader.mistake(name, _words(what))


def _words(what: str) -> str:
    return f"not available yet: {what}; requests must not pass without it, so take it out or switch it off"
