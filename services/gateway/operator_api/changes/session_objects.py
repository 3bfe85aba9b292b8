"""Session objects as they are stored and shown, and how secrets are created."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any, Final

from services.gateway.definitions.reader import Mistake, Mistakes
from services.gateway.keys.passwords import hash_password

_LONGEST_NAME: Final = 256


def complete(session: dict[str, Any], before: Mapping[str, Any] | None, org_id: str, *, needs_secret: bool) -> dict[str, Any]:
    """Add what the server knows when a session is saved: the organisation, an HMAC secret where there was none, the hash of a password.

    before: the session that is replaced; the store keeps a password that the caller left out. needs_secret: whether requests of the key may
    be signed, and there is nothing to sign them with.
    """
    session["org_id"] = session.get("org_id") or (before or {}).get("org_id") or org_id
    if needs_secret and not session.get("hmac_string"):
        session["hmac_string"] = new_hmac_string()
    basic = session.get("basic_auth_data")
    password = basic.get("password") if isinstance(basic, Mapping) else None
    if password:
        session["basic_auth_data"] = {"password": hash_password(password), "hash_type": "argon2id"}
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
