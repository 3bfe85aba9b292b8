"""Finds the owner of a request and runs its chain: a reply, nothing (the request goes to the upstream), or a Refusal.

Requests of clients and the entries of batches are judged here, the same way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

from services.gateway import start_page
from services.gateway.events.events import Events
from services.gateway.exchange import BATCH_PATH, CompiledApi, Exchange, Reply, Stage
from services.gateway.live import Live
from services.gateway.middleware import oauth_endpoints, rate_limit_status
from services.gateway.refusals import DEFINITIONS_UNAVAILABLE, EXPECTATION_FAILED, KEY_MISSING, NOT_FOUND, OAUTH_TOKEN_MISSING, Refusal
from services.gateway.rendering import render
from services.gateway.routing.listen_paths import relative_path

# Tyk asks nothing of an envelope: up to this size, nothing is asked here, either.
SMALL_ENVELOPE: Final = 64 * 1024
_HELLO: Final = frozenset({"/hello", "/hello/"})
_RETRY: Final = ((b"Retry-After", b"1"),)


class Judge:
    """One for each worker. hello: answers `/hello`."""

    __slots__ = ("_events", "_hello", "_live")

    def __init__(self, live: Live, events: Events, hello: Callable[[], Reply]) -> None:
        self._live = live
        self._events = events
        self._hello = hello

    def decide(self, exchange: Exchange) -> Reply | Awaitable[Reply | None] | None:
        """Find the owner and run its chain: a reply, or None when the request goes to the upstream; Refusal is raised.

        An awaitable of either only where a stage must wait for an answer.
        """
        path = exchange.path
        paths = self._live.current.paths
        placed = paths.placed.get(path)
        if placed is None:
            if path in _HELLO:
                return self._hello()
            placed = paths.place(exchange.host, path)
            if placed is None:
                return self._nobody(exchange)
            if "%" in path:
                check_readings(paths.other_readings(placed[0], exchange.host, path), placed[0])
        api, relative = placed
        exchange.api = api
        exchange.relative = relative
        if exchange.expects and any(value.lower() != b"100-continue" for value in exchange.section.values(b"expect")):
            raise Refusal(EXPECTATION_FAILED)
        if api.batch and relative == BATCH_PATH:
            return self._decide_envelope(exchange, api)
        stages = iter(api.open_stages)
        for stage in stages:
            answer = stage(exchange)
            if answer is not None:
                return answer if isinstance(answer, Reply) else self._decide_later(exchange, answer, stages, api)
        stages = iter(api.late_stages if exchange.ignored else api.closing_stages)
        for stage in stages:
            answer = stage(exchange)
            if answer is not None:
                return answer if isinstance(answer, Reply) else self._decide_later(exchange, answer, stages, None)
        return None

    def owner(self, host: str, path: str) -> CompiledApi | None:
        """Return the API that a host and a path belong to. path: need not be canonical, and then the answer is a guess."""
        return self._live.current.paths.find(host, path)

    def _nobody(self, exchange: Exchange) -> Reply:
        """Answer where no API owns the path. Raises Refusal; a browser at `/` gets a page."""
        kind, headers = (NOT_FOUND, ()) if self._live.current.number else (DEFINITIONS_UNAVAILABLE, _RETRY)
        if exchange.path != "/":
            raise Refusal(kind, headers=headers)
        if not start_page.wanted(exchange.method, exchange.fields.get(b"accept")):
            raise Refusal(kind, headers=(*headers, start_page.VARY))
        exchange.refused = kind.code
        reply = start_page.reply(kind.status)
        reply.headers += headers
        return reply

    def _decide_envelope(self, exchange: Exchange, api: CompiledApi) -> Reply | Awaitable[Reply | None] | None:
        """Judge the envelope of a batch, whose entries are judged one by one. A large one is a request of its own, with a key."""
        small = 0 <= exchange.body_length <= SMALL_ENVELOPE
        stages = iter(api.envelope_stages if small else api.envelope_stages + api.envelope_keyed_stages)
        try:
            for stage in stages:
                answer = stage(exchange)
                if answer is not None:
                    return answer if isinstance(answer, Reply) else self._decide_later(exchange, answer, stages, None)
        except Refusal as refusal:
            if refusal.kind in (KEY_MISSING, OAUTH_TOKEN_MISSING):
                size = SMALL_ENVELOPE // 1024
                raise Refusal(
                    refusal.kind, headers=refusal.headers, detail=f"A batch above {size} KB, or sent in chunks, needs a key itself."
                ) from None
            raise
        return None

    async def _decide_later(
        self, exchange: Exchange, asked: Awaitable[Reply | None], stages: Iterator[Stage], api: CompiledApi | None
    ) -> Reply | None:
        """Go on after a stage that had to wait for an answer. api: given when its closing stages are still to come."""
        reply = await asked
        while reply is None:
            for stage in stages:
                answer = stage(exchange)
                if answer is not None:
                    reply = answer if isinstance(answer, Reply) else await answer
                    if reply is not None:
                        return reply
            if api is None:
                return None
            stages, api = iter(api.late_stages if exchange.ignored else api.closing_stages), None
        return reply

    def refused(self, exchange: Exchange, refusal: Refusal) -> Reply:
        """Render the answer to a refused request, and tell those who asked to hear of it."""
        exchange.refused = refusal.kind.code
        if refusal.kind.event is not None and exchange.api is not None:
            self._events.refused(exchange.inner or exchange, refusal)
        return render(refusal, exchange)


def check_readings(readings: Iterable[str], api: CompiledApi) -> None:
    """Refuse as not found where a reading is a place that the gateway itself answers: the upstream must not be asked for it."""
    for reading in readings:
        # The limits are below the version where the URL names one.
        limits = not api.keyless and reading.endswith(rate_limit_status.PATH)
        tokens = api.oauth and oauth_endpoints.may_be(reading)
        if reading in _HELLO or limits or tokens or (api.batch and relative_path(api, reading) == BATCH_PATH):
            raise Refusal(NOT_FOUND)
