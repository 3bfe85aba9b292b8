"""Wait for a condition with a deadline; never sleep for a fixed time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 30.0, what: str = "the condition", pause: float = 0.01) -> T:
    """Call `condition` until it answers something true and return that. Raises AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s; last answer: {found!r}")
        time.sleep(pause)


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
