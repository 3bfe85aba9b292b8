"""What only the shared counters do: several processes, an outage, a server that hangs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from math import isnan

import pytest
import uvloop

from services.gateway.counters import resp
from services.gateway.counters.port import Charge, Charges, Taken
from services.gateway.counters.valkey import ValkeyCounters
from services.gateway.wire.driving import Driver
from tests.support.processes import ROOT
from tests.support.stores import Valkey
from tests.support.waiting import free_port
from tests.unit.gateway.counters.asking import all_takers, eventually, look, started, take, take_all, takers
from tests.unit.gateway.counters.conftest import PATIENCE_S

PREFIX = "gatehouse:counter:"


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A server that a test may kill."""
    server = Valkey()
    yield server
    server.close()


@pytest.mark.parametrize("limit", [11, 20, 450])
def test_two_processes_admit_exactly_the_limit(valkey: Valkey, limit: int) -> None:
    command = [sys.executable, "-m", "tests.unit.gateway.counters.worker", valkey.url, "30", "10", "k", str(limit)]
    workers = [subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for worker in workers:
            assert worker.stdout is not None
            while (line := worker.stdout.readline()) and "ready" not in line:
                pass
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        counts = [[int(number) for number in worker.communicate(timeout=30)[0].splitlines()[-1].split()] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert sum(admitted for admitted, _ in counts) == limit
    assert [uncounted for _, uncounted in counts] == [0, 0]


def test_two_counters_of_one_server_see_each_other(valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url)) as one, started(ValkeyCounters(valkey.url)) as two:
            admitted = await asyncio.gather(takers(one, 30, 2, "k", 37, 60), takers(two, 30, 2, "k", 37, 60))
            assert sum(admitted) == 37
            await one.reset("k")
            assert (await look(two, "k", 37, 60)).remaining == 37

    asyncio.run(scenario())


def test_installations_with_a_prefix_of_their_own_do_not_count_together(valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url, "red")) as red, started(ValkeyCounters(valkey.url, "blue")) as blue:
            assert await takers(red, 1, 5, "a:orders", 3, 60) == 3
            assert (await take(blue, "a:orders", 3, 60)).remaining == 2
            await blue.reset("a:orders")
            assert [(await look(one, "a:orders", 3, 60)).remaining for one in (red, blue)] == [0, 3]
            assert valkey.client.keys() == [b"red:counter:a:orders"]

    asyncio.run(scenario())


def test_it_knows_how_long_valkey_takes_to_answer(own_valkey: Valkey) -> None:
    async def scenario() -> None:
        counters = ValkeyCounters(own_valkey.url)
        assert isnan(counters.round_trip)
        async with started(counters):
            assert 0 < counters.round_trip < 1
            await asyncio.to_thread(own_valkey.stop)
            await eventually(lambda: not counters.available)
            assert isnan(counters.round_trip), "what it took before says nothing now"

    asyncio.run(scenario())


def test_a_killed_server_is_passed_by_and_counted_on_again(own_valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(own_valkey.url)) as counters:
            assert await takers(counters, 60, 1, "k", 5, 60) == 5
            taking = asyncio.create_task(takers(counters, 60, 50, "k", 5, 60))
            await asyncio.sleep(0)
            own_valkey.stop()
            assert await asyncio.wait_for(taking, 30) > 0
            await eventually(lambda: not counters.available)

            assert isinstance(counters.take("k", 5, 60), Taken)  # nobody waits any more
            assert await takers(counters, 60, 20, "k", 5, 60) == 60 * 20
            taken = await take(counters, "k", 5, 60)
            assert (taken.admitted, taken.remaining) == (True, 5)
            assert (await look(counters, "k", 5, 60)).remaining == 5
            assert counters.uncounted >= 60 * 20 + 1

            await asyncio.to_thread(own_valkey.start)
            await eventually(lambda: counters.available)
            assert await takers(counters, 60, 1, "k", 5, 60) == 5

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_server_that_hangs_costs_250_ms_once(own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """All who wait go on together when the patience of the first one is over, and the next ones ask nobody: the server answers to none."""
    assert 1000 * (PATIENCE_S + resp.GRACE_S) <= 250
    monkeypatch.setattr(resp, "ANSWER_S", 2.0)  # so that a healthy server surely answers in it

    async def scenario() -> None:
        async with started(ValkeyCounters(own_valkey.url)) as counters:
            assert await takers(counters, 10, 1, "k", 5, 60) == 5
            own_valkey.hang()
            begun = time.monotonic()
            assert await asyncio.wait_for(takers(counters, 60, 1, "k", 5, 60), 30) == 60
            assert time.monotonic() - begun > 1
            assert isinstance(counters.take("k", 5, 60), Taken)
            assert await takers(counters, 60, 20, "k", 5, 60) == 60 * 20
            own_valkey.go_on()
            await eventually(lambda: counters.available)
            assert await takers(counters, 10, 1, "l", 5, 60) == 5

    asyncio.run(scenario())


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("turns", [1, 2])
def test_a_loop_that_stood_still_does_not_blame_the_server(
    valkey: Valkey, loop: Callable[[], asyncio.AbstractEventLoop], turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """turns: after one the question is asked but not yet sent, after two it is sent."""
    monkeypatch.setattr(resp, "ANSWER_S", PATIENCE_S)
    monkeypatch.setattr(resp, "GRACE_S", 20.0)  # what the server needs on a busy machine is not the question

    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url)) as counters:
            taking = [asyncio.create_task(take(counters, "k", 3, 60)) for _ in range(6)]
            for _ in range(turns):
                await asyncio.sleep(0)
            time.sleep(0.4)
            assert sum([(await one).admitted for one in taking]) == 3
            assert counters.uncounted == 0

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())


def test_a_start_without_a_server_neither_fails_nor_waits_long() -> None:
    async def scenario() -> None:
        starting = ValkeyCounters(f"redis://127.0.0.1:{free_port()}/0")
        async with asyncio.timeout(10), started(starting) as counters:  # half the time that a connection may take
            assert not counters.available
            assert (await take(counters, "k", 1, 0)) == (True, 1, 1, 0.0, 0.0)

    asyncio.run(scenario())


def test_a_reset_during_an_outage_is_done_when_the_server_is_back(own_valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(own_valkey.url)) as counters:
            own_valkey.stop()
            await eventually(lambda: not counters.available)
            await counters.reset("k")
            await asyncio.to_thread(own_valkey.start)
            await asyncio.to_thread(own_valkey.client.hset, PREFIX + "l", mapping={"u": 9, "e": 0})
            await eventually(lambda: counters.available)
            assert (await look(counters, "k", 3, 0)).remaining == 3
            assert (await look(counters, "l", 3, 0)).remaining == 0

    asyncio.run(scenario())


def test_a_server_that_forgot_the_script_still_counts(valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url)) as counters:
            assert (await take(counters, "k", 3, 60)).remaining == 2
            valkey.client.script_flush()
            assert await takers(counters, 60, 1, "k", 3, 60) == 2
            assert counters.uncounted == 0

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_server_that_refuses_to_write_is_passed_by(own_valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(own_valkey.url)) as counters:
            own_valkey.client.config_set("maxmemory", "1")
            assert await takers(counters, 10, 2, "k", 3, 60) == 20
            assert counters.uncounted == 20
            await eventually(lambda: not counters.available)
            own_valkey.client.config_set("maxmemory", "0")
            await eventually(lambda: counters.available)
            assert await takers(counters, 10, 2, "k", 3, 60) == 3
            own_valkey.client.replicaof("127.0.0.1", str(free_port()))
            assert await takers(counters, 10, 2, "l", 3, 60) == 20
            assert isinstance(counters.take("l", 3, 60), Taken)  # a replica is not asked again: the primary may be elsewhere by now
            own_valkey.client.replicaof("NO", "ONE")
            await eventually(lambda: counters.available)
            assert await takers(counters, 10, 2, "m", 3, 60) == 3

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_server_that_hangs_is_noticed_without_a_request(own_valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(own_valkey.url)) as counters:
            own_valkey.hang()
            await eventually(lambda: not counters.available)
            own_valkey.go_on()
            await eventually(lambda: counters.available)
            assert counters.uncounted == 0

    asyncio.run(scenario())


def test_a_server_that_cannot_write_is_not_there(own_valkey: Valkey) -> None:
    async def scenario() -> None:
        own_valkey.client.config_set("maxmemory", "1")
        async with started(ValkeyCounters(own_valkey.url)) as counters:
            assert not counters.available
            assert isinstance(counters.take("k", 5, 60), Taken)
            own_valkey.client.config_set("maxmemory", "0")
            await eventually(lambda: counters.available)

    asyncio.run(scenario())


def test_counters_leave_the_server_with_their_window(valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url)) as counters:
            await take(counters, "short", 5, 30)
            await take(counters, "never", 5, 0)
            await take(counters, "never", 5, 0)
            assert 20_000 < valkey.client.pttl(PREFIX + "short") <= 30_000
            assert valkey.client.pttl(PREFIX + "never") == -1
            await look(counters, "looked", 5, 30)
            assert valkey.client.dbsize() == 2
            await take(counters, "never", 2, 20)  # refused, and now with an end
            assert 10_000 < valkey.client.pttl(PREFIX + "never") <= 20_000

    asyncio.run(scenario())


def test_many_takes_of_one_turn_are_one_write(valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url)) as counters:
            link = counters._nodes.link(b"k")
            assert link is not None
            writes = []
            write = link._transport.write

            class Counting:
                def write(self, data: bytes) -> None:
                    writes.append(data)
                    write(data)

                def abort(self) -> None:
                    transport.abort()

            transport, link._transport = link._transport, Counting()
            assert await takers(counters, 60, 1, "k", 11, 60) == 11
            assert len(writes) == 1

    asyncio.run(scenario())


KEYED = Charges((Charge("r:k", 9, 60), Charge("a:api", 99, 60), Charge("q:k", 7, 3600, durable=True)))


def test_all_counters_of_many_requests_are_one_round_trip(valkey: Valkey) -> None:
    def ran() -> int:
        return int(valkey.client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])

    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url)) as counters:
            others = [Charges((Charge(f"r:{number}", 9, 60), Charge("a:api", 99, 60))) for number in range(5)]
            before = ran()
            keyed = asyncio.create_task(all_takers(counters, 20, KEYED))
            found = await asyncio.gather(*(take_all(counters, one) for one in others))
            assert await keyed == {3: 7, 2: 2, 0: 11}
            assert ran() - before <= 6 + 2, "one command for those of the same key; the server is tried each second"
            assert len({taken[1].remaining for taken in found}) == 5

    asyncio.run(scenario())


def test_all_are_counted_by_a_server_that_forgot_the_script(valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url)) as counters:
            valkey.client.script_flush()
            assert await all_takers(counters, 20, KEYED) == {3: 7, 2: 2, 0: 11}
            valkey.client.script_flush()
            assert [taken.admitted for taken in await take_all(counters, KEYED)] == [False]
            assert counters.uncounted == 0

    asyncio.run(scenario())


def test_a_request_that_nobody_counts_is_uncounted_once(own_valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(own_valkey.url)) as counters:
            assert await all_takers(counters, 9, KEYED) == {3: 7, 2: 2}
            waiting = asyncio.create_task(all_takers(counters, 20, KEYED))
            await asyncio.sleep(0)
            own_valkey.stop()
            passed = (await asyncio.wait_for(waiting, 30))[3]
            assert counters.uncounted == passed
            await eventually(lambda: not counters.available)
            taken = counters.take_all(KEYED)
            assert isinstance(taken, list), "nobody waits any more"
            assert [(one.admitted, one.remaining) for one in taken] == [(True, 9), (True, 99), (True, 7)]
            assert counters.uncounted == passed + 1
            await asyncio.to_thread(own_valkey.start)
            await eventually(lambda: counters.available)
            assert await all_takers(counters, 20, KEYED) == {3: 7, 2: 2, 0: 11}

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_all_who_wait_for_a_server_that_hangs_go_on_together(own_valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(own_valkey.url)) as counters:
            own_valkey.hang()
            assert await asyncio.wait_for(all_takers(counters, 30, KEYED), 30) == {3: 30}
            assert isinstance(counters.take_all(KEYED), list)
            assert counters.uncounted == 31
            own_valkey.go_on()
            await eventually(lambda: counters.available)

    asyncio.run(scenario())


@pytest.mark.slow
def test_all_pass_where_a_server_refuses_to_write(own_valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(own_valkey.url)) as counters:
            own_valkey.client.config_set("maxmemory", "1")
            assert await all_takers(counters, 10, KEYED) == {3: 10}
            assert counters.uncounted == 10
            own_valkey.client.config_set("maxmemory", "0")
            await eventually(lambda: counters.available)
            own_valkey.client.replicaof("127.0.0.1", str(free_port()))
            assert await all_takers(counters, 10, KEYED) == {3: 10}
            assert isinstance(counters.take_all(KEYED), list)
            own_valkey.client.replicaof("NO", "ONE")

    asyncio.run(scenario())


def test_a_driven_coroutine_goes_on_with_the_answer(valkey: Valkey) -> None:
    """As a connection of the front door does; one that is cancelled while it waits disturbs nobody."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with started(ValkeyCounters(valkey.url)) as counters:
            found: list[int] = []

            async def connection() -> None:
                for _ in range(2):
                    found.append(sum(taken.admitted for taken in await take_all(counters, KEYED)))

            drivers = [Driver(connection(), loop) for _ in range(6)]
            for driver in drivers:
                driver.step()
            drivers[0].cancel()
            await eventually(lambda: len(found) == 10)
            assert found == [3, 3, 3, 3, 3, 3, 2, 2, 0, 0], "the one that was cancelled had been sent with the others"
            assert (await look(counters, "q:k", 7, 3600)).remaining == 0

    asyncio.run(scenario())


def test_many_keys_of_one_turn_are_exact(valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url)) as counters:
            many = [Charges((Charge(f"r:{number}", 1 + number % 3, 60), Charge("a:api", 150, 60))) for number in range(100)]
            found = await asyncio.gather(*(all_takers(counters, 2, one) for one in many))
            refused_by_key = sum(one[0] for one in found)
            assert (refused_by_key, sum(one[2] for one in found)) == (34, 150), "a limit of one for every third key"
            assert sum(one[1] for one in found) == 200 - 34 - 150

    asyncio.run(scenario())


def test_a_key_that_is_no_counter_harms_no_other(valkey: Valkey) -> None:
    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url)) as counters:
            valkey.client.set(PREFIX + "q:k", "text")
            other = Charges((Charge("r:l", 9, 60), Charge("a:api", 99, 60)))
            spoilt, fine = await asyncio.gather(all_takers(counters, 3, KEYED), all_takers(counters, 3, other))
            assert (spoilt, fine) == ({3: 3}, {2: 3})
            assert counters.uncounted == 3
            valkey.client.script_flush()
            assert await all_takers(counters, 1, KEYED) == {3: 1}
            assert await all_takers(counters, 1, other) == {2: 1}
            assert counters.uncounted == 4

    asyncio.run(scenario())


def test_charges_that_cannot_be_written_fail_alone(valkey: Valkey) -> None:
    """None of the others of the same turn waits for ever."""

    async def scenario() -> None:
        async with started(ValkeyCounters(valkey.url)) as counters:
            endless = Charges((Charge("r:e", 1, 1e308),))
            fine = asyncio.create_task(all_takers(counters, 3, KEYED))
            await asyncio.sleep(0)
            with pytest.raises(OverflowError):
                counters.take_all(endless)
            assert await asyncio.wait_for(fine, 30) == {3: 3}
            with pytest.raises(OverflowError):
                counters.take_all(endless)
            assert await asyncio.wait_for(all_takers(counters, 3, KEYED), 30) == {3: 3}

    asyncio.run(scenario())
