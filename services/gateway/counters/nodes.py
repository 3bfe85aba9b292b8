"""The servers that hold counters: one Valkey, or the primaries of a Valkey cluster, each with a part of the 16,384 slots.

A single server is never asked whether it is a cluster: the first MOVED says so. From then on each node has a connection of its own, and
the slots are asked for again every second, so a failover or a slot that moves is followed.
"""

from __future__ import annotations

import asyncio
from binascii import crc_hqx
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from services.common import logging as logs
from services.gateway.counters.resp import ANSWER_S, UNCOUNTED, Address, Away, Client, Link, ServerError, pack

log = logs.get(__name__)

SLOTS: Final = 16_384
REDIRECTED: Final = ("MOVED ", "ASK ")  # how an answer begins that says where else a key is
_CONNECT_S: Final = 0.5  # new nodes get so long before the cluster is used; a dead one must not hold up the others
_TRIES: Final = 20 * SLOTS

# (link, name of a key that this server holds, whether it holds a key) → the server counts. Raises Away or ServerError.
Prepare = Callable[[Link, bytes, Callable[[bytes], bool]], Awaitable[None]]


def slot_of(key: bytes) -> int:
    """Return the slot of a key: that of the part in its first braces, if there is one (Valkey's cluster specification)."""
    begin = key.find(b"{")
    if begin >= 0:
        end = key.find(b"}", begin + 1)
        if end > begin + 1:
            key = key[begin + 1 : end]
    return crc_hqx(key, 0) % SLOTS  # CRC16/XMODEM, as Valkey's


class Nodes:
    """Finds the connection that a key belongs to. Use it on one event loop."""

    def __init__(self, address: Address, probe: str, prepare: Prepare, meanwhile: str = UNCOUNTED) -> None:
        """Connect to nothing yet. probe: begins the names of keys that are written to try a server. prepare, meanwhile: see `Client`."""
        self._address = address
        self._meanwhile = meanwhile
        self._probe = probe
        self._prepare = prepare
        self._first = Client(address, self._begin, meanwhile)
        self._nodes: dict[Address, Client] = {}
        self._by_slot: list[Client] | None = None
        self._ranges: list[Any] = []  # what `_by_slot` was made of
        self._probes: dict[Client, bytes] = {}  # to find one takes long for a node that holds few slots
        self._learning: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def up(self) -> bool:
        """Whether all servers that hold counters are connected."""
        if self._by_slot is None:
            return self._first.link is not None
        return all(node.link is not None for node in self._nodes.values())

    async def start(self) -> None:
        """Connect. Returns when it is connected or has failed once."""
        await self._first.start()

    async def stop(self) -> None:
        if self._learning is not None:
            self._learning.cancel()
        nodes, self._nodes, self._by_slot = self._nodes, {}, None
        await asyncio.gather(self._first.stop(), *(node.stop() for node in nodes.values()), *self._leaving)

    @property
    def whole(self) -> Link | None:
        """The connection to the one server that holds all keys; None while there is none, and in a cluster."""
        return self._first.link if self._by_slot is None else None

    def link(self, key: bytes) -> Link | None:
        """Return the connection to the server of a key, None while there is none."""
        by_slot = self._by_slot
        return (self._first if by_slot is None else by_slot[slot_of(key)]).link

    async def ask(self, key: bytes, command: bytes) -> Any:
        """Send a command of one key to the server that holds it. Raises Away or ServerError."""
        link = self.link(key)
        if link is None:
            raise Away("there is no connection")
        return await self.ask_at(link, key, command)

    async def ask_at(self, link: Link, key: bytes, command: bytes) -> Any:
        """Send a command of one key, once more where a cluster says that the key is. Raises Away or ServerError."""
        try:
            return await link.call(command)
        except ServerError as error:
            if not str(error).startswith(REDIRECTED):
                raise
            refused = error
        elsewhere = await self.redirected(refused, key, link)
        if elsewhere is None:
            raise refused
        link, asking = elsewhere
        if asking:
            link.call(pack("ASKING")).add_done_callback(lambda answer: answer.exception())  # the command's own answer says enough
        return await link.call(command)

    async def redirected(self, error: ServerError, key: bytes, link: Link) -> tuple[Link, bool] | None:
        """Return where a key is that `link` does not hold, and whether that server wants ASKING first; None = nobody knows in time.

        error: an answer that begins with one of REDIRECTED.
        """
        kind, _, where = str(error).partition(" ")
        if kind == "MOVED" or self._by_slot is None:
            await self._learn_within(link)
        if kind == "ASK":
            node = self._nodes.get(self._at(*_host_and_port(where)))
            return None if node is None or node.link is None else (node.link, True)
        found = self.link(key)
        return None if found is None or found is link else (found, False)

    async def _begin(self, link: Link) -> None:
        """Prepare the server that the settings name; in a cluster it only says who holds what."""
        if self._by_slot is not None or not await self._prepared(link, self._probe.encode(), lambda _: True):
            await self._learn(link)

    async def _begin_node(self, link: Link, address: Address) -> None:
        """Prepare a node by a key that is in one of its slots."""
        node, by_slot = self._nodes.get(address), self._by_slot
        if node is None or by_slot is None:
            raise Away("it holds no slots")

        def mine(key: bytes) -> bool:
            return by_slot[slot_of(key)] is node

        probe = self._probes.get(node)
        if probe is None or not mine(probe):
            names = (f"{self._probe}:{number}".encode() for number in range(_TRIES))
            probe = self._probes[node] = next(name for name in names if mine(name))
        # When its slot has moved, or is about to, the node still counts in its others.
        if not await self._prepared(link, probe, mine) or self._first.link is None:
            await self._learn(link)  # the one that is asked every second may be away

    async def _prepared(self, link: Link, probe: bytes, mine: Callable[[bytes], bool]) -> bool:
        """Prepare a server. False when it is one of a cluster that sends whoever asks elsewhere. Raises Away or ServerError."""
        try:
            await self._prepare(link, probe, mine)
        except ServerError as error:
            if not str(error).startswith(REDIRECTED):
                raise
            return False
        return True

    async def _learn_within(self, link: Link) -> None:
        """Ask for the slots, once for all who wait, and wait no longer than for any answer."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._learn(link), name="valkey-slots")
            self._learning.add_done_callback(lambda done: done.cancelled() or done.exception())  # whether it went well is seen by asking
        await asyncio.wait({self._learning}, timeout=ANSWER_S)  # from Python 3.12 on `wait_for` is for tasks only (wire/driving.py)

    async def _learn(self, link: Link) -> None:
        """Ask who holds which slots, and connect to the new ones. Raises Away or ServerError."""
        ranges: list[Any] = await link.call(pack("CLUSTER", "SLOTS"))
        if ranges == self._ranges:
            return
        if self._by_slot is None:
            log.info("Valkey is a cluster", primaries=len({(one[2][0], one[2][1]) for one in ranges}))
        held = [(one[0], one[1], self._at((one[2][0] or b"").decode(), one[2][1])) for one in ranges]
        nodes = {address: self._nodes.get(address) or self._client(address) for _, _, address in held}
        if not nodes:
            raise Away("the cluster has no slots")
        by_slot = [next(iter(nodes.values()))] * SLOTS  # a slot that nobody holds is refused by whoever is asked
        for first, last, address in held:
            by_slot[first : last + 1] = [nodes[address]] * (last + 1 - first)
        new = [node for address, node in nodes.items() if address not in self._nodes]
        gone = [node for address, node in self._nodes.items() if address not in nodes]
        self._nodes, self._by_slot, self._ranges = nodes, by_slot, ranges
        for node in gone:
            self._probes.pop(node, None)
            leaving = asyncio.create_task(node.stop())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        if new:
            starting = [asyncio.create_task(node.start()) for node in new]
            for late in (await asyncio.wait(starting, timeout=_CONNECT_S))[1]:
                late.cancel()  # it is not waited for any more, and goes on trying

    def _client(self, address: Address) -> Client:
        return Client(address, lambda link: self._begin_node(link, address), self._meanwhile)

    def _at(self, host: str, port: int) -> Address:
        """Return a node's address. A server that does not know its own name gives none: it is where it was reached."""
        return replace(self._address, host=host or self._address.host, port=port, path=None, database=0)


def _host_and_port(where: str) -> tuple[str, int]:
    """Read `SLOT HOST:PORT`; the host may be an IPv6 address without brackets, or empty."""
    host, _, port = where.rpartition(" ")[2].rpartition(":")
    return host, int(port)
