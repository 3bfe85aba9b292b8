"""Every way the service says no. The texts are the original system's, which clients compare; our own are marked so."""

from __future__ import annotations

from services.common.refusal import Refusal


def invalid_auth() -> Refusal:
    return Refusal(401, "invalid auth", headers={"WWW-Authenticate": "Bearer"})


def not_yet_active() -> Refusal:
    return Refusal(401, "token not yet active", headers={"WWW-Authenticate": "Bearer"})


def token_expired() -> Refusal:
    return Refusal(401, "token expired", headers={"WWW-Authenticate": "Bearer"})


def wrong_subject() -> Refusal:
    return Refusal(403, "wrong subject")


def subject_expired() -> Refusal:
    return Refusal(403, "subject expired")


def auth_unavailable() -> Refusal:
    """Ours: the service knows no key of auth, and auth does not answer."""
    return Refusal(503, "auth unavailable", headers={"Retry-After": "2"})


def id_missing() -> Refusal:
    return Refusal(400, "id missing")


def token_not_found() -> Refusal:
    return Refusal(404, "token not found")


def need_start() -> Refusal:
    return Refusal(400, "need offset, start_id or end_id")


def count_out_of_range() -> Refusal:
    return Refusal(400, "count out of range")


def offset_out_of_range() -> Refusal:
    return Refusal(400, "offset out of range")


def invalid_newest_first() -> Refusal:
    """Ours."""
    return Refusal(400, "invalid newest_first")


def attributes_missing() -> Refusal:
    return Refusal(400, "required attribute(s) missing")


def invalid_json() -> Refusal:
    """Ours."""
    return Refusal(400, "invalid json")


def invalid_svg(reason: str) -> Refusal:
    """Ours."""
    return Refusal(400, f"invalid svg: {reason}", "invalid-svg")


def body_too_large() -> Refusal:
    return Refusal(413, "body too large")


def invalid_idempotency_key() -> Refusal:
    """Ours."""
    return Refusal(400, "invalid Idempotency-Key: 1 to 255 printable ASCII characters", "invalid-idempotency-key")


def idempotency_key_reused() -> Refusal:
    """Ours: the same key came with another body."""
    return Refusal(422, "Idempotency-Key was used with another token", "idempotency-key-reused")


def confirm_missing() -> Refusal:
    """Ours: emptying the archive asks for a second word."""
    return Refusal(400, "confirm=all required")


def width_out_of_range(widths: tuple[int, ...]) -> Refusal:
    """Ours."""
    return Refusal(400, f"width must be one of {', '.join(map(str, widths))}", "width-out-of-range")


def renderer_missing() -> Refusal:
    """Ours: the machine has no library that draws."""
    return Refusal(501, "png rendering is not available here")


def renderer_busy() -> Refusal:
    """Ours."""
    return Refusal(503, "renderer busy", headers={"Retry-After": "2"})


def too_many_old() -> Refusal:
    """Ours: SVGs that older rules wrote are cleaned when they are first read, one after the other."""
    return Refusal(503, "too many old tokens at once", headers={"Retry-After": "2"})


def not_renderable() -> Refusal:
    return Refusal(500, "other error", "not-renderable")


def queue_limit_reached() -> Refusal:
    return Refusal(423, "queue limit reached")


def keywords_missing() -> Refusal:
    return Refusal(400, "keywords missing")


def three_keywords_needed() -> Refusal:
    return Refusal(400, "exactly three keywords needed")


def not_found() -> Refusal:
    return Refusal(404, "not found")


def already_deposited() -> Refusal:
    return Refusal(400, "already deposited")


def expired() -> Refusal:
    return Refusal(400, "expired")


def invalid_timestamp() -> Refusal:
    return Refusal(400, "invalid timestamp")


def invalid_since() -> Refusal:
    """Ours."""
    return Refusal(400, "invalid since")


def position_or_token_required() -> Refusal:
    return Refusal(400, "queue_position or token_id required")


def invalid_queue_position() -> Refusal:
    return Refusal(400, "invalid queue_position")


def interaction_not_found() -> Refusal:
    return Refusal(404, "interaction not found")


def already_done() -> Refusal:
    """Ours: a finished interaction is not put back into the queue."""
    return Refusal(409, "already done")


def too_many_polls() -> Refusal:
    """Ours: this process holds as many polls as its limit allows."""
    return Refusal(503, "too many waiting requests", headers={"Retry-After": "2"})
