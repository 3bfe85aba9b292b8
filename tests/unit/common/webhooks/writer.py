"""One of two processes that write the same event at the same time: `writer.py DATABASE_URL NAME`, prints how many were fresh."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))

from services.common.core_database import CoreDatabase
from services.common.webhooks.outbox import Call
from services.common.webhooks.store import StoredOutbox
from tests.unit.common.webhooks.example_tables import TABLES

THREADS = 30


def main(url: str, name: str) -> None:
    outbox = StoredOutbox(CoreDatabase(url), TABLES)
    start = threading.Barrier(THREADS + 1)
    fresh = {"shared": 0, "own": 0}
    lock = threading.Lock()

    def call(number: int, mark: str) -> Call:
        return Call(f"{name}-{number}-{mark[:3]}", "h", "http://x", "E", "a", "POST", "http://x/", (), "{}", (mark,), 60.0)

    def write(number: int) -> None:
        own, shared = call(number, f"own-{name}-{number}"), call(number, "shared")
        start.wait()
        # in both orders, as batches of two workers may come
        written = outbox.put([own, shared] if number % 2 else [shared, own], time.time())
        with lock:
            fresh["own"] += 1
            fresh["shared"] += written - 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    sys.stdin.readline()
    start.wait()
    for thread in threads:
        thread.join()
    print(json.dumps(fresh), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
