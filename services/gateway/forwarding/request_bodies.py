"""Reads whole bodies of requests into memory, for stages that ask for them; all other bodies are streamed.

A body may have as many bytes as `GATEWAY_BODY_READ_LIMIT` and its API allow. All that a worker holds at once share a budget, and a client
address has no more of them under way than of streamed ones.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from services.gateway import client_faults
from services.gateway.exchange import Exchange
from services.gateway.refusals import BODIES_BUSY, TOO_MANY_FROM_ADDRESS, Refusal
from services.gateway.routing.shares import Shares
from services.gateway.wire.bodies import BadBody, BodyTooLarge, Budget
from services.gateway.wire.client_connection import ClientConnection
from services.gateway.wire.connection import TimedOut
from services.gateway.wire.pace import Limits
from services.gateway.wire.reading import body_of, read_whole

ALL_TOGETHER: Final = 64 * 1024 * 1024
MANY: Final = "This address has as many uploads under way as it may; wait for their answers."
_RETRY: Final = ((b"Retry-After", b"1"),)


class RequestBodies:
    """The bodies that one worker reads. largest: bytes of one. room: of all together, and of answers that stages read."""

    __slots__ = ("_held", "_largest", "_limits", "_uploads", "room")

    def __init__(self, limits: Limits, uploads: Shares, largest: int) -> None:
        self._limits = limits
        self._uploads = uploads
        self._largest = largest
        self.room = Budget(ALL_TOGETHER)
        self._held: dict[Exchange, Budget] = {}

    def offer(self, client: ClientConnection, exchange: Exchange) -> None:
        """Let stages read the body of a request that is to be answered; `release` must follow."""
        exchange.body_reader = partial(self._read, client, exchange)

    def release(self, exchange: Exchange) -> None:
        """Give back the room of a body, once its request is answered."""
        held = self._held.pop(exchange, None)
        if held is not None:
            held.give_all_back()

    async def _read(self, client: ClientConnection, exchange: Exchange) -> bytes:
        api = exchange.api
        most = self._largest if api is None or api.body_limit is None else min(self._largest, api.body_limit)
        if not self._uploads.enter(exchange.client):
            raise Refusal(TOO_MANY_FROM_ADDRESS, detail=MANY)
        budget = self._held[exchange] = Budget(most, self.room)
        try:
            pieces = await read_whole(client, body_of(exchange.body_length, most), self._limits, budget, expects=exchange.expects)
        except BodyTooLarge as too_large:
            if budget.crowded:
                raise Refusal(BODIES_BUSY, headers=_RETRY) from None
            raise client_faults.of_body(too_large, most) from None
        except (BadBody, TimedOut) as error:
            raise client_faults.of_body(error) from None
        finally:
            self._uploads.leave(exchange.client)
        if exchange.expects:
            exchange.drop_header(b"expect")
        return b"".join(pieces)
