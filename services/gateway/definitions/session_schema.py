"""Session objects and policies as operators send them: how they are read.

The fields are Tyk's (`rate`, `per`, `quota_max`, `access_rights`, ...) with `alias`, `tags` and `owner`; unknown ones are kept. Case
does not matter in their names, and a null field counts as absent.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from services.gateway.definitions import field_names
from services.gateway.definitions.reader import Mistakes, Reader, Report
from services.gateway.definitions.values import NO_METHOD, certificate_id, identifier, is_method
from services.gateway.routing.patterns import PatternError, translate

FIELDS: Final = (
    "last_check", "allowance", "rate", "per", "expires", "quota_max", "quota_renews", "quota_remaining", "quota_renewal_rate",
    "access_rights", "org_id", "oauth_client_id", "basic_auth_data", "hmac_enabled", "hmac_string", "is_inactive", "meta_data",
    "alias", "tags", "owner", "apply_policies", "apply_policy_id", "certificate", "mtls_static_certificate_bindings", "monitor",
    "session_lifetime",
)  # fmt: skip
_POLICY_FIELDS: Final = (
    "id", "_id", "name", "org_id", "rate", "per", "quota_max", "quota_renewal_rate", "access_rights", "hmac_enabled", "active",
    "is_inactive", "tags", "key_expires_in", "partitions", "meta_data",
)  # fmt: skip
_RIGHT_FIELDS: Final = ("api_id", "api_name", "versions", "allowed_urls", "limit", "allowance_scope", "endpoints")
_LIMIT_FIELDS: Final = ("rate", "per", "quota_max", "quota_renewal_rate")
# Objects of a session that the gateway reads later, by their usual spelling.
_NESTED: Final = {"basic_auth_data": ("password", "hash_type"), "monitor": ("trigger_limits",)}
_MOST_ENDPOINTS: Final = 1000
_MOST_TRIGGERS: Final = 100
_FAR: Final = 2**53

# Returns the names of those given API ids that exist: api_id → name.
KnownApis = Callable[[set[str]], Mapping[str, str]]
# Returns the organisations of those given policies that exist: id → org_id.
KnownPolicies = Callable[[Iterable[str]], Mapping[str, str]]
# Returns the organisations of those given certificates that are stored: id → org_id.
KnownCertificates = Callable[[Iterable[str]], Mapping[str, str]]


def read_session(
    raw: Mapping[str, Any], known: KnownApis, policies: KnownPolicies, certificates: KnownCertificates = lambda _: {}
) -> dict[str, Any]:
    """Read a session object into its canonical form. Raises Mistakes with all of them, unknown APIs, policies and certificates included."""
    report = Report()
    reader = Reader(raw, "", report, field_names.SESSION)
    session = _canonical(raw, FIELDS)
    _numbers(reader)
    for name in ("hmac_enabled", "is_inactive"):
        reader.flag(name)
    for name in ("oauth_client_id", "hmac_string", "alias", "owner"):
        reader.text(name)
    if reader.text("org_id"):
        try:
            identifier(reader.text("org_id"))
        except ValueError as error:
            reader.mistake("org_id", str(error))
    reader.texts("tags")
    reader.integer("session_lifetime", 0, -1, _FAR)
    _monitor(reader.opaque("monitor", field_names.MONITOR))
    _policies(reader, policies)
    session |= _certificates(reader, certificates)
    basic = reader.object("basic_auth_data")
    if basic.text("password") and basic.text("hash_type"):
        basic.mistake("password", "the hash of a password cannot be taken over from Tyk: send the password itself, without hash_type")
    enveloped = reader.value("data")
    if isinstance(enveloped, Mapping) and "access_rights" in enveloped and "access_rights" not in reader:
        reader.mistake("data", "this is a key as Tyk's Dashboard shows it: send what stands in `data` alone")
    rights = _rights(reader, known)
    report.compare_names()
    if report.mistakes:
        raise Mistakes(report.mistakes)
    for name, fields in _NESTED.items():
        if name in session:
            session[name] = _canonical(session[name], fields)
    if "access_rights" in session:
        session["access_rights"] = rights
    return session


def _monitor(reader: Reader) -> None:
    """Check the shares of a quota that are told of, in percent."""
    shares = reader.items("trigger_limits")
    if len(shares) > _MOST_TRIGGERS:
        reader.mistake("trigger_limits", f"has more than {_MOST_TRIGGERS} entries")
    for share, place in shares:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 100:
            reader.report.add(place, "must be a number above 0 and at most 100: percent of the quota")


def _policies(reader: Reader, known: KnownPolicies) -> None:
    """Check the policies that a session names: they exist, and are of one organisation, that of the key."""
    places = dict(reader.texts("apply_policies"))
    alone = reader.text("apply_policy_id")
    if not places and alone:
        places = {alone: reader.at("apply_policy_id")}
    if not places:
        return
    owners = known(places)
    org_id = reader.text("org_id") or next((owner for owner in map(owners.get, places) if owner), "")
    for policy_id, place in places.items():
        if policy_id not in owners:
            reader.report.add(place, f"there is no policy with the id `{policy_id}`")
        elif owners[policy_id] not in ("", org_id):
            reader.report.add(place, f"the policy `{policy_id}` is of another organisation than the key")


def _certificates(reader: Reader, known: KnownCertificates) -> dict[str, Any]:
    """Read the certificates that a session names: they are stored, and of the key's organisation or of none."""
    alone = reader.text("certificate")
    named = [(alone, reader.at("certificate"))] if alone else []
    bound = reader.texts("mtls_static_certificate_bindings")
    ids: dict[str, str] = {}
    for text, place in (*named, *bound):
        try:
            ids[place] = certificate_id(text)
        except ValueError as error:
            reader.report.add(place, str(error))
    owners = known(ids.values()) if ids else {}
    org_id = reader.text("org_id")
    for place, id in ids.items():
        if id not in owners:
            reader.report.add(place, f"there is no certificate with the id `{id}`; store it first (POST /tyk/certs)")
        elif org_id and owners[id] not in ("", org_id):
            reader.report.add(place, "the certificate is of another organisation than the key")
    read: dict[str, Any] = {}
    if named:
        read["certificate"] = ids.get(named[0][1], "")
    if bound:
        read["mtls_static_certificate_bindings"] = [ids.get(place, "") for _, place in bound]
    return read


def read_policy(raw: Mapping[str, Any], known: KnownApis) -> dict[str, Any]:
    """Read a policy into its canonical form, with its `id` if it has one. Raises Mistakes with all of them, unknown APIs included."""
    report = Report()
    reader = Reader(raw, "", report, field_names.POLICY)
    policy = _canonical(raw, _POLICY_FIELDS)
    _numbers(reader)
    for name in ("hmac_enabled", "is_inactive", "active"):
        reader.flag(name)
    for name in ("id", "_id", "org_id"):
        if reader.text(name):
            try:
                identifier(reader.text(name))
            except ValueError as error:
                reader.mistake(name, str(error))
    reader.text("name")
    reader.integer("key_expires_in", 0, -1, _FAR)
    reader.texts("tags")
    reader.object("meta_data").disregard()
    partitions = reader.opaque("partitions", field_names.PARTITIONS)
    chosen = [name for name in ("acl", "rate_limit", "quota", "complexity") if partitions.flag(name)]
    if partitions.flag("per_api") and chosen:
        partitions.mistake("per_api", f"cannot go together with {', '.join(chosen)}: limits are either of each API or of parts")
    rights = _rights(reader, known)
    report.compare_names()
    if report.mistakes:
        raise Mistakes(report.mistakes)
    id = policy.pop("_id", "") or policy.get("id") or ""
    return {**policy, "id": policy.get("id") or id, "access_rights": rights}


def _numbers(reader: Reader) -> None:
    for name in ("last_check", "expires", "quota_renews", "quota_remaining"):
        reader.integer(name, 0, -_FAR, _FAR)
    reader.integer("quota_max", 0, -1, _FAR)
    for name in ("allowance", "rate", "per", "quota_renewal_rate"):
        reader.limit(name)


def _rights(reader: Reader, known: KnownApis) -> dict[str, Any]:
    members = reader.mapping("access_rights")
    names = known({api_id for api_id, _, _ in members}) if members else {}
    rights: dict[str, Any] = {}
    for api_id, given, pointer in members:
        right = Reader(given, pointer, reader.report, field_names.RIGHT)
        if api_id not in names:
            reader.report.add(pointer, f"there is no API with the api_id `{api_id}`")
        if right.text("api_id", api_id) not in ("", api_id):
            right.mistake("api_id", f"must be `{api_id}`, as the member's name")
        right.text("api_name")
        right.texts("versions")
        for element, place in right.items("allowed_urls"):
            _allowed_url(Reader(element, place, reader.report))
        limit = right.opaque("limit")
        for number in _LIMIT_FIELDS:
            limit.limit(number)
        right.text("allowance_scope")
        endpoints = _endpoints(right)
        form = _canonical(given, _RIGHT_FIELDS) if isinstance(given, Mapping) else {}
        name = form.get("api_name") or names.get(api_id, "")
        rights[api_id] = {**form, "api_id": api_id, "api_name": name, "versions": form.get("versions") or []}
        if isinstance(form.get("limit"), Mapping):
            rights[api_id]["limit"] = _canonical(form["limit"], _LIMIT_FIELDS)
        if endpoints:
            rights[api_id]["endpoints"] = endpoints
    return rights


def _endpoints(right: Reader) -> list[dict[str, Any]]:
    """Read the rates of single paths and methods (Tyk 5.4) into their canonical form."""
    entries = right.items("endpoints")
    if len(entries) > _MOST_ENDPOINTS:
        right.mistake("endpoints", f"has more than {_MOST_ENDPOINTS} entries")
        return []
    found = []
    for entry, pointer in entries:
        endpoint = right.member(entry, pointer, field_names.ENDPOINT)
        if not isinstance(entry, Mapping):
            continue
        path = endpoint.text("path")
        if not path:
            endpoint.mistake("path", "path is missing; a pattern is expected")
        _check_pattern(endpoint, "path")
        methods = [_endpoint_method(right.member(*method, field_names.ENDPOINT_METHOD)) for method in endpoint.items("methods")]
        if not methods:
            endpoint.mistake("methods", "methods is missing; a list of methods, each with its limit, is expected")
        found.append({"path": path, "methods": methods})
    return found


def _endpoint_method(reader: Reader) -> dict[str, Any]:
    name = reader.text("name").upper()  # case does not count, as in Tyk
    if not is_method(name):
        reader.mistake("name", NO_METHOD)
    limit = reader.opaque("limit", field_names.ENDPOINT_LIMIT)
    if "rate" not in limit or "per" not in limit:
        reader.mistake("limit", "must have rate and per; 0 or -1 = no limit")
    return {"name": name, "limit": {number: limit.limit(number) for number in ("rate", "per")}}


def _allowed_url(reader: Reader) -> None:
    if "url" not in reader or "methods" not in reader:
        reader.report.add(reader.pointer, "must have url (a pattern) and methods (a list)")
    for method, place in reader.texts("methods"):
        if not is_method(method):
            reader.report.add(place, NO_METHOD)
    _check_pattern(reader, "url")


def _check_pattern(reader: Reader, name: str) -> None:
    try:
        translate(reader.text(name))
    except PatternError as error:
        reader.mistake(name, str(error))


def _canonical(raw: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return a copy with the known fields in their usual spelling and without nulls."""
    return {name.lower() if name.lower() in fields else name: copy.deepcopy(value) for name, value in raw.items() if value is not None}
