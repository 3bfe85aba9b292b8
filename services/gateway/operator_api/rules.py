"""Which role a call needs, and what it is about. A call that stands here in no line is refused to all operators but those with everything.

A reader reads, an editor also changes, an administrator also does what `_ADMIN` names.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from services.gateway.stores.operators import ROLES, Role

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Rule(NamedTuple):
    """kind: what the calls of a blueprint are about, as the audit names it. read, write: the role that they need."""

    kind: str
    read: Role = "reader"
    write: Role = "editor"


# By blueprint.
_RULES: Final = {
    "apis": Rule("api"),
    "tyk_apis": Rule("api"),
    "tyk_cache": Rule("api"),
    "revisions": Rule("api"),
    "lint": Rule("api"),
    "imports": Rule("api"),
    "keys": Rule("key"),
    "tyk_keys": Rule("key"),
    "hooks": Rule("hook"),
    "deliveries": Rule("delivery"),
    "policies": Rule("policy"),
    "tyk_policies": Rule("policy"),
    "tyk_organisations": Rule("organisation", write="admin"),
    "tyk_health": Rule("api"),
    "workers": Rule("worker"),
    "certificates": Rule("certificate"),
    "tyk_certificates": Rule("certificate"),
    "oauth_clients": Rule("client"),
    "tyk_oauth": Rule("client"),
    "users": Rule("operator", "admin", "admin"),
    "activity": Rule("activity"),
    "audit": Rule("audit", "admin", "admin"),
}
# Calls whose method says something else than what they do.
_WRITES_BY_GET: Final = frozenset({"tyk_apis.reload"})
# What they change is no write of the caller's stores: a reload, kept answers, and a code that a login server gets.
_RECORDED_AFTER: Final = frozenset({"tyk_apis.reload", "tyk_cache.purge", "tyk_oauth.authorize_client"})
_READS_BY_POST: Final = frozenset({"lint.lint_definition"})


def rule_of(endpoint: str) -> Rule | None:
    """Return the rule of a route, None = it has none. endpoint: Flask's name of it."""
    return _RULES.get(endpoint.partition(".")[0])


def writes(endpoint: str, method: str) -> bool:
    """Whether a call changes something."""
    return endpoint in _WRITES_BY_GET or (method not in _READS and endpoint not in _READS_BY_POST)


def is_recorded_after(endpoint: str) -> bool:
    """Whether a call is recorded when it has ended, instead of in the transaction of its write."""
    return endpoint in _RECORDED_AFTER


def may(role: Role, org_id: str, endpoint: str, method: str) -> bool:
    """Whether a role suffices for a call. org_id: of the operator, "" = everything."""
    rule = rule_of(endpoint)
    if rule is None:
        return role == "admin" and not org_id
    return ROLES.index(role) >= ROLES.index(rule.write if writes(endpoint, method) else rule.read)
