"""The answer of an upstream as scripts see it, and what becomes of what they changed."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from services.common.header_names import FRAMING
from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.scripts.request_objects import headers_json, headers_of_answer, request_json, unusable
from services.gateway.scripts.scripts import Out
from services.gateway.wire.heads.names import OF_BODY

_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}


def answer_json(exchange: Exchange, head: ResponseHead, body: bytes) -> str:
    """Return Tyk's response object and the request that was sent, as JSON."""
    return '{"Response":{"StatusCode":%d,"Headers":%s,"Body":%s},"Request":%s}' % (  # noqa: UP031 (as fast as it gets)
        head.status,
        headers_json(head.headers),
        json.dumps(body.decode("utf-8", "replace")),
        request_json(exchange, b"", before_authentication=False),
    )


def apply_to_answer(exchange: Exchange, head: ResponseHead, out: Out, body: bytes) -> bytes:
    """Apply what a script changed to the head; return the body. Raises Refusal(script-failed) when it cannot be used."""
    try:
        status = int(out.get("status") or head.status)
        if not 200 <= status <= 599:
            raise ValueError(f"StatusCode is {status}, not a status from 200 to 599")
        added = headers_of_answer(out.get("set") or {})
        gone = {str(name).lower().encode("latin-1", "replace") for name in out.get("del") or ()} - {one.encode() for one in FRAMING}
    except (ValueError, TypeError, OverflowError) as error:
        raise unusable(exchange, str(error)) from None
    if status != head.status:
        head.status, head.reason = status, _REASONS.get(status, b"Unknown")
    if "body" in out:
        body = str(out["body"]).encode("utf-8", "replace")
        gone |= OF_BODY
    gone |= {name.lower() for name, _ in added}
    if gone:
        head.headers = [header for header in head.headers if header[0].lower() not in gone]
    head.headers += added
    return body
