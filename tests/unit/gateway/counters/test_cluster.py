"""Counters in a Valkey cluster: each counts where its slot is, and follows it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import hiredis
import pytest

from services.gateway.counters import nodes
from services.gateway.counters.nodes import Nodes, Prepare, slot_of
from services.gateway.counters.port import Charge, Charges, Taken
from services.gateway.counters.resp import Address, Client, Link, ServerError
from services.gateway.counters.valkey import ValkeyCounters
from services.gateway.wire.driving import Driver
from tests.support.valkey_cluster import SLOTS, Cluster, Node, cluster
from tests.unit.gateway.counters.asking import all_takers, eventually, look, started, take, take_all, takers

PREFIX = b"gatehouse:counter:"
NAMES = [f"r:{number}" for number in range(60)]


def holder(one: Cluster, counter: str) -> Node:
    """The primary that had the counter's slot at the start."""
    return one.primaries[slot_of(PREFIX + counter.encode()) * len(one.primaries) // SLOTS]


@pytest.mark.parametrize("key", ["r:1", "a:orders", "a:{b}c", "a:{}", "a:{{b}}", "a:b}{c}", "a:{b", "ü"])
def test_slots_are_those_of_the_server(valkey_cluster: Cluster, key: str) -> None:
    assert slot_of(key.encode()) == valkey_cluster.primaries[0].ask("CLUSTER", "KEYSLOT", key)


def test_all_nodes_count_exactly(valkey_cluster: Cluster) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(valkey_cluster.url)) as one, started(ValkeyCounters(valkey_cluster.url)) as two:
            for name in NAMES:
                admitted = await asyncio.gather(takers(one, 4, 2, name, 11, 60), takers(two, 4, 2, name, 11, 60))
                assert sum(admitted) == 11
            assert one.available and two.available
            assert (one.uncounted, two.uncounted) == (0, 0)
            await one.reset(NAMES[0])
            await two.reset(NAMES[1])
            assert [(await look(one, name, 11, 60)).remaining for name in NAMES[:3]] == [11, 11, 0]

    asyncio.run(scenario())
    held = [set(node.client.keys(PREFIX + b"r:*")) for node in valkey_cluster.primaries]
    assert set().union(*held) == {PREFIX + name.encode() for name in NAMES[2:]}
    assert all(len(keys) > 5 for keys in held)


def test_one_node_that_holds_all_slots_is_as_good_as_a_server() -> None:
    async def scenario(url: str) -> None:
        async with started(ValkeyCounters(url)) as counters:
            assert [await takers(counters, 5, 3, name, 4, 60) for name in NAMES[:9]] == [4] * 9
            assert counters.available

    with cluster(1) as single:
        asyncio.run(scenario(single.url))


ALL = Charges(tuple(Charge(name, limit, 600) for name, limit in zip(NAMES, [30, 20, 10, 30, 30], strict=False)))


@pytest.mark.parametrize("primaries", [1, 3])
def test_counters_on_several_nodes_are_asked_one_after_the_other(primaries: int) -> None:
    """Nothing says before the first answer that the server is one of a cluster."""

    async def scenario(url: str) -> None:
        async with started(ValkeyCounters(url)) as one, started(ValkeyCounters(url)) as two:
            found = await asyncio.gather(all_takers(one, 20, ALL), all_takers(two, 20, ALL))
            assert found[0] + found[1] == {5: 10, 2: 10, 1: 10, 0: 10}
            assert [(await look(one, charge.counter, charge.limit, 600)).remaining for charge in ALL.each] == [0, 0, 0, 20, 20]
            assert [taken.remaining for taken in await take_all(two, ALL)] == [0]
            assert (one.uncounted, two.uncounted) == (0, 0)

    with cluster(primaries) as own:
        asyncio.run(scenario(own.url))


@pytest.mark.usefixtures("wait_for_of_3_12")
def test_a_driven_coroutine_is_sent_to_the_node_of_its_slot(valkey_cluster: Cluster) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        charges = Charges(tuple(Charge(name, 9, 600) for name in NAMES[:20]))
        first = holder(valkey_cluster, "probe")  # it counts what it is tried with, so that nothing says yet that there are others
        async with started(ValkeyCounters(f"redis://127.0.0.1:{first.port}")) as counters:
            assert counters._nodes.whole is not None
            found: list[int] = []

            async def connection() -> None:
                found.append(sum(taken.admitted for taken in await take_all(counters, charges)))

            for _ in range(3):
                loop.call_soon(Driver(connection(), loop).step)
            await eventually(lambda: len(found) == 3)
            assert found == [20, 20, 20]
            assert counters.uncounted == 0

    asyncio.run(scenario())


def test_a_slot_that_moves_loses_no_count(valkey_cluster: Cluster) -> None:
    """While it is on its way: ASK. When it is there: MOVED."""
    name = NAMES[0]
    key = (PREFIX + name.encode()).decode()
    old = holder(valkey_cluster, name)
    new = next(node for node in valkey_cluster.primaries if node is not old)
    slot = slot_of(key.encode())

    async def scenario() -> None:
        async with started(ValkeyCounters(valkey_cluster.url)) as counters:
            assert (await take(counters, name, 9, 60)).remaining == 8
            new.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", old.id())
            old.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", new.id())
            assert (await take(counters, name, 9, 60)).remaining == 7
            old.ask("MIGRATE", "127.0.0.1", new.port, key, 0, 5000)
            assert (await take(counters, name, 9, 60)).remaining == 6
            for node in (new, old, *valkey_cluster.primaries):
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", new.id())
            assert [(await take(counters, name, 9, 60)).remaining for _ in range(3)] == [5, 4, 3]
            assert counters.uncounted == 0

    try:
        asyncio.run(scenario())
    finally:
        for node in (old, *valkey_cluster.primaries):
            node.client.flushall()
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", old.id())


def one_slot(prepare: Prepare) -> tuple[Nodes, Address]:
    """Nodes of which the one at this address holds slot 9 alone."""
    address = Address(port=7)
    all_nodes = Nodes(Address(), "probe", prepare)
    node = all_nodes._nodes[address] = Client(address, all_nodes._begin)
    all_nodes._by_slot = [all_nodes._first] * SLOTS
    all_nodes._by_slot[9] = node
    return all_nodes, address


@pytest.mark.parametrize(
    ("refusal", "counts"), [("ASK 9 one:7", True), ("MOVED 9 one:7", True), ("CLUSTERDOWN The cluster is down", False)]
)
def test_a_node_counts_while_the_slot_that_it_is_tried_by_moves(refusal: str, counts: bool) -> None:
    """It holds others, in which everything would pass uncounted if its connection were given up."""
    asked: list[bytes] = []

    async def prepare(link: Link, probe: bytes, mine: Callable[[bytes], bool]) -> None:
        raise ServerError(refusal)

    async def scenario() -> None:
        all_nodes, address = one_slot(prepare)

        async def call(command: bytes) -> Any:
            asked.append(command)
            return all_nodes._ranges

        link: Any = SimpleNamespace(call=call)
        with contextlib.nullcontext() if counts else pytest.raises(ServerError):
            await all_nodes._begin_node(link, address)

    asyncio.run(scenario())
    assert [b"SLOTS" in command for command in asked] == [True] * counts


def test_a_key_to_try_a_node_of_few_slots_by_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def counted(key: bytes) -> int:
        asked.append(key)
        return slot_of(key)

    async def prepare(link: Link, probe: bytes, mine: Callable[[bytes], bool]) -> None:
        assert slot_of(probe) == 9

    async def scenario() -> None:
        all_nodes, address = one_slot(prepare)
        all_nodes._first.link = link = Link()
        await all_nodes._begin_node(link, address)
        assert len(asked) > 1
        asked.clear()
        await all_nodes._begin_node(link, address)
        assert len(asked) == 1

    monkeypatch.setattr(nodes, "slot_of", counted)
    asyncio.run(scenario())


def test_a_stop_while_a_node_does_not_answer_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async def send_elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            commands = hiredis.Reader()
            while data := await reader.read(65536):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    all_slots = b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n" % silent_port
                    writer.write(all_slots if command[1] == b"SLOTS" else b"-MOVED 1 127.0.0.1:%d\r\n" % silent_port)
            writer.close()

        silent = await asyncio.start_server(hold, "127.0.0.1", 0)
        silent_port = silent.sockets[0].getsockname()[1]
        first = await asyncio.start_server(send_elsewhere, "127.0.0.1", 0)
        counters = ValkeyCounters(f"redis://127.0.0.1:{first.sockets[0].getsockname()[1]}/0")
        starting = asyncio.create_task(counters.start())
        await eventually(lambda: bool(counters._nodes._nodes))
        await counters.stop()
        await asyncio.wait_for(starting, 10)
        await eventually(lambda: not [task for task in asyncio.all_tasks() if task.get_coro().__qualname__.startswith("Client.")])
        silent.close()
        first.close()

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1], ids=["the one that the settings name", "another one"])
def test_a_node_that_dies_is_passed_by_until_its_replica_takes_over(lost: int) -> None:
    async def scenario(one: Cluster) -> None:
        async with started(ValkeyCounters(one.url)) as counters:
            assert [await takers(counters, 3, 1, name, 5, 600) for name in NAMES] == [3] * 60
            gone = [name for name in NAMES if holder(one, name) is one.primaries[lost]]
            stay = [name for name in NAMES if name not in gone]
            written = one.primaries[lost].offset()
            await eventually(lambda: one.replicas[lost].offset() >= written)
            one.primaries[lost].kill()
            await eventually(lambda: not counters.available)
            assert isinstance(counters.take(gone[0], 5, 600), Taken)  # at once: there is nobody to ask
            both = await take_all(counters, Charges((Charge(gone[1], 5, 600), Charge(stay[0], 5, 600))))
            assert [taken.remaining for taken in both] == [5, 1], "what can be counted is"
            await counters.reset(stay[0])
            assert await takers(counters, 3, 1, stay[0], 5, 600) == 3
            assert {(await look(counters, name, 5, 600)).remaining for name in stay} == {2}, "the others go on"
            await eventually(all_hold(counters, 2))
            assert {(await look(counters, name, 5, 600)).remaining for name in gone} == {2}, "what the replica has"
            assert await takers(counters, 3, 1, gone[0], 5, 600) == 2

    with cluster(3, replicated=True) as own:
        asyncio.run(scenario(own))


def all_hold(counters: ValkeyCounters, remaining: int) -> Callable[[], Awaitable[bool]]:
    async def held() -> bool:
        return counters.available and {(await look(counters, name, 5, 600)).remaining for name in NAMES} == {remaining}

    return held
