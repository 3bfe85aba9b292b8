"""A key as the data plane sees it: who calls, what it may reach, its limits. Made from Tyk's session object, which it keeps whole."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from hashlib import sha256
from math import ceil, inf
from typing import Any, NamedTuple, Protocol


class Limited(Protocol):
    """Whose limits count: a key, or a key for one API. rate, quota_max, ...: as of `Key`."""

    @property
    def rate(self) -> float: ...
    @property
    def per(self) -> float: ...
    @property
    def quota_max(self) -> int: ...
    @property
    def quota_renewal_rate(self) -> float: ...
    @property
    def rate_counter(self) -> str: ...
    @property
    def quota_counter(self) -> str: ...
    @property
    def triggers(self) -> Triggers | None: ...


# The numbers of those requests in a window of a quota that are told of, each with its shares of the quota in percent.
Triggers = Mapping[int, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Limit:
    """What a key may use of one API, apart from what it may use of the others."""

    rate: float
    per: float
    quota_max: int
    quota_renewal_rate: float
    rate_counter: str
    quota_counter: str
    triggers: Triggers | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """One key in one state: an edit makes another object.

    id: the public id, which opens nothing. access_rights: api_id → names of versions; None = every API. session: Tyk's session object.
    expires: epoch seconds, 0 or less = never. rate requests in `per` seconds; quota_max requests in `quota_renewal_rate` seconds
    (0 = never renewed); 0 or less = no limit. limits: of single APIs, by api_id, in place of these; None = there are none. hashes:
    SHA-256, in hexadecimal digits, of every secret that opens this key now. saved_at: epoch seconds of the last change, from which a
    `session_lifetime` counts. lifetime: its own, in seconds; 0 = that of the API counts. password: the argon2id hash of a user's,
    "" = none. hmac_secret: what its signatures are made with, None = it has none. certificate: the id of the client certificate by which it
    is found, "" = it has a secret. certificates: ids of those without one of which it does not count, none = it counts without.
    issued_by: the api_id whose client got it as an access token, "" = it is not one. triggers: None = nobody is told of the use of its
    quota. made: what it was made of, as a digest, "" = it is a stored one. is_plain: whether it surely counts: it is active, has no end and
    no lifetime of its own, and counts without a certificate.
    """

    id: str
    access_rights: Mapping[str, frozenset[str]] | None = None
    session: Mapping[str, Any] = field(default_factory=dict)
    is_inactive: bool = False
    expires: float = 0.0
    rate: float = 0.0
    per: float = 0.0
    quota_max: int = -1
    quota_renewal_rate: float = 0.0
    rate_counter: str = ""
    quota_counter: str = ""
    limits: Mapping[str, Limit] | None = None
    org_id: str = ""
    alias: str = ""
    tags: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    saved_at: float = 0.0
    lifetime: float = 0.0
    password: str = ""
    certificate: str = ""
    certificates: tuple[str, ...] = ()
    hmac_secret: str | None = field(default=None, repr=False)
    issued_by: str = ""
    triggers: Triggers | None = None
    made: str = ""
    is_plain: bool = False

    @classmethod
    def from_session(
        cls,
        id: str,
        hashes: Iterable[str],
        session: Mapping[str, Any],
        saved_at: float = 0.0,
        hmac_secret: str | None = None,
        issued_by: str = "",
        counted_by: str = "",
    ) -> Key:
        """Return the key of a session object that was checked when it was saved. Absent fields and null count as zero, as in Tyk.

        hmac_secret: the session has it sealed. counted_by: what its limits are counted by, "" = the id.
        """
        counted_by = counted_by or id
        granted = session.get("access_rights")
        rights = {api_id: frozenset((right or {}).get("versions") or ()) for api_id, right in granted.items()} if granted else None
        shares = tuple((session.get("monitor") or {}).get("trigger_limits") or ())
        quota_max = int(session.get("quota_max") or 0)
        expires, lifetime = float(session.get("expires") or 0), max(float(session.get("session_lifetime") or 0), 0.0)
        certificates = tuple(session.get("mtls_static_certificate_bindings") or ())
        return cls(
            id=id,
            access_rights=rights,
            session=session,
            is_inactive=bool(session.get("is_inactive")),
            expires=expires,
            rate=float(session.get("rate") or 0),
            per=float(session.get("per") or 0),
            quota_max=quota_max,
            quota_renewal_rate=float(session.get("quota_renewal_rate") or 0),
            rate_counter=rate_counter(counted_by),
            quota_counter=quota_counter(counted_by),
            limits=_limits(counted_by, granted, shares) if granted else None,
            org_id=session.get("org_id") or "",
            alias=session.get("alias") or "",
            tags=tuple(session.get("tags") or ()),
            hashes=tuple(hashes),
            saved_at=saved_at,
            lifetime=lifetime,
            password=(session.get("basic_auth_data") or {}).get("password") or "",
            certificate=session.get("certificate") or "",
            certificates=certificates,
            hmac_secret=hmac_secret if session.get("hmac_enabled") else None,
            issued_by=issued_by,
            triggers=_triggers(quota_max, shares),
            is_plain=not (session.get("is_inactive") or expires > 0 or lifetime or certificates),
        )


def _limits(id: str, granted: Mapping[str, Any], shares: tuple[float, ...]) -> Mapping[str, Limit] | None:
    """Read the limits of single APIs: those that say anything, be it -1. Those of one `allowance_scope` share counters (Tyk 3.0)."""
    found = {}
    for api_id, right in granted.items():
        limit = (right or {}).get("limit") or {}
        rate, per = float(limit.get("rate") or 0), float(limit.get("per") or 0)
        quota_max = int(limit.get("quota_max") or 0)
        if rate or per or quota_max:
            counter = scoped(id, (right or {}).get("allowance_scope") or api_id)
            renewal, triggers = float(limit.get("quota_renewal_rate") or 0), _triggers(quota_max, shares)
            found[api_id] = Limit(rate, per, quota_max, renewal, rate_counter(counter), quota_counter(counter), triggers)
    return found or None


def _triggers(quota_max: int, shares: tuple[float, ...]) -> Triggers | None:
    """Return which requests reach these shares of a quota. Exact, as floating point is not."""
    if quota_max <= 0 or not shares:
        return None
    found: dict[int, tuple[float, ...]] = {}
    for share in sorted(set(shares)):
        number = ceil(quota_max * Fraction(str(share)) / 100)
        found[number] = (*found.get(number, ()), share)
    return found


def scoped(id: str, scope: str) -> str:
    """Return what the counters of a key for one API, or for those of one policy, are named by."""
    return f"{id}:{scope}"


def rate_counter(id: str) -> str:
    """Return the name of the counter that a key's rate limit takes from."""
    return f"r:{id}"


def window_of(rate: float, per: float) -> tuple[int, float]:
    """Return whole requests and the seconds that they count in. A rate below 1 stretches the span; above 1, its fraction is cut off."""
    return (int(rate), per) if rate >= 1 else (1, per / rate)


def quota_counter(id: str) -> str:
    return f"q:{id}"


def endpoint_counter(key: Key, api_id: str, method: str, path: str) -> str:
    """Return the name of the counter of one method and path (a pattern) of an API. Patterns may be long, so it holds a digest."""
    return f"{key.rate_counter}:{api_id}:{sha256(f'{method} {path}'.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Opened:
    """What a secret opens. until: epoch seconds when this secret ends, None = it stays."""

    key: Key
    until: float | None


def secret_hash(secret: str) -> str:
    """Return what is stored of a secret. Text that is not Unicode (escaped bytes of a request) has a hash that nothing stored equals."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def user_hash(name: str) -> str:
    """Return the hash by which a basic user is found. It is not a secret's hash, so a user name alone never opens what needs a key.

    name: with the organisation before it.
    """
    return hmac.digest(b"basic user", name.encode("utf-8", "surrogatepass"), "sha256").hex()


def certificate_hash(name: str) -> str:
    """Return the hash by which the key of a client certificate is found. It is not a secret's hash: everybody may know a certificate.

    name: the organisation of the key, and the fingerprint of the certificate.
    """
    return hmac.digest(b"client certificate", name.encode("utf-8", "surrogatepass"), "sha256").hex()


class Made(NamedTuple):
    """A key that is in no table: somebody else vouches for who calls, and policies say what that one may do.

    hash: what it is found by, which no secret has. id: the same for everybody whom one organisation knows by this name, so that their
    counters are. policies: their ids; each must exist, and belong to the organisation.
    """

    hash: str
    id: str
    org_id: str
    policies: tuple[str, ...]
    session: Mapping[str, Any]

    def key(self, session: Mapping[str, Any]) -> Key:
        """Return what the data plane sees. session: with what the policies make of it. It never outlives an API's `session_lifetime`."""
        return replace(Key.from_session(self.id, (), session, saved_at=inf), made=self.hash)


def made_key(org_id: str, identity: str, policies: Sequence[str]) -> Made:
    """Return the key of somebody whom a JSON Web Token names, as Tyk makes a session of it."""
    id = f"jwt-{sha256(_bytes(json.dumps([org_id, identity]))).hexdigest()[:32]}"
    hash = hmac.digest(b"made key", _bytes(json.dumps([id, *policies])), "sha256").hex()
    session = {"org_id": org_id, "alias": identity, "apply_policies": list(policies), "meta_data": {"TykJWTSessionID": id}}
    return Made(hash, id, org_id, tuple(policies), session)


def made_user(org_id: str, issuer: str, subject: str, client: str, policies: Sequence[str], segregated: bool) -> Made:
    """Return the key of a user whom an OpenID provider names, as Tyk makes a session of an ID token.

    segregated: whether the same user is another one for each client. Two issuers may give the same name to two people.
    """
    who = [org_id, issuer, subject, client] if segregated else [org_id, issuer, subject]
    id = f"oidc-{sha256(_bytes(json.dumps(who))).hexdigest()[:32]}"
    hash = hmac.digest(b"made key", _bytes(json.dumps([id, client, *policies])), "sha256").hex()
    told = {"TykJWTSessionID": id, "ClientID": client}
    session = {"org_id": org_id, "alias": f"{client}:{subject}", "apply_policies": list(policies), "meta_data": told}
    return Made(hash, id, org_id, tuple(policies), session)


def made_by_script(org_id: str, who: str, session: Mapping[str, Any], policies: Sequence[str]) -> Made:
    """Return the key of somebody whom a script lets in. who: whose limits count. session: checked, of this organisation."""
    id = f"script-{sha256(_bytes(json.dumps([org_id, who]))).hexdigest()[:32]}"
    hash = hmac.digest(b"made key", _bytes(json.dumps([id, session])), "sha256").hex()
    return Made(hash, id, org_id, tuple(policies), session)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class KeyFinder(Protocol):
    """Finds the key that a secret opens, by the secret's hash; None = no key. Answers at once when it knows, else something to await.

    `find_made` does the same for a key that is made; None = a policy of it does not exist, or is of another organisation.
    """

    def find_hash(self, hash: str) -> Key | Awaitable[Key | None] | None: ...
    def find_made(self, made: Made) -> Key | Awaitable[Key | None] | None: ...
