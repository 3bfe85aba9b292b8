"""Every way the service says no. Texts and codes are stable: clients compare them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from services.common.refusal import Refusal

INVALID_FIELDS = ("some fields are not valid", "invalid-fields")  # text and code, also of what flask-smorest refuses
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="gatehouse"'}


def invalid_credentials() -> Refusal:
    """Refuse an unknown user, a wrong password and a disabled user in the same words."""
    return Refusal(401, "invalid credentials", "invalid-credentials", headers=_CHALLENGE)


def login_key_expired() -> Refusal:
    """Refuse a right login key after its end: only its holder hears this."""
    return Refusal(401, "login key expired, log in with the password", "login-key-expired", headers=_CHALLENGE)


def credentials_missing() -> Refusal:
    return Refusal(401, "credentials missing: send Authorization: Bearer <token>", "credentials-missing", headers=_CHALLENGE)


def token_invalid() -> Refusal:
    return Refusal(401, "invalid token", "invalid-token", headers={"WWW-Authenticate": 'Bearer realm="gatehouse", error="invalid_token"'})


def token_expired() -> Refusal:
    return Refusal(401, "token expired", "token-expired", headers={"WWW-Authenticate": 'Bearer realm="gatehouse", error="invalid_token"'})


def token_not_yet_active() -> Refusal:
    return Refusal(401, "token not yet active", "token-not-yet-active", headers=_CHALLENGE)


def token_revoked() -> Refusal:
    return Refusal(401, "token revoked", "token-revoked", headers=_CHALLENGE)


def subject_expired() -> Refusal:
    return Refusal(401, "subject expired", "subject-expired", headers=_CHALLENGE)


def user_unknown() -> Refusal:
    """Refuse a user who is gone, disabled, or never was."""
    return Refusal(401, "unknown user", "unknown-user", headers=_CHALLENGE)


def not_a_service() -> Refusal:
    return Refusal(
        401,
        "client credentials of a service needed",
        "service-credentials-needed",
        headers={"WWW-Authenticate": 'Basic realm="gatehouse services", charset="UTF-8"'},
    )


def too_many_failures(wait_s: float) -> Refusal:
    seconds = max(1, math.ceil(wait_s))
    return Refusal(429, f"too many failures, try again in {seconds} s", "too-many-failures", headers={"Retry-After": str(seconds)})


def busy() -> Refusal:
    return Refusal(503, "too many log-ins at the moment", "busy", headers={"Retry-After": "1"})


def not_allowed(needed: str) -> Refusal:
    return Refusal(403, f"not allowed: needs {needed}", "not-allowed")


def insufficient_scope(needed: str) -> Refusal:
    """Refuse an application that lacks a scope (RFC 6750 3.1)."""
    challenge = f'Bearer realm="gatehouse", error="insufficient_scope", scope="{needed}"'
    return Refusal(
        403,
        f"the application was not allowed this: it needs the scope {needed}",
        "insufficient-scope",
        headers={"WWW-Authenticate": challenge},
    )


def password_needed() -> Refusal:
    return Refusal(403, "not allowed: sign in with the password for this", "password-needed")


def wrong_current_password() -> Refusal:
    return invalid_fields(current_password="Not the current password.")  # noqa: S106  a message


def path_not_found() -> Refusal:
    return Refusal(404, "not found", "not-found")


def not_found(what: str) -> Refusal:
    return Refusal(404, f"{what} not found", "not-found")


def email_taken() -> Refusal:
    return Refusal(409, "e-mail taken", "email-taken")


def name_taken() -> Refusal:
    return Refusal(409, "name taken", "name-taken")


def domain_in_use() -> Refusal:
    return Refusal(409, "domain has users", "domain-in-use")


def last_super_user() -> Refusal:
    return Refusal(409, "the last active super user stays: make another one first", "last-super-user")


def client_in_settings() -> Refusal:
    return Refusal(409, "the settings of the service name this client", "client-in-settings")


def client_is_public() -> Refusal:
    return Refusal(409, "this client is public: it has no secret", "client-is-public")


def changed_meanwhile() -> Refusal:
    return Refusal(412, "changed by somebody else: read it again", "changed-meanwhile")


def invalid_fields(**fields: Any) -> Refusal:
    """Say of each field in a sentence why it is refused."""
    return invalid_document({name: [why] for name, why in fields.items()})


def invalid_document(fields: Mapping[str, Any]) -> Refusal:
    """Refuse what a schema refuses. fields: the schema's messages."""
    return Refusal(422, *INVALID_FIELDS, fields=fields)


def malformed_json() -> Refusal:
    return Refusal(400, "malformed JSON", "malformed-json")


def form_from_elsewhere() -> Refusal:
    return Refusal(403, "This form was sent by another site. Go to the page itself and try again", "form-from-elsewhere")


def cookies_planted() -> Refusal:
    return Refusal(
        403, "Your browser holds cookies for this site that another one has set. Delete its cookies and try again", "cookies-planted"
    )


def form_too_old() -> Refusal:
    return Refusal(403, "This form is too old. Go back, load the page again and try again", "form-too-old")


def signing_key_unreadable() -> Refusal:
    return Refusal(503, "signing key cannot be opened with this master key", "signing-key-unreadable")
