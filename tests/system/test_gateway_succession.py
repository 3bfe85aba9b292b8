"""Workers that end and those that come after them: the port is never deaf, and no rate window begins anew."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.gateway import Gateway, definition, gateway, own_id
from tests.support.load import Load
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import RawClient, request
from tests.support.stores import Valkey
from tests.support.waiting import wait_until


@contextmanager
def _held(upstream: OddUpstream, running: Gateway, path: str) -> Iterator[RawClient]:
    """A request that its upstream keeps until the block ends; then it must be answered, by a worker that knows it was told to stop."""
    go_on = threading.Event()

    def held(asked: Request) -> None:
        assert go_on.wait(60)
        asked.answer(b"held")

    upstream.on(path, held)
    with RawClient(running.port, timeout=60) as client, RawClient(running.port) as beside:
        assert beside.get("/odd/x").status == 200  # the same worker has both connections
        client.send(request(f"/odd{path}"))
        wait_until(lambda: upstream.count(path), 20, "the request at its upstream")
        try:
            yield client
            wait_until(lambda: _says_goodbye(beside), 20, "the worker's notice that it was told to stop")
        finally:
            go_on.set()
        answer = client.answer()
        assert (answer.status, answer.body, answer.field("connection")) == (200, b"held", "close")


def _says_goodbye(client: RawClient) -> bool:
    """Whether the worker at the other end is leaving: it looks at its signals a few times a second, and serves as before until then."""
    try:
        return client.get("/odd/x").field("connection") == "close"
    except (OSError, EOFError):
        return True


def _successor(running: Gateway, *before: int) -> int:
    """The worker that has come, once it answers. An answer alone tells nothing: those that are leaving may have given it."""

    def come() -> int:
        return next((pid for pid in running.started() if pid not in before), 0)

    return wait_until(come, 20, "the successor, ready to answer")


def test_the_only_worker_is_succeeded_while_it_still_answers(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    with (
        gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")]) as running,
        Load(running.port, "/odd/load") as load,
    ):
        (first,) = running.workers()
        with _held(odd_upstream, running, "/held-over-term"):
            load.answered(100)
            os.kill(first, signal.SIGTERM)
            second = _successor(running, first)
            load.answered(100)
            assert set(running.workers()) == {first, second}
            # The same again: the one that is leaving counts for nothing.
            os.kill(second, signal.SIGTERM)
            third = _successor(running, first, second)
            load.answered(100)
            assert {first, third} <= set(running.workers())
        wait_until(lambda: running.workers() == [third], 20, "the end of those that were told to stop")
        load.answered(100)
    assert load.failures == []
    assert set(load.done) == {200}


@contextmanager
def _loading_successor(running: Gateway, postgresql_url: str, tell: Callable[[int], None]) -> Iterator[tuple[int, int]]:
    """The only worker, which was told to stop and waits for its successor, and that one, which gets no further until the block ends."""
    (first,) = running.workers()
    with psycopg.connect(postgresql_url) as database:
        database.execute("LOCK TABLE definitions IN ACCESS EXCLUSIVE MODE")  # it does not get past them before it is stopped
        tell(first)
        (second,) = wait_until(lambda: set(running.workers()) - {first}, 20, "the successor")
        os.kill(second, signal.SIGSTOP)
    try:
        wait_until(lambda: "successor awaited" in running.process.text(), 20, "the worker, which waits for its successor")
        yield first, second
    finally:
        os.kill(second, signal.SIGCONT)


@pytest.mark.parametrize("told", ["the worker", "the master"])
def test_the_only_worker_takes_connections_until_its_successor_is_ready(
    odd_upstream: OddUpstream, postgresql_url: str, tmp_path: Path, told: str
) -> None:
    """However long the successor loads."""

    def tell(worker: int) -> None:
        if told == "the worker":
            os.kill(worker, signal.SIGTERM)
        else:
            running.signal(signal.SIGHUP)

    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")], {"GATEWAY_DATABASE_URL": postgresql_url}) as running:
        with _loading_successor(running, postgresql_url, tell) as (first, second):
            for _ in range(5):
                with RawClient(running.port) as client:
                    answer = client.get("/odd/x")
                assert (answer.status, answer.field("connection")) == (200, None)
            assert first in running.workers()
        wait_until(lambda: running.workers() == [second], 20, "the end of the first")
        with RawClient(running.port) as client:
            assert client.get("/odd/x").status == 200


def test_no_worker_waits_for_a_successor_when_the_master_ends(odd_upstream: OddUpstream, postgresql_url: str, tmp_path: Path) -> None:
    env = {"GATEWAY_DATABASE_URL": postgresql_url}
    with (
        gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")], env) as running,
        _loading_successor(running, postgresql_url, lambda worker: os.kill(worker, signal.SIGTERM)) as (first, _),
    ):
        running.signal(signal.SIGTERM)
        wait_until(lambda: first not in running.workers(), 10, "the end of the first, which waits for nobody any more")


def test_a_worker_that_dies_beside_one_that_is_leaving_is_replaced(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    """After a reload the master does not wait for the old worker: it looks after the new one, and hears what it is told."""
    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")]) as running:
        (first,) = running.workers()
        with _held(odd_upstream, running, "/held-over-hup"):
            running.signal(signal.SIGHUP)
            second = _successor(running, first)
            os.kill(second, signal.SIGKILL)
            third = _successor(running, first, second)
            running.signal(signal.SIGHUP)
            fourth = _successor(running, first, second, third)
            assert first in running.workers()
        wait_until(lambda: running.workers() == [fourth], 20, "the end of the old workers")


def test_a_worker_that_is_told_to_stop_in_its_first_moment_stops(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    """Also when it has no handlers for signals yet."""
    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")]) as running:
        told = set(running.workers())
        newest = told
        for _ in range(3):
            os.kill(min(newest), signal.SIGTERM)
            newest = wait_until(lambda told=told: set(running.workers()) - told, 20, "the successor", 0)
            told = told | newest
        os.kill(min(newest), signal.SIGTERM)
        (last,) = wait_until(lambda: set(running.workers()) - told, 20, "the successor of the last one")
        wait_until(lambda: running.workers() == [last], 20, "the end of those that were told to stop")


def test_the_younger_of_two_workers_is_replaced_and_the_older_stays(odd_upstream: OddUpstream, valkey: Valkey, tmp_path: Path) -> None:
    env = {"GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url}
    with (
        gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")], env) as running,
        Load(running.port, "/odd/load") as load,
    ):
        older, younger = sorted(running.workers())
        load.answered(100)
        os.kill(younger, signal.SIGTERM)
        wait_until(lambda: len(set(running.workers()) - {older, younger}) == 1, 20, "the successor")
        wait_until(lambda: younger not in running.workers(), 20, "the end of the younger")
        load.answered(100)
        assert older in running.workers()
        assert len(running.workers()) == 2
    assert load.failures == []
    assert set(load.done) == {200}


def test_saves_do_not_wait_for_a_dead_worker_and_name_one_that_hangs(
    odd_upstream: OddUpstream, postgresql_url: str, valkey: Valkey, tmp_path: Path
) -> None:
    env = {"GATEWAY_WORKERS": "2", "VALKEY_URL": valkey.url, "GATEWAY_VALKEY_PREFIX": tmp_path.name, "GATEWAY_DATABASE_URL": postgresql_url}
    number = 0

    def saved() -> dict[str, object]:
        nonlocal number
        number += 1
        document = definition(f"saved-{number}", f"{odd_upstream.url}/")
        status, said = running.operator("POST", "/api/apis", {"api_definition": document})
        assert status == 200, said
        return dict(said)

    with gateway(tmp_path, [definition("odd", f"{odd_upstream.url}/")], env) as running:
        wait_until(lambda: "Unconfirmed" not in saved(), 20, "both workers")
        first, second = running.workers()
        os.kill(first, signal.SIGSTOP)
        try:
            # Whichever worker takes the call: the one that is stopped takes none.
            said = wait_until(lambda: saved().get("Unconfirmed"), 20, "the one that hangs being named")
            assert [str(name).rpartition(":")[2] for name in said] == [str(own_id(first))]
        finally:
            os.kill(first, signal.SIGCONT)
        wait_until(lambda: "Unconfirmed" not in saved(), 20, "both workers")
        os.kill(first, signal.SIGKILL)
        assert "Unconfirmed" not in saved()
        wait_until(lambda: len(running.workers()) == 2, 20, "the successor")
        assert "Unconfirmed" not in saved()
        assert second in running.workers()


LIMIT = 40


def _limited(upstream: OddUpstream) -> list[dict[str, object]]:
    return [
        definition("odd", f"{upstream.url}/"),
        definition("limited", f"{upstream.url}/", global_rate_limit={"rate": LIMIT, "per": 3600}),
    ]


def _admitted(running: Gateway, requests: int) -> int:
    """How many of so many requests pass, each on a connection of its own; the others are refused by the limit."""
    statuses = []
    for _ in range(requests):
        with RawClient(running.port) as client:
            statuses.append(client.get("/limited/x").status)
    assert set(statuses) <= {200, 429}
    return statuses.count(200)


def test_a_rate_window_goes_on_over_reload_replacement_and_restart(database_url: str, odd_upstream: OddUpstream, tmp_path: Path) -> None:
    env = {"GATEWAY_DATABASE_URL": database_url}
    with gateway(tmp_path, _limited(odd_upstream), env) as running:
        assert _admitted(running, 10) == 10
        before = running.workers()
        running.signal(signal.SIGHUP)
        second = _successor(running, *before)
        assert _admitted(running, 10) == 10
        os.kill(second, signal.SIGTERM)
        _successor(running, *before, second)
        assert _admitted(running, 10) == 10
    with gateway(tmp_path, _limited(odd_upstream), env) as running:
        assert _admitted(running, 20) == LIMIT - 30
    with gateway(tmp_path, _limited(odd_upstream), env) as running:
        assert _admitted(running, 1) == 0


def test_under_load_a_reload_admits_at_most_one_more_for_each_connection(odd_upstream: OddUpstream, tmp_path: Path) -> None:
    """A limit that many clients use up at once while the worker changes under them."""
    clients = 8
    definitions = [definition("limited", f"{odd_upstream.url}/", global_rate_limit={"rate": 3000, "per": 3600})]
    with gateway(tmp_path, definitions) as running, Load(running.port, "/limited/x", clients) as load:
        for _ in range(3):
            load.answered(200)
            before = running.workers()
            running.signal(signal.SIGHUP)
            wait_until(lambda before=before: len(set(running.workers()) - set(before)) == 1, 20, "the successor")
            wait_until(lambda before=before: not set(running.workers()) & set(before), 20, "the end of the old worker")
        wait_until(lambda: load.done[429] > 100, 60, "the limit")
    assert load.failures == []
    assert 3000 <= load.done[200] <= 3000 + 3 * clients
