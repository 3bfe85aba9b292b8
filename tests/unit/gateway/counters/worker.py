"""A process with counters of its own on a shared Valkey.

`python -m …worker URL CLIENTS EACH COUNTER LIMIT` says `ready`, waits for a line, takes, and prints how many passed and how many uncounted.
"""

from __future__ import annotations

import asyncio
import sys
from unittest.mock import patch

from services.gateway.counters import resp
from services.gateway.counters.valkey import ValkeyCounters
from tests.unit.gateway.counters.asking import started, takers


async def main(url: str, clients: int, each: int, counter: str, limit: int) -> None:
    async with started(ValkeyCounters(url)) as counters:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        admitted = await takers(counters, clients, each, counter, limit, 60)
        print(admitted, counters.uncounted, flush=True)


if __name__ == "__main__":
    with patch.object(resp, "ANSWER_S", 20.0):  # a busy machine is not a server that hangs
        asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])))
