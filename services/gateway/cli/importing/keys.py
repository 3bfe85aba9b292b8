"""Keys of a Tyk: session objects by their names, as its database and its API have them.

A Tyk that hashes its keys (`hash_keys`) has only hashes. Those of SHA-256 are what Gatehouse stores itself; the others (murmur3) open
nothing here, because a hash of another kind cannot be computed from them. A name that looks like a hash is never taken for a secret unless
the operator says so: who knows the hash, from a backup or a log, would have a key. Source: Tyk 3.1 and 5 (storage, crypto).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from services.gateway.cli.importing import definitions
from services.gateway.cli.importing.items import Item
from services.gateway.keys.model import secret_hash

PREFIX: Final = "apikey-"
# Of other things in Tyk's database: beginning → what they are.
_OTHERS: Final = {
    "quota-": "counters of quotas begin anew",
    "rate-limit-": "counters of rate limits begin anew",
    "orgkey.": "sessions of organisations: store them with `organisations put`",
    "oauth-data.": "OAuth2 clients and tokens: create the clients here",
    "cert-": "certificates: store them with POST /tyk/certs",
    "host-checker": "what Tyk knows of upstreams",
    "cache-": "cached answers",
    "analytics-": "analytics",
    "tyk-": "Tyk's own",
}
_HASH: Final = re.compile(r"(?:[0-9a-f]{8}|[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64})")
_NO_SEGMENTS: Final = frozenset({".", "..", "create"})
_SHA256: Final = 64  # hexadecimal digits
# What a session remembers of its use. It is not taken along: it would differ with every request there.
_STATE: Final = frozenset({
    "allowance", "last_check", "quota_remaining", "quota_renews", "last_updated", "id_extractor_deadline",
})  # fmt: skip
_SHOWN: Final = 4  # characters of a secret; also what events show of one that is not known
_NOT_CHECKED: Final = "a user: the hash of a password ({kind}) cannot be checked here; give the user a password with `keys user`"


def other(name: str) -> str:
    """Say what an entry of Tyk's database is that is not a key; "" for a key, or what may be one."""
    if name.startswith(PREFIX):
        return ""
    return next((what for beginning, what in _OTHERS.items() if name.startswith(beginning)), "")


def is_session(document: Any) -> bool:
    """Tell whether a document may be the session object of a key."""
    return isinstance(document, Mapping) and any(
        name in document for name in ("access_rights", "apply_policies", "apply_policy_id", "quota_max", "rate", "org_id")
    )


def key(name: str, session: Mapping[str, Any], source: str, *, plain_names: bool = False) -> Item:
    """Return a key as an item.

    name: its secret, or the hash of it, with or without Tyk's prefix. plain_names: names that look like hashes are secrets.
    """
    name = name.removeprefix(PREFIX)
    hashed = not plain_names and looks_hashed(name)
    alias = str(session.get("alias") or "")
    shown = name if hashed else masked(name)
    differs, refused = _differs(session), _refused(name, session, hashed)
    if "/" in name or name in _NO_SEGMENTS:  # no path of the operator API can name it, so it is named by its hash
        name, hashed = secret_hash(name), True
        differs.append("opens by its whole name only, without an organisation before it")
    item = Item("key", name, f"{shown} ({alias})" if alias else shown, source, _body(session), hashed=hashed)
    return item.noting(differs=differs, refused=refused)


def looks_hashed(name: str) -> bool:
    """Tell whether a name may be the hash of a secret."""
    return _HASH.fullmatch(name) is not None


def masked(name: str) -> str:
    """Return what may be shown of a name that is a secret."""
    return f"{name.removeprefix(PREFIX)[:_SHOWN]}…"


def _body(session: Mapping[str, Any]) -> dict[str, Any]:
    body = {name: value for name, value in session.items() if name not in _STATE}
    if not (isinstance(body.get("expires"), int | float) and body["expires"] > 0):
        body["expires"] = -1  # never; a policy's `key_expires_in` gives an end to keys that say nothing
    rights = body.get("access_rights")
    if isinstance(rights, Mapping):
        body["access_rights"] = {api_id: _right(right) for api_id, right in rights.items()}
    basic = body.get("basic_auth_data")
    if isinstance(basic, Mapping) and not basic.get("password"):
        del body["basic_auth_data"]
    return body


def _right(right: Any) -> Any:
    if not isinstance(right, Mapping) or not isinstance(right.get("limit"), Mapping):
        return right
    return {**right, "limit": {name: value for name, value in right["limit"].items() if name not in _STATE}}


def _differs(session: Mapping[str, Any]) -> list[str]:
    noted = definitions.without_effect(session)
    left, most = session.get("quota_remaining"), session.get("quota_max")
    if isinstance(left, int | float) and isinstance(most, int | float) and 0 <= left < most:
        noted.append(f"its quota begins anew ({left:g} of {most:g} were left)")
    jwt = session.get("jwt_data")
    if isinstance(jwt, Mapping) and jwt.get("secret"):
        noted.append("has no effect here: a secret of its own for JSON Web Tokens (jwt_data)")
    if isinstance(session.get("expires"), int | float) and session["expires"] > 0 and session.get("post_expiry_action") == "delete":
        noted.append("stays in the list after its end; it opens nothing then")
    return noted


def _refused(name: str, session: Mapping[str, Any], hashed: bool) -> list[str]:
    if not name:
        return ["it has no name"]
    if session.get("oauth_client_id"):
        return ["an access token of an OAuth2 client: clients get others here"]
    marks = session.get("meta_data")
    if isinstance(marks, Mapping) and "TykJWTSessionID" in marks:
        return ["a session of JSON Web Tokens: the next request with a token has one here"]
    basic = session.get("basic_auth_data")
    password = basic.get("password") if isinstance(basic, Mapping) else None
    kind = str(basic.get("hash_type") or "") if isinstance(basic, Mapping) else ""
    if password and not kind and str(password).startswith("$2"):
        kind = "bcrypt"
    if password and kind:
        return [_NOT_CHECKED.format(kind=kind[:20])]
    if password and hashed:
        return ["a user: only the hash of the name is there; create the user with `keys user`"]
    if not any(session.get(field) for field in ("access_rights", "apply_policies", "apply_policy_id")):
        return ["it has no rights, so it would open every API of this gateway: give it rights there, or create it here"]
    if session.get("certificate"):
        return ["a key of a client certificate: store the certificate, and create the key here"]
    if hashed and len(name) != _SHA256:
        return [
            f"only a hash of its secret is there (murmur3, {len(name) * 4} bits), which opens nothing here: give its client another key; "
            "a Tyk that does not hash its keys: --plain-keys"
        ]
    return []
