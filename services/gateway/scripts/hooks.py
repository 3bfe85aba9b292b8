"""Runs the scripts of one place in the chain, one after another: each sees what those before it changed."""

from __future__ import annotations

from collections.abc import Awaitable

from services.gateway.definitions.model import ScriptKind, ScriptSet
from services.gateway.exchange import Exchange, Reply
from services.gateway.scripts.request_objects import apply, changed_meta, request_json, session_json
from services.gateway.scripts.scripts import Out, Running, Scripts


class Hooks:
    """The scripts of one kind of an API. Those of `pre` change the request itself, the others what the upstream gets."""

    __slots__ = ("_before_authentication", "_places", "_running", "_scripts")

    def __init__(self, scripts: Scripts, running: Running, kind: ScriptKind) -> None:
        self._scripts = scripts
        self._running = running
        self._places = tuple((running.place(script), script.with_session) for script in running.of(kind))
        self._before_authentication = kind == "pre"

    @classmethod
    def of(cls, kind: ScriptKind, spec: ScriptSet, scripts: Scripts) -> Hooks | None:
        """Load the scripts of an API; return those of a kind, None when there are none. Raises Mistakes."""
        running = scripts.load(spec)
        return None if running is None or not running.of(kind) else cls(scripts, running, kind)

    @property
    def running(self) -> Running:
        """Return the scripts of the API."""
        return self._running

    def on_request(self, exchange: Exchange) -> Reply | Awaitable[Reply | None] | None:
        if exchange.body is None and exchange.body_length == 0:
            return self._go_on(exchange, b"", 0)
        return self._with_body(exchange)

    async def _with_body(self, exchange: Exchange) -> Reply | None:
        answer = self._go_on(exchange, await exchange.read_body(), 0)
        return answer if answer is None or isinstance(answer, Reply) else await answer

    def _go_on(self, exchange: Exchange, body: bytes, first: int) -> Reply | Awaitable[Reply | None] | None:
        for index in range(first, len(self._places)):
            place, with_session = self._places[index]
            body = body if exchange.body is None else exchange.body
            request = request_json(exchange, body, before_authentication=self._before_authentication)
            out = self._running.run(place, request, session_json(exchange.key) if with_session else "")
            if not isinstance(out, dict):
                return self._later(exchange, out, index, body)
            reply = self._applied(exchange, out, body)
            if reply is not None:
                return reply
        return None

    async def _later(self, exchange: Exchange, out: Awaitable[Out], index: int, body: bytes) -> Reply | None:
        reply = self._applied(exchange, await out, body)
        if reply is not None:
            return reply
        answer = self._go_on(exchange, body, index + 1)
        return answer if answer is None or isinstance(answer, Reply) else await answer

    def _applied(self, exchange: Exchange, out: Out, body: bytes) -> Reply | None:
        reply = apply(exchange, out, body, before_authentication=self._before_authentication)
        if "meta" in out:
            meta = changed_meta(exchange, out)
            if meta is not None and exchange.key is not None:
                self._scripts.save_meta(exchange.key, meta)
        return reply
