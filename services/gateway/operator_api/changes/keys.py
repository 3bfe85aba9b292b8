"""Creating, changing and deleting keys: checked, stored, and forgotten by every worker before the call answers.

A key is named by its public id or, as Tyk's clients do, by its secret or (a basic user) its name; the organisation in front of both
may be left out. A key whose name an operator chose always has two secrets: the name with its organisation, and without.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from services.gateway.definitions.model import DEFAULT_ORG
from services.gateway.definitions.reader import Mistake, Mistakes, join
from services.gateway.definitions.session_schema import read_session
from services.gateway.keys.certificates import FINGERPRINT
from services.gateway.keys.model import certificate_hash, secret_hash, user_hash
from services.gateway.keys.policies import policy_ids
from services.gateway.operator_api import refusals
from services.gateway.operator_api.changes import definitions, session_objects
from services.gateway.operator_api.changes.owning import own_organisation
from services.gateway.operator_api.changes.ports import Gateway
from services.gateway.stores.keys import KeyMissing, SecretTaken, StoredKey

TokenEvent = Literal["TokenCreated", "TokenUpdated", "TokenDeleted"]
_MESSAGES = {"TokenCreated": "Key generated.", "TokenUpdated": "Key updated.", "TokenDeleted": "Key deleted."}


@dataclass(frozen=True, slots=True)
class Change:
    """A key after a change.

    secret: what opens the key, shown only here, or the name of a key that a certificate opens; "" when there is none. hmac_string: what its
    requests are signed with, when it is new; shown only here. unconfirmed: workers that may not know yet.
    name: of a key that the caller named, with its organisation.
    """

    stored: StoredKey
    unconfirmed: list[str]
    secret: str = ""
    hmac_string: str = ""
    created: bool = False
    name: str = ""


def find(gateway: Gateway, name: str, org_id: str | None = None) -> StoredKey | None:
    """Find a key by public id, by secret, by user name or by the name that a certificate gives it.

    org_id: whose short names count; None = everybody's.
    """
    return _find_all(gateway, [name], org_id)[name]


def _find_all(gateway: Gateway, names: Sequence[str], org_id: str | None = None) -> dict[str, StoredKey | None]:
    """Find several keys, each as `find` does, in few questions to the store."""
    org = own_organisation(gateway) if org_id is None else org_id
    found: dict[str, StoredKey | None] = dict(gateway.keys_store.several(names))
    ways = {name: _ways(org, name) for name in names if name not in found}
    opened = gateway.keys_store.opened([hash for way in ways.values() for _, hash in way]) if ways else {}
    for name, way in ways.items():
        found[name] = next((stored for candidate, hash in way if (stored := _meant(opened.get(hash), candidate, name, org, org_id))), None)
    return found


def _ways(org: str, name: str) -> list[tuple[str, str]]:
    """Return what a name may stand for, and its hash; the organisation's own before another's of the same name."""
    return [(one, hash(one)) for one in (org + name, name) for hash in (secret_hash, user_hash, certificate_hash)]


def _meant(stored: StoredKey | None, candidate: str, name: str, org: str, org_id: str | None) -> StoredKey | None:
    """Return the key that a candidate opens, if it is the one that `name` means."""
    if stored is None or _of_another(stored, name, org_id):
        return None
    # Nothing stands between organisation and name: `ab` + `c` may be the `bc` of `a`.
    return stored if candidate == name or str(stored.session.get("org_id") or "") in ("", org) else None


def _of_another(stored: StoredKey, name: str, org_id: str | None) -> bool:
    """Whether `name` is the short name of a key of another organisation than `org_id`."""
    own = str(stored.session.get("org_id") or "")
    return org_id is not None and own not in ("", org_id) and secret_hash(own + name) in stored.hashes


def existing(gateway: Gateway, name: str, org_id: str | None = None) -> StoredKey:
    """Find a key as `find` does. Raises OperatorRefusal."""
    found = find(gateway, name, org_id)
    if found is None:
        raise refusals.key_unknown()
    return found


def owned(gateway: Gateway, name: str, org_id: str | None = None) -> StoredKey:
    """As `existing`, for calls where Tyk says that a key is another's. Only a public id says so: nobody can guess one."""
    if gateway.keys_store.of_others(name):
        raise refusals.key_not_owned()
    return existing(gateway, name, org_id)


def of_api(gateway: Gateway, key: str, name: str) -> StoredKey:
    """Return a key through an API that it may reach. key: of the API. Raises OperatorRefusal."""
    definition = definitions.existing(gateway, key)
    stored = owned(gateway, name, str(definition.raw.get("org_id") or ""))
    rights = gateway.keys_store.effective(stored.session).get("access_rights")
    if rights and definition.api_id not in rights:
        raise refusals.key_unknown()
    return stored


def create(gateway: Gateway, raw: Mapping[str, Any], hash: str = "") -> Change:
    """Create a key with a random secret, or one that its certificate opens. hash: of a secret that only its client knows.

    Raises OperatorRefusal, SecretTaken for a hash.
    """
    session = _read(gateway, raw)
    session = session_objects.complete(session, None, _org_of(gateway, session), needs_secret=_may_sign(gateway, session))
    if hash:
        return _create(gateway, session, "", [hash], None)
    if session.get("certificate"):
        name = session["org_id"] + session["certificate"][-FINGERPRINT:]
        try:
            return _create(gateway, session, name, [certificate_hash(name)], None)
        except SecretTaken:
            raise refusals.key_of_certificate_taken(name) from None
    secret = session_objects.new_secret(session["org_id"])
    return _create(gateway, session, secret, [secret_hash(secret)], None)  # 128 random bits: nobody else has them


def put_named(gateway: Gateway, name: str, raw: Mapping[str, Any], *, keep_counters: bool, is_user: bool | None = None) -> Change:
    """Store a key whose secret (or user name, when there is a password) the operator chose; replaces the key that already has it.

    The secret is the organisation followed by the name, as in Tyk. The name alone opens a key too; a user has only the full name.
    is_user: None = when there is a password. Raises OperatorRefusal.
    """
    session = _read(gateway, raw)
    org_id = session.get("org_id") or _org_of(gateway, session)
    password = (session.get("basic_auth_data") or {}).get("password")
    of_user = bool(password) if is_user is None else is_user
    before = find(gateway, name, org_id)
    if before is not None:
        if is_user and before.user_name is None:
            raise refusals.name_taken_by_a_key()
        return replace(_replace(gateway, before, session, keep_counters), name=_full_name(before, name, org_id))
    if session.get("certificate"):
        raise refusals.invalid("key", Mistakes([Mistake("/certificate", "names the key itself: create it without another name")]))
    short = name if of_user else name.removeprefix(org_id)
    try:
        session_objects.check_name(short, of_user=of_user)
    except Mistakes as error:
        raise refusals.invalid("key", error) from None
    if of_user and not password:
        raise refusals.password_missing()
    secret = name if name.startswith(org_id) else org_id + name
    session = session_objects.complete(session, None, org_id, needs_secret=_may_sign(gateway, session))
    hashes = [user_hash(secret)] if of_user else [secret_hash(secret), secret_hash(short)]
    try:
        change = _create(gateway, session, secret, hashes, secret if of_user else None)
    except SecretTaken:
        quicker = find(gateway, name, org_id)  # somebody created it between the look-up and the write
        if quicker is None:
            if find(gateway, name) is not None:
                raise refusals.name_taken_elsewhere(name) from None
            raise refusals.name_was_a_secret() from None
        change = _replace(gateway, quicker, session, keep_counters)
    return replace(change, name=secret)


def _full_name(stored: StoredKey, name: str, org_id: str) -> str:
    """Return the full name of a key that was found by `name`; its public id when that was the name."""
    return stored.user_name or (org_id + name if secret_hash(org_id + name) in stored.hashes else name)


def update(gateway: Gateway, stored: StoredKey, raw: Mapping[str, Any], *, keep_counters: bool) -> Change:
    """Replace the session of a key wholly; its secrets stay. Raises OperatorRefusal."""
    return _replace(gateway, stored, _read(gateway, raw), keep_counters)


def delete(gateway: Gateway, stored: StoredKey) -> Change:
    """Delete a key; no worker accepts it any more. Raises OperatorRefusal."""
    try:
        gone = gateway.keys_store.delete(stored.id)
    except KeyMissing:
        raise refusals.key_unknown() from None
    unconfirmed = gateway.publish_keys(gone.generation, gone.changed)
    gateway.reset_counters(_quotas(gateway, gone))
    _tell(gateway, "TokenDeleted", gone)
    return Change(gone, unconfirmed)


def revoke(gateway: Gateway, names: Sequence[str]) -> tuple[list[StoredKey], list[str]]:
    """Delete all these keys, or none of them when one does not exist; return them and the workers that may not know yet.

    Raises OperatorRefusal, with a mistake for each that does not exist.
    """
    found = _find_all(gateway, names)
    known = {stored.id for stored in found.values() if stored is not None}
    missing = {name for name, stored in found.items() if stored is None}
    try:
        gone = [] if missing else gateway.keys_store.delete_all(known)
    except KeyMissing as error:
        missing = {name for name, stored in found.items() if stored is not None and stored.id in error.ids}
    if missing:
        mistakes = [Mistake(join("/ids", index), "there is no such key") for index, name in enumerate(names) if name in missing]
        raise refusals.keys_unknown(names, mistakes)
    unconfirmed = gateway.publish_keys(gone[0].generation, [hash for stored in gone for hash in stored.changed])
    gateway.reset_counters(counter for stored in gone for counter in _quotas(gateway, stored))
    for stored in gone:
        _tell(gateway, "TokenDeleted", stored)
    return gone, unconfirmed


def rotate(gateway: Gateway, stored: StoredKey, overlap: float) -> Change:
    """Give a key a new secret; the present one opens it for `overlap` seconds more. Raises OperatorRefusal."""
    if stored.user_name is not None:
        raise refusals.user_has_no_secret()
    if stored.session.get("certificate"):
        raise refusals.certificate_has_no_secret()
    secret = session_objects.new_secret(str(stored.session.get("org_id") or DEFAULT_ORG))
    signing = session_objects.new_hmac_string() if _may_sign(gateway, stored.session) else ""
    try:
        rotated = gateway.keys_store.rotate(stored.id, secret_hash(secret), overlap, signing)
    except KeyMissing:
        raise refusals.key_unknown() from None
    unconfirmed = gateway.publish_keys(rotated.generation, rotated.changed)
    _tell(gateway, "TokenUpdated", rotated)
    return Change(rotated, unconfirmed, secret, signing)


def _read(gateway: Gateway, raw: Mapping[str, Any]) -> dict[str, Any]:
    try:
        session = read_session(raw, gateway.definitions.known, gateway.policies.owners, gateway.certificates_store.owners)
    except Mistakes as error:
        raise refusals.invalid("key", error) from None
    if gateway.caller.org_id:
        gateway.caller.check(session.get("org_id") or gateway.caller.org_id)
    return session


def _org_of(gateway: Gateway, session: Mapping[str, Any]) -> str:
    """Return the caller's organisation, or else that of the key's policies, or of the first API that it may reach."""
    if gateway.caller.org_id:
        return gateway.caller.org_id
    owners = gateway.policies.owners(policy_ids(session)) if policy_ids(session) else {}
    for owner in owners.values():
        if owner:
            return owner
    for api_id in session.get("access_rights") or ():
        definition = gateway.definitions.get(api_id)
        if definition is not None:
            return str(definition.raw.get("org_id") or DEFAULT_ORG)
    return DEFAULT_ORG


def _create(gateway: Gateway, session: dict[str, Any], secret: str, hashes: list[str], user_name: str | None) -> Change:
    """Raises SecretTaken."""
    first, *others = hashes
    session = _with_end(gateway, session)
    stored = gateway.keys_store.create(first, session, other_hashes=others, user_name=user_name)
    unconfirmed = gateway.publish_keys(stored.generation, stored.changed)  # a worker may have noted that nobody has this secret
    _tell(gateway, "TokenCreated", stored)
    return Change(stored, unconfirmed, secret, session.get("hmac_string") or "", created=True)


def _with_end(gateway: Gateway, session: dict[str, Any]) -> dict[str, Any]:
    """Add the end that a policy gives to new keys (`key_expires_in`), unless the caller gives one."""
    policies = [gateway.policies.get(id) or {} for id in policy_ids(session)]
    seconds = [policy["key_expires_in"] for policy in policies if (policy.get("key_expires_in") or 0) > 0]
    return session if not seconds or session.get("expires") else {**session, "expires": int(time.time()) + min(seconds)}


def _replace(gateway: Gateway, before: StoredKey, session: dict[str, Any], keep_counters: bool) -> Change:
    needs_secret = _may_sign(gateway, session) and not gateway.keys_store.can_sign(before.id)
    session = session_objects.complete(session, before.session, DEFAULT_ORG, needs_secret=needs_secret)
    # A session without an organisation was read as one of its policies'.
    owners = gateway.policies.owners(policy_ids(session))
    foreign = [id for id, owner in owners.items() if owner not in ("", session["org_id"])]
    if foreign:
        mistakes = [Mistake("/apply_policies", f"the policy `{id}` is of another organisation than the key") for id in foreign]
        raise refusals.invalid("key", Mistakes(mistakes))
    certificate = str(before.session.get("certificate") or "")
    if session.get("certificate", certificate) != certificate:
        raise refusals.invalid("key", Mistakes([Mistake("/certificate", "cannot be changed: create a key for the other certificate")]))
    if certificate:
        session["certificate"] = certificate
    try:
        stored = gateway.keys_store.replace(before.id, session)
    except KeyMissing:
        raise refusals.key_unknown() from None
    unconfirmed = gateway.publish_keys(stored.generation, stored.changed)
    if not (keep_counters or _quota_stays(gateway, stored)):
        gateway.reset_counters(_quotas(gateway, stored, gateway.keys_store.log_in_of(stored.id)))
    _tell(gateway, "TokenUpdated", stored)
    return Change(stored, unconfirmed, hmac_string=session.get("hmac_string") or "")


def _may_sign(gateway: Gateway, session: Mapping[str, Any]) -> bool:
    """Whether a key, or one of its policies, has `hmac_enabled`."""
    return bool(gateway.keys_store.effective(session).get("hmac_enabled"))


def _quotas(gateway: Gateway, stored: StoredKey, log_in: str = "") -> list[str]:
    """Return the counters of all quotas of a key: its own, and those of single APIs.

    log_in: by which an access token is counted; when only the token ends, the log-in goes on counting.
    """
    key = stored.key(_effective(gateway, stored), counted_by=log_in)
    return [key.quota_counter, *sorted({limit.quota_counter for limit in (key.limits or {}).values()})]


def _effective(gateway: Gateway, stored: StoredKey) -> Mapping[str, Any]:
    """Return the session of a key with what its policies make of it; they are asked for only where the store has not."""
    return gateway.keys_store.effective(stored.session) if stored.effective is None else stored.effective


def _quota_stays(gateway: Gateway, stored: StoredKey) -> bool:
    """Whether every API that the key names says `dont_set_quota_on_create`. A key has one quota for all of them."""
    apis, named = gateway.live.current.apis, gateway.keys_store.effective(stored.session).get("access_rights") or ()
    return bool(named) and all(api_id in apis and apis[api_id].definition.dont_set_quota_on_create for api_id in named)


def _tell(gateway: Gateway, event: TokenEvent, stored: StoredKey) -> None:
    """Tell the handlers of the APIs that the key names (a master key: of all). The event never holds the secret."""
    named = _effective(gateway, stored).get("access_rights") or None
    metadata = {"Message": _MESSAGES[event], "Org": str(stored.session.get("org_id") or ""), "Key": stored.id}
    apis = gateway.live.current.apis
    for api in list(apis.values()) if named is None else [apis[api_id] for api_id in named if api_id in apis]:
        if event in api.event_handlers:
            gateway.events.fire(event, api, dict(metadata))
