"""A Valkey that is measured: what it was asked, and what it spent."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis

from bench.measure.processes import Servers, cpu_seconds, free_port, wait_for_port
from services.gateway.counters.resp import pack
from services.gateway.counters.valkey import SCRIPT
from tests.support.stores import valkey_binary

LINES_OF_AN_ANSWER = 4  # the script answers three numbers for a counter: a line for the list, one for each


@dataclass(frozen=True, slots=True)
class Spent:
    """All since the start. scripts: runs of the counters' script. read, written: bytes of its sockets. kept: of the append-only file."""

    scripts: int = 0
    read: int = 0
    written: int = 0
    kept: int = 0
    cpu_s: float = 0.0

    def since(self, before: Spent) -> Spent:
        return Spent(
            self.scripts - before.scripts,
            self.read - before.read,
            self.written - before.written,
            self.kept - before.kept,
            self.cpu_s - before.cpu_s,
        )


class Valkey:
    """The server of the wheel, with an append-only file that is written to the disk every second."""

    def __init__(self, group: Servers, folder: Path, core: int | None = None) -> None:
        """core: the processor that it is pinned to."""
        folder.mkdir()
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        file = ["--save", "", "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0", "--dir", str(folder)]
        command = [valkey_binary(), "--port", str(self.port), "--bind", "127.0.0.1", *file]
        self.process: psutil.Process = group.start(command, core=core)
        if not wait_for_port(self.port):
            raise RuntimeError("Valkey did not start; see servers.log")
        self._client = redis.Redis.from_url(self.url)

    def spent(self) -> Spent:
        ran = self._client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
        network, file = self._client.info("stats"), self._client.info("persistence")
        return Spent(
            ran,
            network["total_net_input_bytes"],
            network["total_net_output_bytes"],
            file["aof_current_size"],
            sum(cpu_seconds(self.process)),
        )

    def most(self, together: int, connections: int, seconds: float) -> tuple[float, float]:
        """Keep it busy with the counters' script alone; return runs a second and microseconds of CPU a run.

        together: uses that one write brings, as a worker of the gateway writes all of one turn of its loop together.
        """
        sha = self._client.script_load(SCRIPT)
        asked = [
            b"".join(pack("EVALSHA", sha, 1, f"gatehouse:counter:r:{connection}:{use}", 10**9, 60_000, "1") for use in range(together))
            for connection in range(connections)
        ]
        links = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(connections)]
        before, began = self.spent(), time.perf_counter()
        while time.perf_counter() < began + seconds:
            for link, uses in zip(links, asked, strict=True):
                link.sendall(uses)
            for link in links:
                lines = 0
                while lines < LINES_OF_AN_ANSWER * together:
                    lines += link.recv(1 << 20).count(b"\n")
        took, after = time.perf_counter() - began, self.spent().since(before)
        for link in links:
            link.close()
        return after.scripts / took, after.cpu_s / max(1, after.scripts) * 1e6
