"""What can go wrong between a request and its upstream's answer, as refusals.

A client is told which limit it was, how long it is and which field of the definition sets it. Only the access log says which upstream it
was.
"""

from __future__ import annotations

from services.gateway import client_faults
from services.gateway.exchange import Exchange, Target, Timeouts
from services.gateway.refusals import UPSTREAM_BROKEN, UPSTREAM_KEY_WRONG, UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE, Refusal, counted
from services.gateway.wire.bodies import BadBody, BodyTooLarge
from services.gateway.wire.connection import Connection, TimedOut
from services.gateway.wire.heads.responses import BadAnswer
from services.gateway.wire.upstreams import Unreachable, WrongKey, name_of


def refusal(error: BadAnswer | BadBody | BodyTooLarge | TimedOut) -> Refusal:
    """Return the refusal for what a client's body or an upstream's head raised."""
    if isinstance(error, BadAnswer):
        return Refusal(UPSTREAM_BROKEN, detail=f"The answer of the upstream is not valid HTTP: {error}.")
    return client_faults.of_body(error)


def unreachable(exchange: Exchange, target: Target, error: Unreachable) -> Refusal:
    """Return the refusal when no connection to an upstream can be made."""
    _note(exchange, name_of(target.origin))
    return Refusal(UPSTREAM_KEY_WRONG if isinstance(error, WrongKey) else UPSTREAM_UNREACHABLE, detail=str(error))


def no_connection(exchange: Exchange, target: Target, timeouts: Timeouts) -> Refusal:
    """Return the refusal when an upstream accepts no connection in time."""
    _note(exchange, name_of(target.origin), "connect")
    return _timeout("The upstream accepted no connection", timeouts.connect, timeouts.connect_set_by)


def broken(upstream: Connection, exchange: Exchange) -> Refusal:
    """Return the refusal when an upstream ends the connection without an answer."""
    _note(exchange, upstream.peer)
    return Refusal(UPSTREAM_BROKEN)


def no_answer(
    error: BadAnswer | BadBody | BodyTooLarge | TimedOut, client: Connection, upstream: Connection, exchange: Exchange, timeouts: Timeouts
) -> Refusal:
    """Return the refusal when no head of an answer came: because of the client when it is its body that was waited for."""
    if not isinstance(error, TimedOut):
        if isinstance(error, BadAnswer):
            _note(exchange, upstream.peer)
        return refusal(error)
    if error.connection is client:
        return refusal(error)
    if client.sink is upstream:  # the body of the request was still on its way
        _note(exchange, upstream.peer, "request body")
        return _timeout("The upstream took nothing of the request's body", client.idle_timeout, "")
    _note(exchange, upstream.peer, "first byte")
    return _timeout("The upstream did not begin its answer", timeouts.first_byte, timeouts.first_byte_set_by)


def paused(upstream: Connection, exchange: Exchange, timeouts: Timeouts) -> Refusal:
    """Return the refusal when an answer breaks off because the upstream sends nothing more."""
    _note(exchange, upstream.peer, "idle")
    return _timeout("The upstream sent nothing more of its answer", timeouts.idle, timeouts.idle_set_by)


def _timeout(what: str, seconds: float, set_by: str) -> Refusal:
    """Return the refusal of a time limit. set_by: the field of the definition, "" = none does."""
    source = f"{set_by} in the API's definition" if set_by else "which is fixed"
    return Refusal(UPSTREAM_TIMEOUT, detail=f"{what} within {counted(seconds, 'second')}, {source}.")


def _note(exchange: Exchange, upstream: str, limit: str = "") -> None:
    """Note for the access log which upstream failed. limit: the time limit that ended the request, "" = none."""
    exchange.upstream = upstream
    exchange.limit = limit
