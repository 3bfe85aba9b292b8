"""Collects events of the gateway (such as refusals) and passes them to their handlers; requests never wait for it.

`refused` runs on the event loop and only queues the event; a thread writes it to the outbox within a moment, and a courier makes the calls.
"""

from __future__ import annotations

import datetime as dt
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from services.common import logging as logs
from services.common.core_database import is_transient, is_unavailable
from services.common.webhooks.courier import Courier
from services.common.webhooks.metrics import CourierMetrics
from services.common.webhooks.outbox import Call, Outbox, lane_of, new_id
from services.gateway.definitions.model import LOG, SCRIPT, EventHandler
from services.gateway.events import messages
from services.gateway.exchange import CompiledApi, Exchange
from services.gateway.refusals import Refusal
from services.gateway.threads import in_thread

log = logs.get(__name__)

_MOST_WAITING: Final = 10_000
_BATCH: Final = 200
_FLUSH_WITHIN: Final = 10.0


# (API, handler, name of the event, metadata, time). From any thread; never blocks.
TellScript = Callable[[CompiledApi, EventHandler, str, Mapping[str, str], str], None]


def _nobody(api: CompiledApi, handler: EventHandler, name: str, metadata: Mapping[str, str], at: str) -> None:
    """Tell no script."""


class Events:
    """One for each worker. dropped: events that were lost because the outbox could not take them fast enough.

    tell_script: tells a handler that is a script.
    """

    def __init__(self, outbox: Outbox, courier: Courier, templates: messages.Templates, *, now: Callable[[], float] = time.time) -> None:
        self.outbox = outbox
        self._courier = courier
        self._templates = templates
        self._now = now
        self.tell_script: TellScript = _nobody
        self._waiting: queue.Queue[tuple[messages.Event, tuple[EventHandler, ...]] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._stopping = threading.Event()
        self.dropped = 0

    @property
    def metrics(self) -> CourierMetrics:
        """What becomes of the calls."""
        return self._courier.metrics

    async def start(self) -> None:
        self._thread.start()
        self._courier.start()

    async def stop(self) -> None:
        """Write what was noted, and wait a moment for the calls under way."""
        await in_thread(self._stop)

    def _stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:  # it was started
            deadline = time.monotonic() + _FLUSH_WITHIN
            try:
                self._waiting.put(None, timeout=_FLUSH_WITHIN)
            except queue.Full:
                pass
            self._thread.join(max(0.0, deadline - time.monotonic()))
            if self._thread.is_alive():
                log.error("events lost", reason="the outbox was not written in time", events=self._waiting.qsize())
        self._courier.stop()

    def refused(self, exchange: Exchange, refusal: Refusal) -> None:
        """Note that a request was refused. On the event loop; never blocks."""
        api = exchange.api
        handlers = api.event_handlers.get(refusal.kind.event or "") if api is not None and api.event_handlers else None
        if handlers:
            self._note(api, messages.of_refusal(exchange, refusal, self._stamp()), handlers)

    def tell(self, exchange: Exchange, event: str, metadata: Mapping[str, str]) -> None:
        """Note what a request caused that refuses nothing (`TriggerExceeded`). On the event loop; never blocks."""
        api = exchange.api
        handlers = api.event_handlers.get(event) if api is not None and api.event_handlers else None
        if handlers:
            self._note(api, messages.of_request(exchange, event, metadata, self._stamp()), handlers)

    def fire(self, event: str, api: CompiledApi | None, metadata: Mapping[str, Any]) -> None:
        """Note that something else happened (`TokenCreated`, …). From any thread; never blocks."""
        handlers = api.event_handlers.get(event) if api is not None else None
        if api is not None and handlers:
            told = messages.Event(event, api.api_id, self._stamp(), {name: str(value) for name, value in metadata.items()})
            self._note(api, told, handlers)

    def pending(self) -> int:
        """Return how many events are not in the outbox yet."""
        return self._waiting.qsize()

    def wake(self) -> None:
        """Tell the courier that somebody else put calls into the outbox."""
        self._courier.wake()

    def _stamp(self) -> str:
        return dt.datetime.fromtimestamp(self._now(), dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _note(self, api: CompiledApi | None, event: messages.Event, handlers: tuple[EventHandler, ...]) -> None:
        scripts = [handler for handler in handlers if handler.handler_name == SCRIPT]
        if scripts and api is not None:
            for handler in scripts:
                self.tell_script(api, handler, event.name, event.metadata, event.at)
            handlers = tuple(handler for handler in handlers if handler.handler_name != SCRIPT)
            if not handlers:
                return
        try:
            self._waiting.put_nowait((event, handlers))
        except queue.Full:
            if not self.dropped:
                log.error("events lost", reason="the outbox cannot be written fast enough")
            self.dropped += 1

    def _run(self) -> None:
        ended = False
        while not ended:
            noted = [self._waiting.get()]
            while len(noted) < _BATCH:
                try:
                    noted.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            ended = None in noted
            calls: list[Call] = []
            for one in noted:
                if one is not None:
                    try:
                        calls += self._calls(*one)
                    except Exception as error:  # one event that cannot be told must not end the telling of all others
                        self._lost(1, "an event cannot be told", error)
            if calls:
                self._write(calls)

    def _calls(self, event: messages.Event, handlers: tuple[EventHandler, ...]) -> list[Call]:
        calls = []
        metadata = event.metadata
        for handler in handlers:
            if handler.handler_name == LOG:
                line = ":".join((handler.prefix, event.name, metadata.get("Message", "")))
                log.info(
                    line, key_id=metadata.get("Key", ""), origin=metadata.get("Origin", ""), path=metadata.get("Path", ""), api=event.api_id
                )
                continue
            hook = handler.id or handler.target_path
            calls.append(
                Call(
                    id=new_id(),
                    hook_id=handler.id,
                    lane=lane_of(handler.target_path),
                    event=event.name,
                    subject=event.api_id,
                    method=handler.method,
                    url=handler.target_path,
                    headers=handler.header_map,
                    body=messages.body(event, self._templates.get(handler.template_path)),
                    mark=(
                        hook,
                        handler.method,
                        handler.target_path,
                        event.name,
                        event.api_id,
                        metadata.get("Key", ""),
                        metadata.get("Path", ""),
                        *(metadata[name] for name in messages.TELLING_APART if name in metadata),
                    ),
                    told_for=float(max(handler.event_timeout, 0)),
                )
            )
        return calls

    def _write(self, calls: list[Call]) -> None:
        """Write calls, again until it is done or the worker stops: the outbox may be away for a while."""
        pause, told = 0.1, False
        while True:
            try:
                if self.outbox.put(calls, self._now()):
                    self._courier.wake()
                return
            except Exception as error:
                if not (is_unavailable(error) or is_transient(error)):
                    self._write_singly(calls, error)
                    return
                if not told:
                    log.error("outbox not written; trying again", error=type(error).__name__, events=len(calls))
                told = True
                if self._stopping.wait(pause):
                    self._lost(len(calls), "the outbox cannot be written", error)
                    return
                pause = min(pause * 2, 5.0)

    def _write_singly(self, calls: list[Call], error: Exception) -> None:
        """Write calls one by one, so that only those that the database refuses are lost."""
        if len(calls) == 1:
            self._lost(1, "the outbox does not take it", error)
        else:
            for call in calls:
                self._write([call])

    def _lost(self, count: int, why: str, error: Exception) -> None:
        self.dropped += count
        log.error("events lost", reason=why, events=count, error=type(error).__name__)
