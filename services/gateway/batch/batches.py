"""Batches: several requests to one API in one envelope, `POST {listen_path}tyk/batch/`.

Every entry runs through the API's whole chain in this process, judged by the address of the client that sent the envelope (real Tyk sends
entries from 127.0.0.1, which defeats its own address lists). Each needs its own key and each is charged. All carry the envelope's request
id. The answers stand in the order of the entries. They are collected, so together they are at most as large as an envelope may be: an
answer that does not fit is replaced by a refusal that says so, and the entries that were not sent by then are not sent at all.

The envelope is read after the address list has let its client in; a large one costs more than its entries may, so it needs a key and is
charged like a request. All batches of a worker share one thread that reads them and one budget of memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, Final

from services.gateway import client_faults
from services.gateway.batch import envelope as envelopes
from services.gateway.batch.envelope import Entry
from services.gateway.exchange import BATCH_PATH, Exchange, HandedOver, Looped, Reply
from services.gateway.forwarding.forwarder import Forwarder
from services.gateway.judge import Judge
from services.gateway.loops import Loops, settle
from services.gateway.refusals import BATCH_TOO_LARGE, BATCHES_BUSY, NOT_FOUND, Refusal
from services.gateway.routing.listen_paths import owned_length
from services.gateway.routing.paths import canonical
from services.gateway.threads import Threads
from services.gateway.wire.bodies import BadBody, BodyTooLarge, Budget
from services.gateway.wire.client_connection import ClientConnection
from services.gateway.wire.connection import TimedOut
from services.gateway.wire.heads.faults import BadRequest
from services.gateway.wire.heads.names import FORWARDED
from services.gateway.wire.heads.requests import HeaderSection
from services.gateway.wire.reading import body_of, read_whole

_LARGEST: Final = 10 * 1024 * 1024
_ALL_TOGETHER: Final = 3 * _LARGEST
_WRITTEN_AT_ONCE: Final = 64 * 1024
_AT_ONCE: Final = 10
_ANSWERS: Final = f"The answers of a batch are at most {_LARGEST // 1024 // 1024} MB together."
_CROWDED: Final = "The answers of other batches take all the room."
_ROUTE_FIELDS: Final = FORWARDED | {b"host"}
_TRACE_FIELDS: Final = frozenset({b"traceparent", b"tracestate"})


class Batches:
    """The batches of one worker. log: writes an entry to the access log, with its status, the size of its answer's body, and what it
    came with.
    """

    __slots__ = ("_forwarder", "_judge", "_log", "_loops", "_room", "_thread")

    def __init__(self, judge: Judge, loops: Loops, forwarder: Forwarder, log: Callable[[Exchange, int, int, Entry], None]) -> None:
        self._judge = judge
        self._loops = loops
        self._forwarder = forwarder
        self._log = log
        self._room = Budget(_ALL_TOGETHER)
        self._thread = Threads(1, "batches")

    async def answer(self, envelope: Exchange, connection: ClientConnection) -> Reply:
        """Read a batch and run it. Raises Refusal when the envelope or an entry is malformed; then nothing was run."""
        if envelope.method != "POST":
            return Reply(200, [(b"Content-Type", b"application/json")])  # Tyk's answer to any other method
        loop = connection.sockets.loop
        asked, answered = Budget(_LARGEST, self._room), Budget(_LARGEST, self._room)
        try:
            pieces = await self._read(envelope, connection, asked)
            entries, one_by_one = await envelopes.read(pieces, self._thread)
            del pieces
            gate = asyncio.Semaphore(1 if one_by_one else _AT_ONCE)

            async def run(entry: Entry) -> dict[str, Any]:
                async with gate:
                    return await self._run(envelope, entry, connection, answered)

            # All have ended when their room is given back.
            answers: list[Any] = await asyncio.gather(*(run(entry) for entry in entries), return_exceptions=True)
            for failed in answers:
                if isinstance(failed, BaseException):
                    raise failed
            written = _json(answers) if answered.spent <= _WRITTEN_AT_ONCE else await loop.run_in_executor(self._thread, _json, answers)
            return Reply(200, [(b"Content-Type", b"application/json")], written)
        finally:
            asked.give_all_back()
            answered.give_all_back()

    async def _read(self, envelope: Exchange, connection: ClientConnection, budget: Budget) -> list[bytes]:
        """Read the envelope, in pieces. Raises Refusal, also when the batches of others take all the room."""
        try:
            body = body_of(envelope.body_length, _LARGEST)
            return await read_whole(connection, body, self._forwarder.body_limits, budget, expects=envelope.expects)
        except BodyTooLarge as error:
            if budget.crowded:
                raise Refusal(BATCHES_BUSY, headers=((b"Retry-After", b"1"),)) from None
            raise client_faults.of_body(error, _LARGEST) from None
        except (BadBody, TimedOut) as error:
            raise client_faults.of_body(error) from None

    async def _run(self, envelope: Exchange, entry: Entry, connection: ClientConnection, budget: Budget) -> dict[str, Any]:
        api = envelope.api
        assert api is not None
        base = envelope.path[: owned_length(api, envelope.path)] + "/"
        taken = _ROUTE_FIELDS
        if not any(name.lower() in _TRACE_FIELDS for name, _ in entry.headers):
            taken |= _TRACE_FIELDS
        headers = [(name, value) for name, value in envelope.headers if name.lower() in taken] + entry.headers
        if entry.body:
            headers.append((b"Content-Length", b"%d" % len(entry.body)))
        malformed: Refusal | None = None
        try:
            section = HeaderSection.of(headers)
        except BadRequest as error:
            section, malformed = HeaderSection.of(()), client_faults.of_head(error)
        exchange = Exchange(
            entry.method,
            base,
            "",
            section,
            envelope.peer,
            envelope.client,
            envelope.request_id,
            perf_counter(),
        )
        exchange.secure = envelope.secure
        exchange.certificate = envelope.certificate
        exchange.host = envelope.host
        exchange.body_reader = partial(_at_hand, entry.body)
        try:
            if malformed is not None:
                raise malformed
            if budget.exceeded or budget.crowded:
                raise Refusal(BATCH_TOO_LARGE, detail=f"{_ANSWERS} This entry was not sent.")
            target = base + entry.relative_url.lstrip("/")
            exchange.path, exchange.query = canonical(target.encode("utf-8", "replace"))
            inside = exchange.path.startswith(base) or exchange.path + "/" == base
            if not inside or exchange.path == base[:-1] + BATCH_PATH:
                raise Refusal(NOT_FOUND, detail="An entry stays within the API of its batch, and is not a batch itself.")
            decided = self._judge.decide(exchange)
            reply = decided if decided is None or isinstance(decided, Reply) else await decided
            if exchange.api is not api:
                raise Refusal(NOT_FOUND, detail="An entry stays within the API of its batch.")
            if isinstance(reply, HandedOver):
                raise Refusal(NOT_FOUND, detail="An entry does not ask for tokens.")
            asked = exchange
            if isinstance(reply, Looped):
                asked, reply = await self._loops.follow(exchange, reply)
            if reply is None:
                assert asked.api is not None
                body = entry.body if asked.body is None else asked.body
                status, answered, fetched = await self._forwarder.fetch(connection, asked, asked.api, body, budget)
            else:
                status, answered, fetched = reply.status, reply.headers, reply.body if budget.spend(len(reply.body)) else None
            if fetched is None:
                raise Refusal(
                    BATCH_TOO_LARGE, detail=f"{_CROWDED if budget.crowded else _ANSWERS} This entry was sent, and answered with {status}."
                )
            body = fetched
        except Refusal as refusal:
            reply = self._judge.refused(exchange, refusal)
            status, answered, body = reply.status, reply.headers, reply.body
        settle(exchange)
        self._log(exchange, status, len(body), entry)
        shown: dict[str, list[str]] = {}
        for name, value in answered:
            shown.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        return {"relative_url": entry.relative_url, "code": status, "headers": shown, "body": body.decode("utf-8", "replace")}


async def _at_hand(body: bytes) -> bytes:
    return body


def _json(answers: list[dict[str, Any]]) -> bytes:
    return json.dumps(answers, ensure_ascii=False).encode("utf-8", "replace")
