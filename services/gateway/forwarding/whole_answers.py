"""Answers whose body a stage needs as a whole: read from the upstream, changed, and written for the client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from services.gateway.exchange import AnswerCopy, AnswerTransform, CompiledApi, Exchange, ResponseHead, Timeouts
from services.gateway.forwarding import faults
from services.gateway.refusals import UPSTREAM_BROKEN, Refusal
from services.gateway.wire.bodies import BadBody, Body, Budget, ChunkedBody, CloseBody, LengthBody
from services.gateway.wire.connection import Closed, TimedOut
from services.gateway.wire.heads.grammar import Header
from services.gateway.wire.heads.responses import ResponseHead as UpstreamHead
from services.gateway.wire.reading import read_whole
from services.gateway.wire.upstream_connection import UpstreamConnection

_NO_TRAILERS: Final[frozenset[bytes]] = frozenset()
# Whose answers have no body, whatever their heads say (RFC 9110, 6.4.1).
BODILESS: Final = frozenset({204, 304})


def changed_head(answer: UpstreamHead, exchange: Exchange, api: CompiledApi) -> tuple[ResponseHead, list[AnswerTransform]]:
    """Return the head as the definition's stages change it, and who changes the body.

    Those count that want it by the upstream's head, too: a Content-Type that a stage sets must not let out what a template leaves out.
    """
    head = ResponseHead(answer.status, answer.reason, fields_of(answer.lines))
    wanted = [one for one in exchange.answer_transforms if one.wants(exchange, head)]
    for stage in api.answer_stages:
        stage(exchange, head)
    outer = exchange.outer
    while outer is not None:
        assert outer.api is not None
        for stage in outer.api.answer_stages:
            stage(outer, head)
        outer = outer.outer
    return head, [one for one in exchange.answer_transforms if one in wanted or one.wants(exchange, head)]


def fields_of(lines: list[bytes]) -> list[Header]:
    """Return lines of a head as names and values."""
    return [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]


def written(headers: Iterable[Header]) -> bytes:
    """Return names and values as lines of a head."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)


async def read_answer(
    upstream: UpstreamConnection, answer: UpstreamHead, exchange: Exchange, timeouts: Timeouts, budget: Budget
) -> tuple[bytes, bool]:
    """Read the body of an answer, whose head is still in the buffer; return it, and whether the connection can be used again.

    Raises Refusal, and BodyTooLarge when the budget is too small for it.
    """
    upstream.take(answer.consumed)
    method = exchange.upstream_method or exchange.method
    body: Body
    if method == "HEAD" or answer.status in BODILESS:
        body = LengthBody(0)
    elif answer.chunked:
        body = ChunkedBody(False, passed=_NO_TRAILERS)
    else:
        body = LengthBody(answer.length) if answer.length >= 0 else CloseBody(False)
    try:
        data = b"".join(await read_whole(upstream, body, budget=budget))
    except TimedOut:
        raise faults.paused(upstream, exchange, timeouts) from None
    except (Closed, BadBody):
        raise Refusal(UPSTREAM_BROKEN) from None
    whole = answer.chunked or answer.length >= 0 or method == "HEAD" or answer.status == 304
    surplus = answer.status == 204 and method != "HEAD" and (answer.chunked or answer.length > 0)
    return data, whole and not surplus and not answer.close


async def transformed(
    transforms: Iterable[AnswerTransform], copies: Iterable[AnswerCopy], exchange: Exchange, head: ResponseHead, body: bytes
) -> bytes:
    """Return the body as the stages change it, and set its length in the head. Raises Refusal."""
    for transform in transforms:
        made = transform.transform(exchange, head, body)
        body = made if isinstance(made, bytes) else await made
    head.headers = [header for header in head.headers if header[0].lower() != b"content-length"]
    # Of the answer to HEAD nobody has seen the body, so its length is not known. A client that waits for a body is told that there is none.
    if head.status not in BODILESS and (body or exchange.method != "HEAD" or exchange.upstream_method not in (None, "HEAD")):
        head.headers.append((b"Content-Length", b"%d" % len(body)))
    for copy in copies:
        if len(body) <= copy.most and copy.wants(exchange, head):
            copy.take(exchange, head, body)
    return body
