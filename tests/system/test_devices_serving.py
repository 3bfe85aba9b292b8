"""How the devices service reads and answers `POST /data` under gunicorn: one thread for all, and never one request in place of another."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.fake_auth import FakeAuth
from tests.support.freezing import locked
from tests.support.processes import Process, get, running
from tests.support.raw_client import RawClient
from tests.support.stores import SQLite
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

ACCOUNT = "gh_acc_one"
RECORD = b'{"variable":"a","value":1}'


class Service:
    """A running service with one device. database: the SQLite file."""

    def __init__(self, url: str, process: Process, database: Path) -> None:
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.process = process
        self.database = database
        made = requests.post(f"{url}/device", json={"name": "one", "type": "mutable"}, headers={"Token": ACCOUNT}, timeout=30)
        self.token: str = made.json()["result"]["token"]

    def count(self) -> int:
        answer = requests.get(f"{self.url}/data?query=count", headers={"Token": self.token}, timeout=30)
        found: int = answer.json()["result"]
        return found

    def post(self, body: bytes = RECORD, *headers: str, line: str = "POST /data HTTP/1.1", token: str | None = None) -> bytes:
        """The bytes of a request."""
        fields = [line, "Host: x", f"Device-Token: {token or self.token}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*fields, *headers, "", ""]).encode() + body

    def takes_connections(self) -> bool:
        """Whether it answers on a new connection. One that ends accepts none; its address is still listened at."""
        try:
            return requests.get(f"{self.url}/health", timeout=1).ok
        except (requests.Timeout, requests.ConnectionError):
            return False

    def client(self) -> RawClient:
        """A connection that the service keeps: it has answered one request on it, and then takes the next ones as they come."""
        client = RawClient(self.port)
        client.send(self.post())
        assert client.answer().json() == {"status": True, "result": "1 Data Added"}
        return client


@pytest.fixture
def service(sqlite: SQLite, tmp_path: Path) -> Iterator[Service]:
    auth = FakeAuth()
    auth.add(ACCOUNT, "one")
    database = sqlite.new_database()
    env = {
        "DEVICES_DATABASE_URL": database,
        "DEVICES_AUTH_SECRET": "a secret",
        "DEVICES_DATA": str(tmp_path / "devices"),
        "DEVICES_LOG_LEVEL": "WARNING",
        "AUTH_URL": auth.url,
    }
    with running("devices", env, tmp_path) as (url, process):
        yield Service(url, process, Path(database.removeprefix("sqlite:///")))
    auth.close()


def test_the_answer_is_that_of_gunicorn(service: Service) -> None:
    """A header more makes gunicorn's threads answer: nothing but the date may differ."""
    with service.client() as client:
        heads = []
        for headers in ((), ("Connection: Keep-Alive, x",)):
            client.send(service.post(RECORD, "X-Request-Id: an-id", *headers))
            answer = client.answer()
            assert answer.field("date")
            heads.append([(name, value) for name, value in answer.fields if name != "date"])
    assert sorted(heads[0]) == sorted(heads[1])


def test_answers_come_in_order_whoever_answers(service: Service) -> None:
    batch = json.dumps([{"variable": "a"}] * 3).encode()
    requests_and_answers = [
        (service.post(), 200, "1 Data Added"),
        (service.post(batch), 200, "3 Data Added"),
        (service.post(b"{"), 400, "Error on Body parameters"),
        (service.post(b'[{"variable":"a"},{"variable":"$"}]'), 400, "Error on Body parameters"),
        (service.post(token="00000000-0000-0000-0000-000000000000"), 401, "Authorization denied"),
        (service.post(RECORD, "Idempotency-Key: one"), 200, "1 Data Added"),
        (service.post(RECORD, "Idempotency-Key: one"), 200, "1 Data Added"),
        (service.post(RECORD, "Account-Token: other"), 401, "Authorization denied"),
        (service.post(line="POST /data?x=1 HTTP/1.1"), 200, "1 Data Added"),
        (service.post(RECORD, "X-Latin: \u00e9"), 200, "1 Data Added"),
        (service.post(RECORD, "X-Twice: 1", "X-Twice: 2"), 200, "1 Data Added"),
        (service.post(RECORD, "Content-Encoding: gzip"), 200, "1 Data Added"),
        (service.post(b""), 400, "Error on Body parameters"),
        (b"POST /data HTTP/1.1\r\nHost: x\r\n\r\n", 401, "Authorization denied"),
        (b"POST /data HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 401, "Authorization denied"),
        (service.post(RECORD, f"X-Long: {'x' * 5000}"), 200, "1 Data Added"),
        (service.post(line="POST /nowhere HTTP/1.1"), 404, "Not found"),
        (service.post(), 200, "1 Data Added"),
    ]
    with service.client() as client:
        for sent, status, said in requests_and_answers * 2:
            client.send(sent)
            answer = client.answer()
            assert (answer.status, answer.json().get("result") or answer.json()["message"]) == (status, said)
        # one that comes in pieces, and several at once
        whole = service.post(batch)
        client.send(whole[:30], whole[30:-20], whole[-20:])
        assert client.answer().json()["result"] == "3 Data Added"
        client.send(service.post() + service.post(b"{") + service.post(batch))
        assert [client.answer().status for _ in range(3)] == [200, 400, 200]
    assert service.count() == 1 + 2 * (1 + 3 + 1 + 1 + 1 + 1 + 3) - 1 + 3 + 1 + 3


@pytest.mark.parametrize(
    "headers", [("Content-Length: 5",), ("Transfer-Encoding: chunked",), ("content-length:26",), ("Content-Length : 26",), (" folded",)]
)
def test_a_request_that_could_be_read_in_two_ways_ends_the_connection(service: Service, headers: tuple[str, ...]) -> None:
    with service.client() as client:
        client.send(service.post(RECORD, *headers) + service.post())
        answer = client.answer()
        assert answer.status in (400, 501)
        assert client.socket.recv(1) == b""
    assert service.count() == 1


def test_a_header_that_gunicorn_refuses_is_refused(service: Service) -> None:
    with service.client() as client:
        client.send(service.post(RECORD, f"X-Long: {'x' * 9000}"))
        assert client.answer().status in (400, 431)
    assert service.count() == 1


def test_a_store_that_is_locked_keeps_no_thread(service: Service) -> None:
    """Every request is refused in time, and meanwhile the process answers others, also those that ask for a thread."""
    connections = [service.client() for _ in range(40)]
    with locked(service.database):
        began = time.monotonic()
        for connection in connections:
            connection.send(service.post())
        assert get(service.port, "/health")[0] == 200
        assert requests.get(f"{service.url}/info", headers={"Token": service.token}, timeout=30).status_code == 200
        assert time.monotonic() - began < 3
        answers = [connection.answer() for connection in connections]
        assert {answer.status for answer in answers} == {503}
        assert all(answer.field("retry-after") for answer in answers)
        assert time.monotonic() - began < 10
    for connection in connections:
        connection.close()
    stored = service.count()

    def written() -> bool:
        answer = requests.post(
            f"{service.url}/data", RECORD, headers={"Token": service.token, "Content-Type": "application/json"}, timeout=30
        )
        return answer.status_code == 200

    wait_until(written, what="a record after the lock")
    assert (stored, service.count()) == (40, 41)


def test_clients_that_go_away_harm_nobody(service: Service) -> None:
    connections = [service.client() for _ in range(20)]
    with locked(service.database):
        for connection in connections:
            connection.send(service.post())
            connection.reset()
    with service.client() as client:
        client.send(service.post())
        assert client.answer().status == 200
    assert service.process.alive()
    assert "Traceback" not in service.process.text()


def test_what_is_under_way_is_answered_at_the_end(service: Service) -> None:
    connections = [service.client() for _ in range(8)]
    with locked(service.database):
        for connection in connections:
            connection.send(service.post())
        stopping = threading.Thread(target=service.process.stop, args=(30,))
        stopping.start()
        wait_until(lambda: not service.takes_connections(), 4, "the end of accepting")  # so that a process that ends gives the answers
    answers = []
    for connection in connections:
        answers.append(connection.answer())
        assert connection.socket.recv(1) == b""
        connection.close()
    stopping.join(60)
    assert not stopping.is_alive() and not service.process.alive()
    assert {(answer.status, answer.field("connection")) for answer in answers} == {(200, "close")}
