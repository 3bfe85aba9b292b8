"""Tyk's JSON in and out: `parse` turns the JSON object of an API definition into a Definition, or names every mistake in it.

Everything is checked when a definition is saved, so that nothing can be wrong when a request comes. What would make an API more
open than its author asked for (an authentication mode or a check that is not served yet) is a mistake; other unknown
fields are kept in `raw` and reported by `lint`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from services.common.addresses import Network, parse_network
from services.gateway.definitions import field_names, values
from services.gateway.definitions.auth_schema import parse_auth
from services.gateway.definitions.model import (
    LIMITED_BY,
    LOCATIONS,
    LOG,
    WEBHOOK,
    Definition,
    ErrorOverride,
    EventHandler,
    GlobalRateLimit,
    Location,
    Proxy,
    ProxyTimeouts,
    TargetUrl,
)
from services.gateway.definitions.not_served import refuse_handler, refuse_in_definition, refuse_middleware
from services.gateway.definitions.reader import Mistake, Mistakes, Reader, Report, join, read_json
from services.gateway.definitions.version_schema import parse_version
from services.gateway.refusals import REGISTRY, TEMPLATE_VARIABLES, template_variables

__all__ = ["Mistake", "Mistakes", "dump", "load", "parse", "read"]

Value = TypeVar("Value")

EVENTS: Final = frozenset({
    "QuotaExceeded", "RatelimitExceeded", "AuthFailure", "KeyExpired", "VersionFailure", "OrgQuotaExceeded",
    "OrgRateLimitExceeded", "TriggerExceeded", "BreakerTripped", "BreakerReset", "BreakerTriggered", "HostDown", "HostUp",
    "TokenCreated", "TokenUpdated", "TokenDeleted",
})  # fmt: skip
# Definitions are shown, compared, kept as revisions and copied about.
NO_SECRETS: Final = "a secret does not belong into a definition: give it to a webhook (/api/hooks), and name that webhook by its id (_id)"
_STATUS: Final = re.compile(r"[1-5](?:[0-9]{2}|xx)")
HOOK_METHODS: Final = ("GET", "PUT", "POST", "DELETE", "PATCH")

# Tyk's, without a meaning here: accepted and given back.
ECHOED: Final = (
    "slug", "auth_provider", "session_provider", "notifications", "oauth_meta", "config_data",
    "use_standard_auth", "proxy_name", "tags", "api_model", "_id", "base_identity_provided_by",
)  # fmt: skip


def load(text: str | bytes) -> Definition:
    """A Definition from JSON text. Raises Mistakes, also for a key that is given twice."""
    return parse(read_json(text))


def parse(raw: Mapping[str, Any]) -> Definition:
    """A Definition from a decoded JSON object. Raises Mistakes with all of them."""
    definition, report = read(raw)
    if definition is None:
        raise Mistakes(report.mistakes, report.unknown())
    return definition


def dump(definition: Definition) -> dict[str, Any]:
    """The JSON object that a definition came from."""
    return dict(definition.raw)


def read(raw: Mapping[str, Any]) -> tuple[Definition | None, Report]:
    """What `parse` gives, None when there are mistakes, and the report with mistakes and unread fields."""
    report = Report()
    root = Reader(raw, "", report, field_names.DEFINITION)
    for name in ECHOED:
        root.value(name)
    definition = _definition(root, raw)
    report.compare_names()
    return (None if report.mistakes else dataclasses.replace(definition, unread=tuple(report.unknown()))), report


def _checked(reader: Reader, name: str, text: str, check: Callable[[str], Value], fallback: Value) -> Value:
    try:
        return check(text)
    except ValueError as error:
        reader.mistake(name, str(error))
        return fallback


def _definition(root: Reader, raw: Mapping[str, Any]) -> Definition:
    use_keyless = root.flag("use_keyless")
    auth = parse_auth(root, use_keyless)
    refuse_middleware(root)
    placing = root.object("definition", field_names.VERSIONING)
    version_data = root.object("version_data", field_names.VERSION_DATA)
    version_data.value("use_extended_paths")  # Tyk's own samples have it here, too, where it never meant anything
    not_versioned = version_data.flag("not_versioned")
    members = version_data.mapping("versions")
    versions = {
        name: parse_version(name, Reader(member, pointer, root.report, field_names.VERSION), _expiration(root))
        for name, member, pointer in members
    }
    if not versions:
        version_data.mistake(
            "versions", "versions must hold at least one version; without versions: one named `Default`, and `not_versioned: true` beside"
        )
    default_version = version_data.text("default_version")
    if default_version and default_version not in versions:
        version_data.mistake("default_version", f"default_version `{default_version}` is not among the versions")
    allowed, blocked = _networks(root, "allowed_ips"), _networks(root, "blacklisted_ips")
    lists_off = root.flag("ip_access_control_disabled")
    allow_on, block_on = (root.flag(name) and not lists_off for name in ("enable_ip_whitelisting", "enable_ip_blacklisting"))
    domain = root.text("domain")
    proxy = root.object("proxy", field_names.PROXY)
    refuse_in_definition(root, proxy)
    return Definition(
        id=_id(root),
        name=root.text("name"),
        api_id=_checked(root, "api_id", root.text("api_id"), values.identifier, ""),
        org_id=_org_id(root),
        active=root.flag("active", True),
        domain="" if root.flag("domain_disabled") or not domain else _checked(root, "domain", domain, values.domain, ""),
        use_keyless=use_keyless,
        auth=auth,
        version_location=_location(placing, not_versioned, bool(default_version)),
        version_key=placing.text("key"),
        strip_version=_strip_version(placing),
        not_versioned=not_versioned,
        default_version=default_version,
        fallback_to_default=placing.flag("fallback_to_default"),
        versions=versions,
        proxy=_proxy(proxy),
        disable_rate_limit=root.flag("disable_rate_limit"),
        disable_quota=root.flag("disable_quota"),
        session_lifetime=root.integer("session_lifetime"),
        dont_set_quota_on_create=root.flag("dont_set_quota_on_create"),
        expire_analytics_after=root.integer("expire_analytics_after"),
        event_handlers=_event_handlers(root.object("event_handlers")),
        enable_batch_request_support=root.flag("enable_batch_request_support"),
        allowed_ips=allowed if allow_on else None,
        blacklisted_ips=blocked if block_on else (),
        global_rate_limit=_global_rate_limit(root),
        error_template=_error_template(root),
        error_overrides=_error_overrides(root),
        raw=raw,
    )


def _id(root: Reader) -> str:
    id = root.text("id")
    if len(id) > 64:
        root.mistake("id", "id must not be longer than 64 characters")
    return _checked(root, "id", id, values.identifier, "") if id else ""


def _org_id(root: Reader) -> str:
    org_id = root.text("org_id")
    return _checked(root, "org_id", org_id, values.identifier, "") if org_id else ""


def _expiration(root: Reader) -> float | None:
    """The end of all versions, in epoch seconds; Tyk 5 has it beside the end of each."""
    return _checked(root, "expiration", root.text("expiration"), values.expires, None)


def _strip_version(placing: Reader) -> bool:
    """`strip_versioning_data` is the later name. It also takes versions out of headers and parameters, which is not served: a warning."""
    return placing.flag("strip_path") or (placing.text("location") == "url" and placing.flag("strip_versioning_data"))


def _location(placing: Reader, not_versioned: bool, has_default: bool) -> Location:
    if not_versioned and not placing.text("location"):
        return "header"
    location = placing.choice("location", LOCATIONS, "header")
    if not not_versioned and location != "url" and not has_default and not placing.text("key"):
        placing.mistake(
            "key", "key is empty, so no request could name its version; an API without versions says so with `not_versioned: true`"
        )
    if not not_versioned and location == "header" and placing.text("key") and not values.TOKEN.fullmatch(placing.text("key")):
        placing.mistake("key", f"`{placing.text('key')}` is not a header name, so no request could name its version")
    return location


def _networks(root: Reader, name: str) -> tuple[Network, ...]:
    networks = []
    for text, pointer in root.texts(name):
        try:
            networks.append(parse_network(text))
        except ValueError:
            root.report.add(pointer, f"`{text}` is neither an IP address nor a network (10.0.0.0/8, 2001:db8::/32)")
    return tuple(networks)


def _proxy(proxy: Reader) -> Proxy:
    urls = [(proxy.text("target_url"), proxy.at("target_url"))]
    listed = proxy.texts("target_list")
    if proxy.flag("enable_load_balancing"):
        if not listed:
            proxy.mistake("target_list", "target_list is empty, and enable_load_balancing asks for it")
        urls = listed
    targets: list[TargetUrl] = []
    for url, pointer in urls:
        try:
            targets.append(values.target_url(url))
        except ValueError as error:
            proxy.report.add(pointer, str(error))
    own = ProxyTimeouts()
    timeouts = proxy.object("timeouts")
    return Proxy(
        listen_path=_checked(proxy, "listen_path", proxy.text("listen_path"), values.listen_path, "/"),
        targets=tuple(targets),
        strip_listen_path=proxy.flag("strip_listen_path"),
        timeouts=ProxyTimeouts(
            connect=timeouts.number("connect", own.connect, 0, 3600),
            first_byte=timeouts.number("first_byte", own.first_byte, 0, 86400),
            idle=timeouts.number("idle", own.idle, 0, 86400),
        ),
        pass_headers=_names(proxy, "pass_headers", values.passed_header),
        pass_trailers=_names(proxy, "pass_trailers", values.passed_trailer),
    )


def _names(reader: Reader, field: str, check: Callable[[str], bytes]) -> frozenset[bytes]:
    found = set()
    for text, pointer in reader.texts(field):
        try:
            found.add(check(text))
        except ValueError as error:
            reader.report.add(pointer, str(error))
    return frozenset(found)


def _global_rate_limit(root: Reader) -> GlobalRateLimit | None:
    """rate 0 or -1, or per 0 = no limit."""
    reader = root.object("global_rate_limit")
    rate = reader.integer("rate", 0, -1)
    per = reader.number("per", 0, 0, 10**9)
    by = reader.choice("by", LIMITED_BY, "api")
    disabled = reader.flag("disabled")
    return None if disabled or rate <= 0 or per <= 0 else GlobalRateLimit(rate, per, by)


def _event_handlers(reader: Reader) -> dict[str, tuple[EventHandler, ...]]:
    found: dict[str, tuple[EventHandler, ...]] = {}
    events = Reader({"events": reader.value("events")}, reader.pointer, reader.report)
    for event, handlers, pointer in events.mapping("events"):
        if event not in EVENTS:
            reader.report.add(pointer, no_event(event))
        if not isinstance(handlers, list | None):
            reader.report.add(pointer, "must be a list")
            continue
        readers = [Reader(handler, join(pointer, index), reader.report) for index, handler in enumerate(handlers or ())]
        found[event] = tuple(handler for handler in map(_event_handler, readers) if handler is not None)
    return found


def no_event(name: str) -> str:
    """What is said of the name of an event that there is not."""
    return f"`{name}` is not an event; known are {', '.join(sorted(EVENTS))}"


def _event_handler(reader: Reader) -> EventHandler | None:
    """None for one that is switched off; of such a one nothing is asked but to keep no secret."""
    if "handler_name" not in reader:
        reader.mistake("handler_name", f"handler_name is missing; {WEBHOOK} or {LOG} is expected")
    name = reader.choice("handler_name", (WEBHOOK, LOG), LOG) if not refuse_handler(reader) else LOG
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
    url = meta.text("target_path")
    if url:
        _checked(meta, "target_path", url, _hook_url, None)
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
        header_map=headers(meta, "header_map", values.header),
        event_timeout=meta.integer("event_timeout"),
        meta=given,
    )


def _hook_url(text: str) -> None:
    try:
        values.target_url(text)
    except ValueError as error:
        raise ValueError(str(error).replace("target_url", "target_path")) from None


def headers(reader: Reader, name: str, check: Callable[[str, str], tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """A map of header names and values."""
    found = []
    for key, value, pointer in reader.mapping(name):
        if not isinstance(value, str):
            reader.report.add(pointer, "must be a string")
            continue
        try:
            found.append(check(key, value))
        except ValueError as error:
            reader.report.add(pointer, str(error))
    return tuple(found)


def _error_template(root: Reader) -> dict[str, Any] | None:
    template = {key: value for key, value, _ in root.mapping("error_template")}
    unknown = sorted(template_variables(template) - TEMPLATE_VARIABLES)
    if unknown:
        known = ", ".join(sorted(TEMPLATE_VARIABLES))
        root.mistake("error_template", f"error_template uses {', '.join(unknown)}; known are {known}")
    return template or None


def _error_overrides(root: Reader) -> dict[str, ErrorOverride]:
    overrides: dict[str, ErrorOverride] = {}
    given = root.mapping("error_overrides")
    if root.flag("error_overrides_disabled"):
        return overrides
    for code, value, pointer in given:
        if _STATUS.fullmatch(code):
            root.report.add(pointer, "not available yet: error_overrides by status; write them by error code (docs/errors.md lists them)")
            continue
        if code not in REGISTRY:
            root.report.add(pointer, f"`{code}` is not an error code of the gateway; docs/errors.md lists them")
        reader = Reader(value, pointer, root.report)
        status = reader.integer("status", 0, 400, 599) if "status" in reader else None
        overrides[code] = ErrorOverride(status, reader.text("message") if "message" in reader else None)
    return overrides
