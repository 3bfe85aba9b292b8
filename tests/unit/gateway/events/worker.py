"""A worker that is told of one refusal and then killed: `worker.py DATABASE_URL TARGET deliver|hold`."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[4]))

from services.common.core_database import CoreDatabase
from services.common.webhooks.courier import Courier
from services.gateway.definitions.model import WEBHOOK, EventHandler
from services.gateway.events import messages
from services.gateway.events.events import Events
from services.gateway.exchange import Exchange
from services.gateway.refusals import QUOTA_EXCEEDED, Refusal
from services.gateway.stores.events import Outbox
from services.gateway.wire.heads.requests import HeaderSection


def main(url: str, target: str, what: str) -> None:
    outbox = Outbox(CoreDatabase(url))
    courier: Any = Courier(outbox, lambda _: "", (ip_network("127.0.0.0/8"),))
    if what == "hold":
        courier = SimpleNamespace(start=lambda: None, wake=lambda: None)
    told = Events(outbox, courier, messages.Templates(Path("/nowhere")))
    asyncio.run(told.start())
    exchange = Exchange("GET", "/one/a", "", HeaderSection.of([]), "127.0.0.1", "127.0.0.1", "r1", 0.0)
    handler = EventHandler(WEBHOOK, id="h1", target_path=target, event_timeout=600)
    api: Any = SimpleNamespace(api_id="one", event_handlers={"QuotaExceeded": (handler,)})
    exchange.api = api
    told.refused(exchange, Refusal(QUOTA_EXCEEDED))
    while outbox.page(None, 0, 1)[1] == 0:
        time.sleep(0.01)
    print("written", flush=True)
    threading.Event().wait(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
