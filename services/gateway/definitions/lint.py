"""Warnings about a valid definition: fields that have no effect, and what is probably not meant.

A warning never stops a save. Each has a pointer, like a mistake. `compiler.lint` gathers all of them.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from services.gateway.definitions import field_names
from services.gateway.definitions.model import Definition
from services.gateway.definitions.reader import Mistake, join, says_nothing
from services.gateway.definitions.version_schema import OF_EVERY_PATH

# Fields that ask for nothing by themselves: settings of modes that are mistakes when they are on (`not_served`), and harmless ones.
_QUIET = frozenset({
    "disable_strip_slash", "enable_context_vars",
})  # fmt: skip
# Ways of authentication, which `use_keyless` switches off.
_ASKED = ("use_standard_auth", "use_basic_auth", "enable_jwt", "use_oauth2", "use_openid", "enable_signature_checking")
_QUIET_ENDS = ("disabled", "_disabled")


def warnings(definition: Definition) -> Iterator[Mistake]:
    """Warn of what is probably not meant in the identity, proxy and versions; middlewares warn of their own fields."""
    yield from _modes(definition)
    yield from _upstream(definition)
    yield from _versions(definition)
    yield from _ends(definition)


def without_effect(definition: Definition) -> list[Mistake]:
    """Return the warnings that every save tells: fields that are kept and have no effect."""
    return unread_fields(definition.unread)


def unread_fields(unread: Iterable[tuple[str, Any]]) -> list[Mistake]:
    """Return warnings about fields that nothing read, except those that ask for nothing. unread: pointers and values."""
    return [_unread(pointer) for pointer, value in unread if not _asks_for_nothing(pointer.rpartition("/")[2].lower(), value)]


def _asks_for_nothing(name: str, value: Any) -> bool:
    """Tell whether a field asks for nothing, as those do that a Dashboard writes into every definition."""
    if name in _QUIET or name.endswith(_QUIET_ENDS):
        return True
    return says_nothing(value)


def _unread(pointer: str) -> Mistake:
    name = pointer.rpartition("/")[2]
    if name.lower() == "client_certificates":
        return Mistake(pointer, "client_certificates has no effect without use_mutual_tls_auth")
    if name.lower() == "enable_mini_request_validation":
        return Mistake(pointer, f"{name} checks nothing; bodies are checked where validate_json of a version has a schema for their path")
    if name.lower() in field_names.HOMES:
        return Mistake(pointer, f"{name} belongs in {field_names.HOMES[name.lower()]}; here it has no effect")
    if name.lower() in field_names.ANYWHERE:
        return Mistake(pointer, f"{name} is kept, but the gateway does not serve it yet")
    return Mistake(pointer, f"{name} is not known here; it is kept and has no effect")


def _modes(definition: Definition) -> Iterator[Mistake]:
    if not definition.name:
        yield Mistake("/name", "name is empty; logs and lists show it")
    asked = [name for name in _ASKED if definition.use_keyless and _member(definition.raw, name) is True]
    if asked:
        yield Mistake("/use_keyless", f"use_keyless outranks {' and '.join(asked)}: the API is open to everybody")
    if definition.use_keyless and definition.enable_batch_request_support:
        yield Mistake("/enable_batch_request_support", "anybody may send batches of 100 requests, since no key is asked for")
    if definition.enable_detailed_recording:
        yield Mistake("/enable_detailed_recording", "heads of requests are recorded; bodies and answers are not")


def _ends(definition: Definition) -> Iterator[Mistake]:
    """Warn of versions in use that have ended."""
    for version in definition.in_use():
        if version.expires is not None and version.expires <= time.time():
            ended = dt.datetime.fromtimestamp(version.expires, dt.UTC).strftime("%Y-%m-%d %H:%M")
            own = says_nothing(_member(_member(_member(_member(definition.raw, "version_data"), "versions"), version.name), "expires"))
            place = "/expiration" if own else f"{join('/version_data/versions', version.name)}/expires"
            yield Mistake(place, f"the version `{version.name}` has ended on {ended} UTC: its requests are refused")


def _upstream(definition: Definition) -> Iterator[Mistake]:
    for target in definition.proxy.targets:
        if target.scheme == "http" and not stays_here(target.host):
            yield Mistake("/proxy/target_url", f"requests and keys go to {target.host} unencrypted (http)")
    if not definition.reaching.usual.verify:
        said = "the certificate of the upstream is not checked: anybody between may read and change requests"
        yield Mistake("/proxy/transport/ssl_insecure_skip_verify", said)


def stays_here(host: str) -> bool:
    """Tell whether requests stay in the operator's own network: loopback, private addresses, and names without a dot (containers,
    services of a cluster).
    """
    try:
        address = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return address.is_private or address.is_loopback


def unencrypted_keys(url: str) -> str:
    """Return what is wrong with fetching keys from a URL, "" = nothing."""
    parts = urlsplit(url)
    if parts.scheme.lower() != "http" or stays_here(parts.hostname or ""):
        return ""
    return f"the keys of {parts.hostname} come unencrypted (http): who is on the way could sign any token"


def _versions(definition: Definition) -> Iterator[Mistake]:
    if definition.not_versioned and len(definition.versions) > 1:
        only = definition.unversioned().name
        yield Mistake("/version_data/versions", f"the API is not versioned: only `{only}` is used")
    for name in definition.versions:
        yield from _other_lists(definition, name)
        yield from _of_every_path(definition, name)


def _other_lists(definition: Definition, name: str) -> Iterator[Mistake]:
    """Warn of the form of the lists that does not apply, when it is not empty."""
    version = _member(_member(_member(definition.raw, "version_data"), "versions"), name)
    form, other = ("extended_paths", "paths") if _member(version, "use_extended_paths") is True else ("paths", "extended_paths")
    if not says_nothing(_member(version, other)):
        said = "without use_extended_paths" if form == "paths" else "with use_extended_paths"
        yield Mistake(join(join("/version_data/versions", name), other), f"{other} has no effect {said}")


def _of_every_path(definition: Definition, name: str) -> Iterator[Mistake]:
    """Warn of transforms without a path: they are meant for one endpoint as often as for all."""
    version = _member(_member(_member(definition.raw, "version_data"), "versions"), name)
    paths = _member(version, "extended_paths") if _member(version, "use_extended_paths") is True else None
    place = join(join("/version_data/versions", name), "extended_paths")
    for key in sorted(OF_EVERY_PATH):
        entries = _member(paths, key)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if _member(entry, "disabled") is not True and not _member(entry, "path"):
                yield Mistake(join(join(place, key), index), "the path is empty, so that it applies to every path")


def _member(value: Any, name: str) -> Any:
    """Return a member of raw JSON: first by its exact name, then without regard to case."""
    if not isinstance(value, Mapping):
        return None
    return value[name] if name in value else next((member for key, member in value.items() if key.lower() == name), None)
