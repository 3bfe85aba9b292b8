"""Session objects as operators send them: how they are read, completed and shown, and how secrets are created.

The fields are Tyk's (`rate`, `per`, `quota_max`, `access_rights`, ...) with `alias`, `tags` and `owner`; unknown ones are kept. Case
does not matter in their names, and a null field counts as absent.
"""

from __future__ import annotations

import base64
import copy
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from services.gateway.definitions import field_names
from services.gateway.definitions.reader import Mistake, Mistakes, Reader, Report
from services.gateway.definitions.values import NO_METHOD, identifier, is_method
from services.gateway.keys.passwords import hash_password
from services.gateway.routing.patterns import PatternError, translate

FIELDS: Final = (
    "last_check", "allowance", "rate", "per", "expires", "quota_max", "quota_renews", "quota_remaining", "quota_renewal_rate",
    "access_rights", "org_id", "oauth_client_id", "basic_auth_data", "hmac_enabled", "hmac_string", "is_inactive", "meta_data",
    "alias", "tags", "owner",
)  # fmt: skip
_RIGHT_FIELDS: Final = ("api_id", "api_name", "versions", "allowed_urls")
# Tyk's fields that are not available yet. They are refused, because a key must not open more than its author meant.
_NOT_SERVED: Final = {
    "apply_policy_id": "policies; give the key its own rights and limits",
    "apply_policies": "policies; give the key its own rights and limits",
    "certificate": "client certificates",
    "mtls_static_certificate_bindings": "client certificates",
    "session_lifetime": "lifetimes; give the key its expires",
}
_FAR: Final = 2**53
_LONGEST_NAME: Final = 256

# Returns the names of those given API ids that exist: api_id → name.
KnownApis = Callable[[set[str]], Mapping[str, str]]


def read_session(raw: Mapping[str, Any], known: KnownApis) -> dict[str, Any]:
    """Read a session object into its canonical form. Raises Mistakes with all of them, unknown APIs included."""
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
    for name, what in _NOT_SERVED.items():
        if reader.value(name) not in (None, "", [], 0, -1):
            reader.mistake(name, f"not available yet: {what}")
    reader.texts("tags")
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
    if "access_rights" in session:
        session["access_rights"] = rights
    return session


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
        rate, per, quota = (limit.limit(name) for name in ("rate", "per", "quota_max"))
        if (rate > 0 and per > 0) or quota > 0:
            right.mistake("limit", "not available yet: limits of one API; give the key its own rate and quota")
        if right.items("endpoints"):
            right.mistake("endpoints", "not available yet: limits of one path; give the key its own rate and quota")
        form = _canonical(given, _RIGHT_FIELDS) if isinstance(given, Mapping) else {}
        name = form.get("api_name") or names.get(api_id, "")
        rights[api_id] = {**form, "api_id": api_id, "api_name": name, "versions": form.get("versions") or []}
    return rights


def _allowed_url(reader: Reader) -> None:
    if "url" not in reader or "methods" not in reader:
        reader.report.add(reader.pointer, "must have url (a pattern) and methods (a list)")
    for method, place in reader.texts("methods"):
        if not is_method(method):
            reader.report.add(place, NO_METHOD)
    try:
        translate(reader.text("url"))
    except PatternError as error:
        reader.mistake("url", str(error))


def _canonical(raw: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return a copy with the known fields in their usual spelling and without nulls."""
    return {name.lower() if name.lower() in fields else name: copy.deepcopy(value) for name, value in raw.items() if value is not None}


def complete(session: dict[str, Any], before: Mapping[str, Any] | None, org_id: str) -> dict[str, Any]:
    """Add what the server knows when a session is saved: the organisation, an HMAC secret where there was none, the hash of a password.

    before: the session that is replaced; a secret that the caller left out stays as it was.
    """
    session["org_id"] = session.get("org_id") or (before or {}).get("org_id") or org_id
    if session.get("hmac_enabled") and not session.get("hmac_string") and not (before or {}).get("hmac_enabled"):
        session["hmac_string"] = new_hmac_string()
    basic = session.get("basic_auth_data")
    password = basic.get("password") if isinstance(basic, Mapping) else None
    if password:
        session["basic_auth_data"] = {"password": hash_password(password), "hash_type": "argon2id"}
    elif before and (before.get("basic_auth_data") or {}).get("password"):
        session["basic_auth_data"] = before["basic_auth_data"]
    return session


def shown(session: Mapping[str, Any]) -> dict[str, Any]:
    """Return a session as answers show it: without the hash of a password, and without what signatures are made with."""
    session = {name: value for name, value in session.items() if name != "hmac_string"}
    if not (session.get("basic_auth_data") or {}).get("password"):
        return session
    return {**session, "basic_auth_data": {"password": ""}}


def new_secret(org_id: str) -> str:
    """Create a secret like Tyk's: the organisation and 32 hexadecimal digits (128 random bits)."""
    return org_id + secrets.token_hex(16)


def new_hmac_string() -> str:
    """Create what requests are signed with, as Tyk does: the base64 of 32 hexadecimal digits (128 random bits)."""
    return base64.b64encode(secrets.token_hex(16).encode()).decode()


def check_name(name: str, *, of_user: bool) -> None:
    """Check a name that an operator chose. A secret travels in a header: printable ASCII. A user's name is any text without a colon.

    Raises Mistakes.
    """
    if of_user:
        wrong = ":" in name or not name.isprintable()
        allowed = "no colon and no control characters"
    else:
        wrong = not all("!" <= char <= "~" for char in name)
        allowed = "only letters, digits and punctuation of ASCII"
    if wrong or not 0 < len(name) <= _LONGEST_NAME:
        raise Mistakes([Mistake("", f"the name must have 1 to {_LONGEST_NAME} characters, {allowed}")])
