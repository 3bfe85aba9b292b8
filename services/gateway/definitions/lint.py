"""Warnings about a definition that is valid: what is kept without being used, and what probably is not meant.

A warning never stops a save. Each has a pointer, like a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from services.gateway.definitions.model import Definition, PathEntry, TargetUrl, Version
from services.gateway.definitions.reader import Mistake, join
from services.gateway.routing.patterns import PatternList, translate

# Tyk's, kept but not served yet. What requests must not pass without is a mistake instead (`not_served`).
_NOT_SERVED = frozenset({"preserve_host_header", "uptime_tests", "check_host_against_uptime_tests", "disable_strip_slash", "transport"})
_SAMPLES = ("/", "/a", "/b1/C", "/x.y/z_/~", "/%C3%A9")


def lint(definition: Definition) -> list[Mistake]:
    """All warnings, in the order of the document's parts."""
    return [*without_effect(definition), *_modes(definition), *_upstream(definition), *_versions(definition)]


def without_effect(definition: Definition) -> list[Mistake]:
    """The warnings that every save tells: what is kept and does nothing."""
    return list(_unknown(pointer for pointer, value in definition.unread if not _says_nothing(value)))


def _says_nothing(value: Any) -> bool:
    """As good as absent: exports of Tyk hold every field that there is, most of them zero."""
    if isinstance(value, Mapping):
        return all(_says_nothing(member) for member in value.values())
    return value in (None, False, 0, "", [])


def _unknown(pointers: Iterable[str]) -> Iterator[Mistake]:
    for pointer in pointers:
        name = pointer.rpartition("/")[2]
        if name.lower() in _NOT_SERVED:
            yield Mistake(pointer, f"{name} is kept, but the gateway does not serve it yet")
        else:
            yield Mistake(pointer, f"{name} is not known here; it is kept and has no effect")


def _modes(definition: Definition) -> Iterator[Mistake]:
    if not definition.name:
        yield Mistake("/name", "name is empty; logs and lists show it")
    if definition.use_keyless and definition.enable_batch_request_support:
        yield Mistake("/enable_batch_request_support", "anybody may send batches of 100 requests, since no key is asked for")
    if definition.use_keyless and definition.auth.strip_auth_data:
        yield Mistake("/auth/strip_auth_data", "strip_auth_data has no effect, since no key is asked for")
    auth = definition.auth
    for name, own, used in (("param_name", auth.param_name, auth.use_param), ("cookie_name", auth.cookie_name, auth.use_cookie)):
        if own and not used:
            yield Mistake(f"/auth/{name}", f"{name} has no effect without use_{name.partition('_')[0]}")
    if definition.allowed_ips == ():
        yield Mistake("/allowed_ips", "the list is switched on and empty: every address is refused")


def _upstream(definition: Definition) -> Iterator[Mistake]:
    for target in definition.proxy.targets:
        if target.scheme == "http" and not _stays_here(target):
            yield Mistake("/proxy/target_url", f"requests and keys go to {target.host} unencrypted (http)")


def _stays_here(target: TargetUrl) -> bool:
    """Loopback, private addresses and names without a dot (containers, services of a cluster) stay in the operator's own network."""
    try:
        address = ip_address(target.host)
    except ValueError:
        return "." not in target.host or target.host.endswith((".localhost", ".local", ".internal"))
    return address.is_private or address.is_loopback


def _versions(definition: Definition) -> Iterator[Mistake]:
    if definition.not_versioned and len(definition.versions) > 1:
        only = definition.unversioned().name
        yield Mistake("/version_data/versions", f"the API is not versioned: only `{only}` is used")
    for name, version in definition.versions.items():
        yield from _lists(version, join("/version_data/versions", name))


def _lists(version: Version, pointer: str) -> Iterator[Mistake]:
    lists = version.lists
    form = join(pointer, "extended_paths" if _is_extended(version) else "paths")
    for name, entries in (("ignored", lists.ignored), ("black_list", lists.black), ("white_list", lists.white)):
        for index, entry in enumerate(entries):
            place = join(join(form, name), index)
            if _matches_everything(entry, version):
                yield Mistake(place, f"`{entry.path}` matches every path; did you mean ^{entry.path}$ ?")
            if entry.method_actions is not None and not entry.method_actions:
                yield Mistake(place, "method_actions is empty, so the entry matches no method")
            for method, action in (entry.method_actions or {}).items():
                if action.action == "reply" and action.code in (204, 205, 304) and action.data:
                    yield Mistake(join(join(place, "method_actions"), method), f"a {action.code} has no body: data is not sent")


def _is_extended(version: Version) -> bool:
    lists = version.lists
    return any(entry.method_actions is not None for entry in (*lists.ignored, *lists.black, *lists.white))


def _matches_everything(entry: PathEntry, version: Version) -> bool:
    patterns = PatternList([translate(entry.path, version.path_matching, entry.ignore_case)])
    return all(patterns.first(sample) == 0 for sample in _SAMPLES)
