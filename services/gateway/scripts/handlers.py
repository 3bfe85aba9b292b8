"""Runs scripts that handle events (`eh_dynamic_handler`): behind the requests, a bounded number at a time; faults are logged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from services.common import logging as logs
from services.gateway.definitions.model import EventHandler, Script
from services.gateway.exchange import CompiledApi
from services.gateway.refusals import Refusal

log = logs.get(__name__)

_MOST_UNDER_WAY: Final = 200


class Handlers:
    """One for each worker. dropped: events that were lost because too many were under way."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self.dropped = 0

    def start(self) -> None:
        """Note the loop that scripts run on."""
        self._loop = asyncio.get_running_loop()

    def tell(self, api: CompiledApi, handler: EventHandler, name: str, metadata: Mapping[str, str], at: str) -> None:
        """Tell a handler of an event. From any thread; never blocks."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._start, api, handler, name, dict(metadata), at)

    def _start(self, api: CompiledApi, handler: EventHandler, name: str, metadata: dict[str, str], at: str) -> None:
        if len(self._under_way) >= _MOST_UNDER_WAY:
            if not self.dropped:
                log.error("events lost", reason="scripts take longer than events come", api_id=api.api_id)
            self.dropped += 1
            return
        event = {"Type": name, "EventType": name, "Meta": metadata, "EventMetaData": metadata, "TimeStamp": at}
        task = asyncio.ensure_future(self._run(api, handler, event))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _run(self, api: CompiledApi, handler: EventHandler, event: dict[str, Any]) -> None:
        running = api.scripts
        assert running is not None  # compiled with its definition
        script = Script("event", "javascript", handler.name, handler.script)
        try:
            out = running.run(running.place(script), json.dumps(event), json.dumps({"APIID": api.api_id, "OrgID": api.org_id}))
            if not isinstance(out, dict):
                await out
        except Refusal as refusal:
            log.error("event not handled", api_id=api.api_id, handler=handler.name, told=event["Type"], reason=refusal.kind.code)
        except Exception as error:
            log.error("event not handled", api_id=api.api_id, handler=handler.name, told=event["Type"], reason=type(error).__name__)
