"""Every way the service says no: plain text, which clients show to people. The texts in capitals are the original's.

Status numbers are today's; `web.render_error` answers 400 for missing rights and bad tokens while the setting `strict_status` says `seed`.
The header `X-Status-Detail` always has the original server's own number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.common.refusal import Refusal

DETAIL = "X-Status-Detail"
CHALLENGE = 'Basic realm="Gatehouse sessions", charset="UTF-8"'


def credentials_needed() -> Refusal:
    """No credential, at an address that needs a user's."""
    return Refusal(
        401,
        "Log in with the name and the password, or the login key, of your account.",
        "credentials-needed",
        headers={"WWW-Authenticate": CHALLENGE},
    )


def credentials_invalid(reason: str) -> Refusal:
    """reason: auth's."""
    return Refusal(401, reason, "credentials-invalid", headers={"WWW-Authenticate": CHALLENGE})


def too_many_failures(reason: str, headers: Mapping[str, str]) -> Refusal:
    """Too many wrong passwords. reason, headers: auth's."""
    return Refusal(429, reason, "too-many-failures", headers=headers)


def auth_unavailable() -> Refusal:
    """The auth service does not answer."""
    return Refusal(503, "Accounts cannot be checked now; try again.", "auth-unavailable", headers={"Retry-After": "1"})


def insufficient_rights(needed: str = "") -> Refusal:
    """needed: what would be enough, for the reader."""
    text = f"INSUFFICIENT_RIGHTS: {needed}" if needed else "INSUFFICIENT_RIGHTS"
    return Refusal(403, text, "insufficient-rights", headers={DETAIL: "403"})


def invalid_token() -> Refusal:
    """No session token, or one that no session has."""
    return Refusal(401, "INVALID_TOKEN", "invalid-token", headers={DETAIL: "498"})


def session_ended() -> Refusal:
    """The token of a session that has ended."""
    return Refusal(404, "INVALID_TOKEN", "session-ended", headers={DETAIL: "497"})


def client_released() -> Refusal:
    """This client was released, or its session has ended meanwhile: it must stop."""
    return Refusal(410, "CLIENT_RELEASED", "client-released", headers={DETAIL: "495"})


def cross_site() -> Refusal:
    """A browser sends this from another site's page."""
    return Refusal(403, "This request comes from a page of another site.", "cross-site")


def form_expired() -> Refusal:
    """The token in a form is not this caller's, or old."""
    return Refusal(403, "This form is no longer valid. Load the page again and send it once more.", "form-expired")


def invalid_request(what: str, field: str = "", hint: str = "") -> Refusal:
    """what: is wrong, where, and what to do. field: of a form. hint: what stands beside that field; `what` when it is left out."""
    return Refusal(400, f"INVALID_REQUEST: {what}", "invalid-request", fields={field: hint or what} if field else None)


def unsupported_media_type() -> Refusal:
    return Refusal(415, "Send JSON (Content-Type: application/json) or a form.", "unsupported-media-type")


def not_acceptable(formats: Sequence[str]) -> Refusal:
    """formats: that this address can be shown in."""
    return Refusal(406, f"This address has no such format. It has: {', '.join(formats)}.", "not-acceptable")


def no_such(what: str, name: object) -> Refusal:
    """what: `project`, `session`, `event`, `list`, `item`. name: as the client gave it."""
    return Refusal(404, f"There is no {what} {str(name)[:100]!r}.", f"no-such-{what.replace(' ', '-')}")


def conflict(reason: str) -> Refusal:
    """reason: a sentence about what stands in the way."""
    return Refusal(409, reason, "conflict")


def too_many_polls() -> Refusal:
    """All places of long polls are taken in this process."""
    return Refusal(503, "Too many clients wait for updates. Try again.", "too-many-polls", headers={"Retry-After": "1"})


def full() -> Refusal:
    """As many sessions run as may."""
    return Refusal(503, "The server is full. Try again when a session has ended.", "full", headers={DETAIL: "599", "Retry-After": "60"})


def fair_use() -> Refusal:
    """Few places are left, and this domain has sessions already."""
    return Refusal(
        503,
        "The server is nearly full, and your domain already runs two sessions. Close one, or try again later.",
        "fair-use",
        headers={DETAIL: "598", "Retry-After": "60"},
    )
