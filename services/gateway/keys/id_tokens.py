"""What the claims of an ID token say (OpenID Connect Core 1.0, 2 and 3.1.3.7). Pure; of tokens that were checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from services.gateway.keys.claims import Lacking, Said, audiences_of, identity_of, moment_of, scopes_of
from services.gateway.keys.model import made_user


@dataclass(frozen=True, slots=True)
class IdTokenRules:
    """Which ID tokens an API takes.

    clients: by issuer and id of the client, the id of its policy. segregated: whether a user of two clients is two. scope: the claim with
    the scopes. scopes: by scope, the id of its policy; when there are any, those of the clients do not count. skews: as of `ClaimRules`.
    """

    org_id: str
    clients: Mapping[str, Mapping[str, str]]
    segregated: bool = False
    scope: str = "scope"
    scopes: Mapping[str, str] = field(default_factory=dict)
    skews: tuple[int, int, int] = (0, 0, 0)


def read_id_token(claims: Mapping[str, Any], rules: IdTokenRules) -> Said | None:
    """Read claims; None when a time is in a wrong form or missing, or the token is one of events, such as of a sign-out."""
    issued, starts, ends = moment_of(claims, "iat", inf), moment_of(claims, "nbf", -inf), moment_of(claims, "exp", inf)
    if issued is None or starts is None or ends is None or inf in (issued, ends) or "events" in claims:
        return None
    issuer, subject = claims.get("iss"), identity_of(claims, "sub")
    clients = rules.clients.get(issuer, {}) if isinstance(issuer, str) else {}
    client = _client(claims, clients)
    policies, lacking = _policies(claims, clients.get(client, ""), rules)
    if not subject:
        lacking = "identity"
    if not client:
        lacking = "audience"
    if not clients:
        lacking = "issuer"
    made = None
    if not lacking and isinstance(issuer, str):
        made = made_user(rules.org_id, issuer, subject, client, policies, rules.segregated)
    of_issued, of_starts, of_ends = rules.skews
    return Said(subject, issued - of_issued, starts - of_starts, ends + of_ends, made, lacking)


def _client(claims: Mapping[str, Any], clients: Mapping[str, str]) -> str:
    """Return the client that a token was issued to, "" = none of them.

    The audience names it. `azp` tells which of several it is; where it is another one, the token was not meant for any of these.
    """
    named = [one for one in audiences_of(claims.get("aud")) if one in clients]
    if not named:
        return ""
    party = claims.get("azp")
    if party is None or party in named:
        return named[0] if party is None else str(party)
    return named[0] if isinstance(party, str) and party in clients else ""


def _policies(claims: Mapping[str, Any], own: str, rules: IdTokenRules) -> tuple[tuple[str, ...], Lacking]:
    if not rules.scopes:
        return ((own,), "") if own else ((), "policy")
    found = tuple(dict.fromkeys(rules.scopes[scope] for scope in scopes_of(claims, rules.scope) if scope in rules.scopes))
    return found, "" if found else "policy of a scope"
