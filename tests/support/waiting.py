"""Wait for a condition with a deadline; never sleep for a fixed time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 30.0, what: str = "the condition", pause: float = 0.01) -> T:
    """Call `condition` until it returns something true, and return that. Raises AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s; last answer: {found!r}")
        time.sleep(pause)


_PORTS = range(20_000, 32_700)  # below those that the kernel gives to outgoing connections
_claims = Path(tempfile.gettempdir()) / f"gatehouse-ports-{os.getuid()}"


def free_port() -> int:
    """Find a free loopback port that no other call gets, neither in this process nor, while it runs, in another."""
    return free_ports([0])


def free_ports(steps: Sequence[int]) -> int:
    """Find a base so that the ports at these steps from it are free and no other call gets one of them. Return the base."""
    _claims.mkdir(exist_ok=True)
    for base in random.sample(_PORTS, len(_PORTS)):
        with contextlib.ExitStack() as given_back:
            try:
                for step in steps:
                    _claim(base + step, given_back)
            except OSError:
                continue
            given_back.pop_all()  # the claims last until the process ends
            return base
    raise AssertionError("no port is free")


def _claim(port: int, given_back: contextlib.ExitStack) -> None:
    claim = os.open(_claims / str(port), os.O_CREAT | os.O_RDWR)
    given_back.callback(os.close, claim)
    fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    socket.create_server(("127.0.0.1", port)).close()
