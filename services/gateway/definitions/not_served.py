"""What Tyk's definitions can ask for and the gateway does not do yet.

Where it is asked for it is a mistake: requests must not pass without a check, a rewriting or a protection that the author relies on.
Where it is switched off or empty, as in most exports of Tyk, it is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.gateway.definitions.reader import Reader

# Served open, these would let in whom the author wanted to keep out.
_MODES: Final = {
    "use_basic_auth": "basic authentication",
    "use_oauth2": "OAuth 2",
    "enable_signature_checking": "HMAC signatures",
    "enable_jwt": "JSON Web Tokens",
    "use_openid": "OpenID Connect",
    "use_mutual_tls_auth": "client certificates",
    "enable_coprocess_auth": "authentication by a plug-in",
    "use_go_plugin_auth": "authentication by a plug-in",
    "custom_plugin_auth_enabled": "authentication by a plug-in",
}
_OF_AUTH: Final = {"use_certificate": "client certificates", "validate_signature": "signatures of requests"}
# Objects with a switch in them: name → (switch, what it is).
_SWITCHES: Final = {"cors": ("enable", "CORS"), "graphql": ("enabled", "GraphQL")}
# Of versions: name → (what switches it off, what it is).
_OF_VERSIONS: Final = {
    "global_headers": ("global_headers_disabled", "header transforms"),
    "global_headers_remove": ("global_headers_disabled", "header transforms"),
    "global_response_headers": ("global_response_headers_disabled", "header transforms"),
    "global_response_headers_remove": ("global_response_headers_disabled", "header transforms"),
    "override_target": ("", "a target of a version"),
}
# Lists of extended_paths.
_OF_PATHS: Final = {
    "transform": "body transforms",
    "transform_response": "body transforms",
    "transform_jq": "body transforms",
    "transform_jq_response": "body transforms",
    "transform_headers": "header transforms",
    "transform_response_headers": "header transforms",
    "url_rewrites": "URL rewriting",
    "method_transforms": "method transforms",
    "validate_json": "validation of bodies",
    "validate_request": "validation of requests",
    "circuit_breakers": "circuit breakers",
    "cache": "caching",
    "advance_cache_config": "caching",
    "virtual": "virtual endpoints",
    "go_plugin": "plug-ins",
    "internal": "paths that only other APIs may call",
    "rate_limit": "rate limits of one path",
    "mock_response": "mocks of this form (a `reply` in a path list is one)",
    "persist_graphql": "GraphQL",
}
# Of their entries: what says something, so that one without it does nothing.
_SAYING: Final = {
    "transform_headers": ("add_headers", "delete_headers"),
    "transform_response_headers": ("add_headers", "delete_headers"),
    "validate_request": ("enabled",),
    "rate_limit": ("rate",),
}


def refuse_authentication(root: Reader, auth: Reader, use_keyless: bool) -> None:
    """Mistakes for ways of authentication other than keys; `use_keyless` outranks them, as in Tyk."""
    asked = [(root, name, mode) for name, mode in _MODES.items() if root.flag(name)]
    asked += [(auth, name, check) for name, check in _OF_AUTH.items() if auth.flag(name)]
    if root.opaque("external_oauth").flag("enabled"):
        asked.append((root, "external_oauth", "tokens of another authorisation server"))
    for reader, name, what in () if use_keyless else asked:
        reader.mistake(name, f"not available yet: {what}; without it the API would be open to the wrong clients")


def refuse_middleware(root: Reader) -> None:
    """Mistakes for custom middleware."""
    middleware = root.object("custom_middleware")
    lists = ("pre", "post", "post_key_auth", "response")
    scripts = [name for name in lists if any(_is_on(script) for script, _ in middleware.items(name))]
    check = middleware.value("auth_check")  # one object, where the others are lists
    if check and _is_on(check, ("name",)):
        scripts.append("auth_check")
    for name in scripts:
        middleware.mistake(name, "custom middleware is not available yet, and requests must not pass without it")
    for name in ("driver", "id_extractor"):
        middleware.value(name)
    if root.text("custom_middleware_bundle") and not root.flag("custom_middleware_bundle_disabled"):
        root.mistake("custom_middleware_bundle", "custom middleware is not available yet, and requests must not pass without it")


def refuse_in_definition(root: Reader, proxy: Reader) -> None:
    """Mistakes for what else a definition asks for outside its versions."""
    if root.flag("internal"):
        _refuse(root, "internal", "APIs that only other APIs may call")
    for name, (switch, what) in _SWITCHES.items():
        if root.opaque(name).flag(switch):
            _refuse(root, name, what)
    placing = root.opaque("definition")
    if placing.flag("enabled") and placing.value("versions"):
        _refuse(root, "definition", "versions that are APIs of their own")
    cache = root.opaque("cache_options")
    # without one of the other two nothing is cached, whatever enable_cache says
    if cache.flag("enable_cache") and (cache.flag("cache_all_safe_requests") or cache.flag("enable_upstream_cache_control")):
        _refuse(root, "cache_options", "caching")
    if proxy.opaque("service_discovery").flag("use_discovery_service"):
        _refuse(proxy, "service_discovery", "service discovery")


def refuse_in_version(version: Reader, paths: Reader) -> None:
    """Mistakes for what a version asks for. paths: its extended_paths, empty when they do not count."""
    for name, (switch, what) in _OF_VERSIONS.items():
        switched_off = bool(switch) and version.flag(switch)
        if version.value(name) and not switched_off:
            _refuse(version, name, what)
    for name, what in _OF_PATHS.items():
        if any(_is_on(entry, _SAYING.get(name, ())) for entry, _ in paths.items(name)):
            _refuse(paths, name, what)


def _is_on(entry: Any, saying: tuple[str, ...] = ()) -> bool:
    """saying: the fields of which at least one must say something; none = it is on unless it is switched off."""
    if not isinstance(entry, Mapping):
        return True
    fields = {key.lower(): value for key, value in entry.items()}
    return fields.get("disabled") is not True and (not saying or any(fields.get(name) for name in saying))


def _refuse(reader: Reader, name: str, what: str) -> None:
    reader.mistake(name, f"not available yet: {what}; requests must not pass without it, so take it out or switch it off")
