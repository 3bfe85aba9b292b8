"""How the sessions service serves polls under gunicorn: without a thread for each, and never one answer in place of another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_auth import FakeAuth
from tests.support.processes import get
from tests.support.raw_client import Answer, RawClient
from tests.support.sessions_raw import Game, Service, fake_auth, learned, sessions_service, texts
from tests.support.stores import SQLite
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

PLAIN: tuple[str, ...] = ()
BY_A_THREAD = ("Connection: Keep-Alive, x",)  # a header that makes gunicorn's threads answer
_names = count()


@pytest.fixture(scope="module")
def auth() -> Iterator[FakeAuth]:
    with fake_auth() as found:
        yield found


@pytest.fixture(scope="module")
def service(auth: FakeAuth, sqlite: SQLite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with sessions_service(auth, sqlite.new_database(), tmp_path_factory.mktemp("sessions"), SESSIONS_POLLS_LIMIT="300") as running:
        yield running


@pytest.fixture
def game(service: Service) -> Game:
    return service.play(f"demo_{next(_names)}")


def threads(service: Service) -> int:
    """How many threads the worker has."""
    pid = service.process.pid
    (child, *_) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return len(list(Path(f"/proc/{child}/task").iterdir()))


def up_to_date(game: Game, connection: RawClient) -> dict[str, int]:
    """Bring a connection to the state in which its next poll waits, and return its versions."""
    known = game.ask(connection)
    connection.send(game.poll(known, query="f=JSON&timeout=0.05"))
    assert connection.answer().status == 204
    return known


def parked(game: Game, number: int) -> tuple[list[RawClient], dict[str, int]]:
    """So many connections whose polls wait, or will as soon as they are read: the service has accepted all of them."""
    connections = [game.service.client() for _ in range(number)]
    known = up_to_date(game, connections[0])
    for connection in connections[1:]:
        connection.send(game.poll(known, query="f=JSON&timeout=0.05"))
    for connection in connections[1:]:
        assert connection.answer().status == 204
    for connection in connections:
        connection.send(game.poll(known))
    return connections, known


def test_the_answers_are_those_of_the_application(service: Service, game: Game) -> None:
    """Nothing but the date may differ, in the log and the metrics as well."""
    route = "/api/session/update/"
    seen: dict[int, list[Any]] = {}
    lines: dict[int, list[Any]] = {}
    with service.client() as connection, service.client() as another:
        known = up_to_date(game, connection)
        up_to_date(game, another)
        for way, fields in enumerate((PLAIN, BY_A_THREAD)):
            begun = {status: service.metric("http_requests_total", method="POST", route=route, status=status) for status in ("200", "204")}
            shown = []
            for place, (versions, query) in enumerate(
                (
                    (known, "f=JSON&timeout=0.05"),
                    ({"STAKEHOLDERS": -1}, "f=json&timeout=5"),
                    ({"STAKEHOLDERS": 999}, "timeout=5"),
                    (None, "f=JSON&force=true"),
                )
            ):
                name = f"way-{way}-{place}"
                connection.send(game.poll(versions, *fields, f"X-Request-Id: {name}", query=query))
                answer = connection.answer()
                body = {**answer.json(), "timeStamp": 0} if answer.body else None
                shown.append((answer.status, answer.reason, body, sorted(of(answer, name))))
                found = wait_until(lambda name=name: service.logged(name), what="a log line")  # type: ignore[misc]
                lines.setdefault(way, []).append([{key: value for key, value in one.items() if key not in _VARYING} for one in found])
            seen[way] = shown
            for status, before in begun.items():
                after = service.metric("http_requests_total", method="POST", route=route, status=status)
                assert after - before == {"200": 3, "204": 1}[status]
    assert seen[0] == seen[1]
    assert lines[0] == lines[1]
    assert [[one["event"] for one in found] for found in lines[0]] == [["request"]] * 4


def test_who_names_no_format_gets_the_same_on_both_ways(service: Service, game: Game) -> None:
    """Without a body nothing says that it is a program which asks."""
    lines = ["POST /api/session/update/?timeout=0.05 HTTP/1.1", "Host: x", f"token: {game.token}"]
    with service.client() as connection:
        up_to_date(game, connection)
        for accept in ((), ("Accept: */*",), ("Accept: application/json",)):
            types = []
            for fields in (PLAIN, BY_A_THREAD):
                connection.send("\r\n".join([*lines, *accept, *fields, "", ""]).encode())
                types.append(connection.answer().field("content-type"))
            assert types[0] == types[1]


_VARYING = ("ms", "time", "request_id")


def of(answer: Answer, name: str) -> list[tuple[str, str]]:
    """The headers of an answer, without what differs from one moment to the next."""
    assert answer.field("date")
    assert answer.field("x-request-id") == name
    return [(field, value) for field, value in answer.fields if field not in ("date", "x-request-id")]


def test_a_released_client_is_told_so_on_both_ways(service: Service, game: Game) -> None:
    shown = []
    with service.client() as plain, service.client() as by_a_thread:
        known = up_to_date(game, plain)
        up_to_date(game, by_a_thread)
        plain.send(game.poll(known, "X-Request-Id: an-id"))
        by_a_thread.send(game.poll(known, "X-Request-Id: an-id", *BY_A_THREAD))
        game.kill()
        for connection in (plain, by_a_thread):
            answer = connection.answer()
            assert (answer.status, answer.body) == (400, b"CLIENT_RELEASED")
            assert answer.field("x-status-detail") == "495"
            shown.append(sorted(of(answer, "an-id")))
        assert shown[0] == shown[1]
        for connection in (plain, by_a_thread):
            connection.send(game.poll(known))
            answer = connection.answer()
            assert (answer.status, answer.body, answer.field("x-status-detail")) == (400, b"INVALID_TOKEN", "497")


def test_many_polls_need_no_threads(service: Service, game: Game) -> None:
    before = threads(service)
    connections, known = parked(game, 200)
    assert get(service.port, "/health")[0] == 200
    game.say("to all")
    for connection in connections:
        answer = connection.answer()
        assert texts(answer) == ["to all"]
    assert threads(service) - before < 60
    known = learned(answer, known)
    for connection in connections[:10]:
        connection.send(game.poll(known))
    game.say("again")
    for connection in connections[:10]:
        assert texts(connection.answer()) == ["again"]
    for connection in connections:
        connection.close()


def test_polls_end_in_their_time(service: Service, game: Game) -> None:
    """Also one that is shorter than those that wait already."""
    connections, known = parked(game, 2)
    with service.client() as connection:
        connection.send(game.poll(known, query="f=JSON&timeout=0.3"))
        assert connection.answer().status == 204
    game.say()
    for waiter in connections:
        assert waiter.answer().status == 200
        waiter.close()


def test_clients_that_go_away_leave_their_places(auth: FakeAuth, sqlite: SQLite, tmp_path: Path) -> None:
    with sessions_service(auth, sqlite.new_database(), tmp_path, SESSIONS_POLLS_LIMIT="5") as service:
        game = service.play()
        with service.client() as connection:
            known = up_to_date(game, connection)
        for leave in (RawClient.reset, RawClient.close, RawClient.reset):
            connections = [service.client() for _ in range(5)]
            for connection in connections:
                connection.send(game.poll(known))

            def refused(known: dict[str, int] = known) -> bool:
                with service.client() as late:
                    late.send(game.poll(known, query="f=JSON&timeout=0.05"))
                    return late.answer().status == 503

            wait_until(refused, what="all places taken")
            for connection in connections:
                leave(connection)
            wait_until(lambda: not refused(), what="a free place")
        assert "Traceback" not in service.process.text()


def test_requests_that_come_early_are_answered_in_order(service: Service, game: Game) -> None:
    with service.client() as connection:
        known = up_to_date(game, connection)
        connection.send(game.poll(known))
        wait_until(lambda: get(service.port, "/health")[0] == 200)
        connection.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", game.poll(known, query="f=JSON&timeout=0.05"))
        game.say("first")
        assert texts(connection.answer()) == ["first"]
        assert connection.answer().json()["service"] == "sessions"
        assert texts(connection.answer()) == ["first"]
        connection.send(game.poll(known))
        assert texts(connection.answer()) == ["first"]


def test_an_early_request_of_a_new_connection_is_answered(service: Service, game: Game) -> None:
    with service.client() as known_before, service.client() as new:
        known = up_to_date(game, known_before)
        new.send(game.poll(known))
        assert get(service.port, "/health")[0] == 200  # so that the poll has been read
        new.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        game.say("first")
        assert texts(new.answer()) == ["first"]
        assert new.answer().json()["service"] == "sessions"


def test_odd_requests_are_answered_by_the_application(service: Service, game: Game) -> None:
    with service.client() as connection:
        known = up_to_date(game, connection)
        body = b'{"MESSAGES":-1,"STAKEHOLDERS":-1}'
        head = game.poll({"LOGS": 0}).split(b"\r\nContent-Type")[0]
        sent = [
            (game.poll(known, "Accept: text/html", query="timeout=0"), 200),
            (game.poll({"HOUSES": 1}), 400),
            (game.poll(known, query="f=XML"), 406),
            (game.poll(known, query="f=JSON&timeout=99"), 400),
            (game.poll(known, query="f=JSON&timeout=0"), 204),
            (game.poll(known, query="f=JSON&timeout=0&x=%20"), 204),
            (game.poll(None, path="/api/session/update"), 200),
            (game.poll(None, path=f"/api/slots/{game.session}/update/"), 200),
            (game.poll(None, path="/api/slots/99999/update/"), 400),
            (game.poll(None, "clientToken: twice"), 400),
            (head + b"\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415),
            (head + b"\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n21\r\n" + body + b"\r\n0\r\n\r\n", 200),
        ]
        for request, status in sent * 2:
            connection.send(request)
            answer = connection.answer()
            assert answer.status == status, (request, answer)
        pieces = game.poll({"STAKEHOLDERS": -1})
        connection.send(pieces[:40], pieces[40:-5], pieces[-5:])
        assert connection.answer().status == 200


def test_a_slow_reader_keeps_nobody_waiting(service: Service, game: Game) -> None:
    for _ in range(60):
        game.say("\N{GRINNING FACE}" * 2000)
    with service.client(receive_buffer=4096) as slow, service.client() as quick:
        known = up_to_date(game, quick)
        slow.send(game.poll(known, query="f=JSON&timeout=0.05"))
        assert slow.answer().status == 204
        slow.send(game.poll({"MESSAGES": -1}))  # and reads nothing of half a megabyte
        quick.send(game.poll(known))
        game.say("now")
        assert texts(quick.answer()) == ["now"]
        found = slow.answer()
        assert found.whole
        assert len(texts(found)) >= 60
        slow.send(game.poll({"TIMES": -1}))
        assert slow.answer().status == 200


def test_a_process_that_stops_answers_those_who_wait(auth: FakeAuth, sqlite: SQLite, tmp_path: Path) -> None:
    with sessions_service(auth, sqlite.new_database(), tmp_path) as service:
        connections, _ = parked(service.play(), 20)
        idle = service.client()
        stopping = threading.Thread(target=service.process.stop, args=(30,))
        stopping.start()
        for connection in connections:
            answer = connection.answer()
            assert (answer.status, answer.field("connection")) == (204, "close")
            assert connection.socket.recv(1) == b""
            connection.close()
        stopping.join(15)
        assert not stopping.is_alive()
        assert service.process.child.returncode == 0
        idle.close()


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_two_processes_wake_each_other(auth: FakeAuth, store: str, tmp_path: Path, valkey: Any, request: pytest.FixtureRequest) -> None:
    database = request.getfixturevalue(store).new_database()
    with (
        sessions_service(auth, database, tmp_path, VALKEY_URL=valkey.url) as here,
        sessions_service(auth, database, tmp_path, VALKEY_URL=valkey.url, migrated=True) as there,
    ):
        game = here.play()
        far = Game(there, game.session, game.token, game.client)
        with there.client() as plain, there.client() as by_a_thread:
            known = up_to_date(far, plain)
            up_to_date(far, by_a_thread)
            for text in ("one", "two"):
                plain.send(far.poll(known))
                by_a_thread.send(far.poll(known, *BY_A_THREAD))
                game.say(text)
                for connection in (plain, by_a_thread):
                    answer = connection.answer()
                    assert texts(answer) == [text]
                known = learned(answer, known)
            late = there.join(game.session)  # known there before its wake-up has come here
            with here.client() as connection:
                connection.send(Game(here, late.session, late.token, late.client).poll({"MESSAGES": -1}))
                assert texts(connection.answer()) == ["one", "two"]

            def are_released() -> bool:
                """Kill a session under both polls. A poll that is read only afterwards is told that there is no such session, rightly."""
                game = here.join(here.event("/event/io/start/", "MULTI", "demo"))
                far = Game(there, game.session, game.token, game.client)
                known = up_to_date(far, plain)
                plain.send(far.poll(known))
                by_a_thread.send(far.poll(known, *BY_A_THREAD))
                there.metric("http_requests_total", method="GET", route="/health", status="200")  # answered after the polls were read
                game.kill()
                told = {connection.answer().body for connection in (plain, by_a_thread)}
                assert told <= {b"CLIENT_RELEASED", b"INVALID_TOKEN"}
                return told == {b"CLIENT_RELEASED"}

            wait_until(are_released, 30, "a kill that comes after both polls")
