"""The parts of `./dev bench attacks`: what attackers send, how an ordinary client's samples are counted, the verdict and the table."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.attackers import table
from bench.attackers.attacks import ATTACKS, Places
from bench.attackers.flood import Flood, Plan
from bench.attackers.ordinary import Client, Sample, Share, share
from bench.attackers.table import Seen
from tests.support.waiting import wait_until


class Victim:
    """Takes what connections bring; after each read `answer` says what to send back, None = close."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self.received: list[bytearray] = []
        self.peers: list[str] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                link, peer = self._listener.accept()
            except OSError:
                return
            self.peers.append(peer[0])
            self.received.append(bytearray())
            threading.Thread(target=self._talk, args=(link, self.received[-1]), daemon=True).start()

    def _talk(self, link: socket.socket, received: bytearray) -> None:
        with link:
            try:
                while data := link.recv(65536):
                    received += data
                    answer = self._answer(data)
                    if answer is None:
                        return
                    link.sendall(answer)
            except OSError:
                pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def victim(request: pytest.FixtureRequest) -> Iterator[Victim]:
    started = Victim(getattr(request, "param", lambda data: b""))
    yield started
    started.close()


def attack(flood: Flood, until: Callable[[], object]) -> None:
    """Run it in a thread until something is seen."""
    thread = threading.Thread(target=flood.run, args=(30,))
    thread.start()
    try:
        wait_until(until, 20)
    finally:
        flood.stopped = True
        thread.join()


@pytest.mark.slow
def test_a_burst_ends_at_its_limit(victim: Victim) -> None:
    flood = Flood([Plan(victim.port, 2, repeat=b"abc", limit=100_000)], ["127.0.0.2", "127.0.0.3"])
    attack(flood, lambda: [len(one) for one in victim.received] == [100_000, 100_000])
    assert bytes(victim.received[0]) == (b"abc" * 40_000)[:100_000]
    assert sorted(victim.peers) == ["127.0.0.2", "127.0.0.3"]
    assert (flood.report.opened, flood.report.sent, flood.report.again) == (2, 200_000, 0)


def test_a_slow_sender_opens_once_and_goes_on(victim: Victim) -> None:
    flood = Flood([Plan(victim.port, 1, opening=b"head", repeat=b".", pace=0.01)], ["127.0.0.2"])
    attack(flood, lambda: victim.received and len(victim.received[0]) >= 8)
    assert victim.received[0].startswith(b"head....")
    assert flood.report.sent < 1000  # it did not send as fast as it could


@pytest.mark.parametrize("victim", [lambda data: None], indirect=True)
def test_who_is_closed_comes_again(victim: Victim) -> None:
    flood = Flood([Plan(victim.port, 1, repeat=b"x", pace=0.01)], ["127.0.0.2"])
    attack(flood, lambda: len(victim.received) >= 3)
    assert flood.report.again >= 2
    assert flood.report.opened == 1  # one attacker, however often it comes


def test_who_does_not_stay_comes_again(victim: Victim) -> None:
    flood = Flood([Plan(victim.port, 1, opening=b"x", read=False, stay=0.02)], ["127.0.0.2"])
    attack(flood, lambda: len(victim.received) >= 3)
    assert (flood.report.opened, flood.report.closed) == (1, 0)
    assert flood.report.again >= 2


@pytest.mark.parametrize("victim", [lambda data: b"HTTP/1.1 418 I'm a teapot\r\n\r\n"], indirect=True)
def test_the_first_answers_are_told(victim: Victim) -> None:
    flood = Flood([Plan(victim.port, 3, opening=b"x")], ["127.0.0.2"])
    attack(flood, lambda: flood.report.first_answers == {"418": 3})


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_has_something_to_do(name: str) -> None:
    places = Places(gateway=1, operator=2, sources=["127.0.0.2"], scale=0.01)
    plans = ATTACKS[name].plans(places)
    assert plans
    assert all(plan.connections >= 1 and plan.port == (2 if name.startswith("operator") else 1) for plan in plans)


def _asked(victim: Victim, *, until: int, fresh: bool = False) -> Client:
    client = Client("ordinary", victim.port, [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"], rate=200, fresh=fresh)

    async def ask() -> None:
        stop = asyncio.Event()
        asking = asyncio.create_task(client.ask_until(stop))
        async with asyncio.timeout(20):
            while len(client.samples) < until:
                await asyncio.sleep(0.005)
        stop.set()
        await asking

    asyncio.run(ask())
    return client


_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n"


@pytest.mark.parametrize("victim", [lambda data: _OK, lambda data: _CHUNKED], indirect=True)
@pytest.mark.parametrize("fresh", [False, True])
def test_an_ordinary_client_keeps_its_connection_or_does_not(victim: Victim, fresh: bool) -> None:
    client = _asked(victim, until=20, fresh=fresh)
    assert {one.error for one in client.samples} == {None}
    assert (len(victim.peers) >= 20) is fresh
    assert set(victim.peers) == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("victim", "error"),
    [(lambda data: b"HTTP/1.1 503 Overloaded\r\nContent-Length: 0\r\n\r\n", "503"), (lambda data: None, "broken")],
    indirect=["victim"],
)
def test_what_goes_wrong_is_named(victim: Victim, error: str) -> None:
    assert {one.error for one in _asked(victim, until=3).samples} == {error}


def test_a_refusal_is_not_a_fast_answer_and_silence_is_a_slow_one() -> None:
    samples = [Sample(1.0, 5.0), Sample(1.1, 0.1, "503"), Sample(1.2, 10_000.0, "timeout"), Sample(9.0, 1.0)]
    assert share(samples, 1.0, 2.0) == Share(3, 10_000.0, 10_000.0, 10_000.0, {"503": 1, "timeout": 1})
    assert share(samples, 3.0, 4.0) == Share(0, None, None, None, {})


QUICK = Share(100, 0.2, 5.0, 6.0)


def _seen(during: Share, **more: object) -> Seen:
    seen = Seen(
        "pipelined-hello", ATTACKS["pipelined-hello"], {"ordinary": {"before": QUICK, "during": during, "after": QUICK}}, back_s=0.1
    )
    for name, value in more.items():
        setattr(seen, name, value)
    return seen


@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        (_seen(QUICK), None),
        (_seen(Share(100, 0.2, 20.0, 30.0)), "ordinary: p99 20 ms"),
        (_seen(Share(100, 0.2, 5.0, 6.0, {"503": 2})), "ordinary: 2 of 100 failed"),
        (_seen(Share(3, None, None, None)), "ordinary: no answer"),
        (_seen(QUICK, before_mb=50.0, peak_mb=151.0), "gateway grew by 101 MB"),
        (_seen(QUICK, restarts={"gateway": 1, "auth": 0}), "1 worker of gateway died"),
        (_seen(QUICK, back_s=None), "did not come back"),
    ],
)
def test_a_goal_that_was_missed_is_named(seen: Seen, fault: str | None) -> None:
    assert seen.faults() == ([fault] if fault else [])
    assert (fault or "kept") in table.markdown([seen], control=False)


def test_a_busy_machine_proves_nothing() -> None:
    seen = _seen(QUICK)
    seen.clients["ordinary"]["before"] = Share(100, 1.0, 25.0, 30.0)
    assert "busy machine" in seen.verdict()


@pytest.mark.parametrize(("during", "excused"), [(QUICK, False), (Share(100, 1.0, 25.0, 30.0), True)])
def test_busy_processes_excuse_a_miss_and_taint_no_success(during: Share, excused: bool) -> None:
    seen = _seen(during)
    seen.clients["ordinary"]["control"] = Share(100, 1.0, 40.0, 50.0)
    assert ("busy machine" in seen.verdict()) is excused


def test_the_table_is_written_between_its_markers(tmp_path: Path) -> None:
    file = tmp_path / "doc.md"
    file.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write(file, "new")
    table.write(file, "newer")
    assert file.read_text() == f"before\n{table.BEGIN}\n\nnewer\n\n{table.END}\nafter\n"
    file.write_text("nothing")
    with pytest.raises(ValueError, match="bench attacks: begin"):
        table.write(file, "new")
