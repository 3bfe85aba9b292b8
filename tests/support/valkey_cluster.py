"""A real Valkey cluster of loopback nodes: primaries that share the slots, with a replica each where a test asks for them."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from tests.support.stores import valkey_binary
from tests.support.waiting import free_port, wait_until

SLOTS = 16_384


class Node:
    """One server. port: for clients. bus: for the other nodes."""

    def __init__(self, folder: Path) -> None:
        self.port, self.bus = free_port(), free_port()
        self.folder = folder / str(self.port)
        self.folder.mkdir()
        options = {"port": self.port, "cluster-port": self.bus, "bind": "127.0.0.1", "dir": self.folder, "save": "", "appendonly": "no"}
        options |= {
            "cluster-enabled": "yes",
            "cluster-node-timeout": 500,
            "cluster-require-full-coverage": "no",
            "repl-diskless-sync-delay": 0,
        }
        command = [valkey_binary(), *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port)

    def ask(self, *command: str | int) -> Any:
        return self.client.execute_command(*command)

    def answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False

    def id(self) -> str:
        found: bytes = self.ask("CLUSTER", "MYID")
        return found.decode()

    def is_joined(self, count: int) -> bool:
        """Whether it knows so many nodes, and all slots are held."""
        said = self.client.cluster("info")  # type: ignore[no-untyped-call]
        return (said["cluster_state"], int(said["cluster_known_nodes"])) == ("ok", count)

    def replicates(self) -> bool:
        """Whether it has everything of its primary."""
        return bool(self.client.info("replication").get("master_link_status") == "up")

    def offset(self) -> int:
        """How much of its primary's writes it has; of a primary, how much it has written."""
        said = self.client.info("replication")
        return int(said["slave_repl_offset"] if said["role"] == "slave" else said["master_repl_offset"])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.client.close()
        self.kill()


class Cluster:
    """primaries: each with an equal part of the slots. replicas: of the first, of the second …, empty without them."""

    def __init__(self, primaries: int, *, replicated: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="gatehouse-cluster-"))
        self.primaries = [Node(self._folder) for _ in range(primaries)]
        self.replicas = [Node(self._folder) for _ in range(primaries if replicated else 0)]
        try:
            self._join()
            self._replicate()
        except BaseException:
            self.close()
            raise

    @property
    def nodes(self) -> list[Node]:
        return [*self.primaries, *self.replicas]

    def _join(self) -> None:
        """Give out the slots and let all nodes meet."""
        wait_until(lambda: all(node.answers() for node in self.nodes), 30, "Valkey's answers")
        count = len(self.primaries)
        for number, node in enumerate(self.primaries):
            node.ask("CLUSTER", "ADDSLOTSRANGE", SLOTS * number // count, SLOTS * (number + 1) // count - 1)
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number:
                self.primaries[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        wait_until(lambda: all(node.is_joined(len(self.nodes)) for node in self.nodes), 30, "a cluster whose nodes know each other")

    def _replicate(self) -> None:
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            replica.ask("CLUSTER", "REPLICATE", primary.id())
        wait_until(lambda: all(node.replicates() for node in self.replicas), 30, "replicas that follow")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.primaries[0].port}/0"

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def cluster(primaries: int, *, replicated: bool = False) -> Iterator[Cluster]:
    """Run a cluster for the length of a block."""
    running = Cluster(primaries, replicated=replicated)
    try:
        yield running
    finally:
        running.close()
