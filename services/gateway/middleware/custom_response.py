"""Runs the scripts of `custom_middleware.response` on answers of the upstream: they may change the status, headers and the body.

An answer is read whole for them, and then goes out; one that is larger than `GATEWAY_BODY_READ_LIMIT`, or compressed although the upstream
was asked for a plain one, is replaced by an error, and so is one on which a script fails. They see what header fields and templates of the
definition have made of it. The cache keeps what they made; answers of the gateway itself (refusals, replies, virtual endpoints, other
scripts) do not pass them.

Fields:
* `custom_middleware.response` (2.9): Scripts that run on answers, in their order. Differs: Answers of virtual endpoints do not pass them.
* `custom_middleware.response[].name` (2.9, required): As in `pre`; in JavaScript an object with `NewProcessResponse`.
* `custom_middleware.response[].path` (2.9): As in `pre`.
* `custom_middleware.response[].code` (2.9): As in `pre`.
* `custom_middleware.response[].require_session` (2.9): Has no effect: the script always gets the session of the key, as in Tyk.
* `custom_middleware.response[].raw_body_only` (2.9): Has no effect: it belongs to plug-ins by gRPC.
* `custom_middleware.response[].disabled` (5.3): Leaves the script out.
Refusals: script-failed, script-timeout, scripts-busy, upstream-broken.
"""

from __future__ import annotations

from collections.abc import Awaitable

from services.gateway.definitions.model import ScriptSet
from services.gateway.definitions.schema import DefinitionReader
from services.gateway.exchange import Exchange, ResponseHead
from services.gateway.ports import Ports
from services.gateway.refusals import UPSTREAM_BROKEN, Refusal
from services.gateway.scripts.answer_objects import answer_json, apply_to_answer
from services.gateway.scripts.request_objects import session_json
from services.gateway.scripts.scripts import Out, Running


def fields(reader: DefinitionReader) -> ScriptSet | None:
    """Return all scripts of the API; None when none of them is for answers."""
    scripts = reader.definition.scripts
    return scripts if scripts.of("response") else None


def build(spec: ScriptSet, ports: Ports) -> CustomResponse:
    """Load the files. Raises Mistakes."""
    running = ports.scripts.load(spec)
    assert running is not None  # it has those for answers
    return CustomResponse(running)


class CustomResponse:
    """Adds itself to `exchange.answer_transforms`, and asks the upstream for a plain and whole answer."""

    __slots__ = ("_places", "_running")

    def __init__(self, running: Running) -> None:
        self._running = running
        self._places = tuple(map(running.place, running.of("response")))

    def on_request(self, exchange: Exchange) -> None:
        exchange.drop_header(b"accept-encoding")
        exchange.drop_header(b"range")
        exchange.answer_transforms = (*exchange.answer_transforms, self)

    def wants(self, exchange: Exchange, head: ResponseHead) -> bool:
        return True

    def transform(self, exchange: Exchange, head: ResponseHead, body: bytes) -> bytes | Awaitable[bytes]:
        if body and any(name.lower() == b"content-encoding" and value.strip().lower() != b"identity" for name, value in head.headers):
            raise Refusal(UPSTREAM_BROKEN, detail="The upstream's answer is compressed, which it was not asked for.")
        return self._go_on(exchange, head, body, 0)

    def _go_on(self, exchange: Exchange, head: ResponseHead, body: bytes, first: int) -> bytes | Awaitable[bytes]:
        for index in range(first, len(self._places)):
            out = self._running.run(self._places[index], answer_json(exchange, head, body), session_json(exchange.key))
            if not isinstance(out, dict):
                return self._later(exchange, head, body, out, index)
            body = apply_to_answer(exchange, head, out, body)
        return body

    async def _later(self, exchange: Exchange, head: ResponseHead, body: bytes, out: Awaitable[Out], index: int) -> bytes:
        made = self._go_on(exchange, head, apply_to_answer(exchange, head, await out, body), index + 1)
        return made if isinstance(made, bytes) else await made
