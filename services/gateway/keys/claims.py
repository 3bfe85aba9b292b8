"""What the claims of a JSON Web Token say: who calls, when it holds, and which policies apply. Pure; of tokens that were checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from types import MappingProxyType
from typing import Any, Final, Literal

from services.gateway.keys.model import Made, made_key

# One for all tokens whose claims nobody asks for: thousands of them are remembered.
NO_CLAIMS: Final[Mapping[str, Any]] = MappingProxyType({})
_LONGEST_IDENTITY: Final = 1024

Lacking = Literal["", "issuer", "audience", "identity", "policy", "policy of a scope"]


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """How a definition reads claims.

    identity, policy, scope: names of claims; policy: "" = none names policies. scopes: by scope, the id of its policy. skews: seconds that
    `iat`, `nbf` and `exp` may be off. issuers, audiences: that are taken; empty = all.
    """

    org_id: str
    identity: str = "sub"
    policy: str = ""
    default_policies: tuple[str, ...] = ()
    scope: str = "scope"
    scopes: Mapping[str, str] = field(default_factory=dict)
    skews: tuple[int, int, int] = (0, 0, 0)
    issuers: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Said:
    """What a token says. issued, starts, ends: epoch seconds, skews included: it holds from the latest of the first two on, and before the
    third. made: the key of whom it names; None = there is none, for what is `lacking`. claims: those that the definition speaks of.
    """

    identity: str
    issued: float
    starts: float
    ends: float
    made: Made | None
    lacking: Lacking = ""
    claims: Mapping[str, Any] = field(default_factory=lambda: NO_CLAIMS)


def read_claims(claims: Mapping[str, Any], rules: ClaimRules) -> Said | None:
    """Read claims; None when a time is in a wrong form."""
    issued, starts, ends = moment_of(claims, "iat", -inf), moment_of(claims, "nbf", -inf), moment_of(claims, "exp", inf)
    if issued is None or starts is None or ends is None:
        return None
    identity = identity_of(claims, rules.identity)
    policies, lacking = _policies(claims, rules)
    if not identity:
        lacking = "identity"
    if rules.audiences and rules.audiences.isdisjoint(audiences_of(claims.get("aud"))):
        lacking = "audience"
    issuer = claims.get("iss")
    if rules.issuers and not (isinstance(issuer, str) and issuer in rules.issuers):
        lacking = "issuer"
    made = None if lacking else made_key(rules.org_id, identity, policies)
    of_issued, of_starts, of_ends = rules.skews
    return Said(identity, issued - of_issued, starts - of_starts, ends + of_ends, made, lacking)


def keeping(said: Said | None, claims: Mapping[str, Any], names: frozenset[str] | None) -> Said | None:
    """Return what a token says, with those of its claims that the definition speaks of. names: None = all."""
    if said is None or names == frozenset():
        return said
    return replace(said, claims=claims if names is None else {name: claims[name] for name in names if name in claims})


def identity_of(claims: Mapping[str, Any], claim: str) -> str:
    """Return who calls, "" = the token does not say. An empty or overlong name does not make room for that of `sub`.

    JSON may hold halves of characters (`\\ud800`), which are no text: neither logs nor databases take them.
    """
    for name in (claim, "sub"):
        value = claims.get(name)
        if isinstance(value, str):
            return value if len(value) <= _LONGEST_IDENTITY and _is_text(value) else ""
    return ""


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _policies(claims: Mapping[str, Any], rules: ClaimRules) -> tuple[tuple[str, ...], Lacking]:
    """Return the policies of a token, or what is lacking.

    Some databases refuse to search for what is not printable, such as a NUL, and would be taken for one that is away.
    """
    named = claims.get(rules.policy) if rules.policy else None
    listed = [named] if isinstance(named, str) else [] if named is None else _texts(named)
    if listed is None or not all(map(str.isprintable, listed)):
        return (), "policy"
    scopes = scopes_of(claims, rules.scope) if rules.scopes else []
    by_scopes = [rules.scopes[scope] for scope in scopes if scope in rules.scopes]
    policies = tuple(dict.fromkeys([*filter(None, listed), *by_scopes]))
    if not policies and scopes:
        return (), "policy of a scope"
    policies = policies or rules.default_policies
    return policies, "" if policies else "policy"


def moment_of(claims: Mapping[str, Any], name: str, absent: float) -> float | None:
    """Return a time in epoch seconds; None when it is there and is not one."""
    if name not in claims:
        return absent
    value = claims[name]
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        moment = float(value)
    except OverflowError:
        return None
    return moment if isfinite(moment) else None


def audiences_of(value: Any) -> list[str]:
    """Return the audiences of `aud`, which is one or a list."""
    return [value] if isinstance(value, str) else _texts(value) or []


def _texts(value: Any) -> list[str] | None:
    """Return a list of texts, None when it is something else."""
    return value if isinstance(value, list) and all(isinstance(one, str) for one in value) else None


def scopes_of(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return the scopes of a token. A claim of exactly this name comes before the path that it may be."""
    value: Any = claims.get(name)
    if value is None:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    return value.split() if isinstance(value, str) else _texts(value) or []
