"""What is wrong with what a client sent, as refusals: wire/ raises errors of its own, which know nothing of gateways."""

from __future__ import annotations

from typing import Final

from services.gateway.refusals import (
    AMBIGUOUS_LENGTH,
    BAD_HEADER,
    BAD_HOST,
    BODY_TOO_LARGE,
    HEAD_TOO_LARGE,
    MALFORMED_REQUEST,
    METHOD_NOT_SUPPORTED,
    REQUEST_TIMEOUT,
    TARGET_TOO_LONG,
    UNSUPPORTED_VERSION,
    Refusal,
)
from services.gateway.wire.bodies import BadBody, BodyTooLarge
from services.gateway.wire.connection import TimedOut
from services.gateway.wire.heads.faults import BadRequest, Fault

_KINDS: Final = {
    Fault.MALFORMED: MALFORMED_REQUEST,
    Fault.AMBIGUOUS_LENGTH: AMBIGUOUS_LENGTH,
    Fault.BAD_HEADER: BAD_HEADER,
    Fault.BAD_HOST: BAD_HOST,
    Fault.HEAD_TOO_LARGE: HEAD_TOO_LARGE,
    Fault.TARGET_TOO_LONG: TARGET_TOO_LONG,
    Fault.METHOD_NOT_SUPPORTED: METHOD_NOT_SUPPORTED,
    Fault.UNSUPPORTED_VERSION: UNSUPPORTED_VERSION,
}


def of_head(error: BadRequest) -> Refusal:
    """Return the refusal of a request whose head is not acceptable."""
    return Refusal(_KINDS[error.fault], detail=error.detail)


def of_body(error: BadBody | BodyTooLarge | TimedOut, limit: int | None = None) -> Refusal:
    """Return the refusal of a request whose body is malformed, too large or too slow. limit: bytes that are allowed, to be told."""
    if isinstance(error, TimedOut):
        return Refusal(REQUEST_TIMEOUT)
    if isinstance(error, BodyTooLarge):
        return Refusal(BODY_TOO_LARGE, detail=None if limit is None else f"At most {limit} bytes are allowed here.")
    return Refusal(MALFORMED_REQUEST, detail=f"The body of the request is malformed: {error}.")
