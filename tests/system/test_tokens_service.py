"""The tokens service as a process: a generator that loops, visitors that poll, processes that wake each other, the end in the middle."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import jwt
import pytest

from tests.support.processes import Process, running
from tests.support.stores import Valkey
from tests.support.waiting import wait_until

SECRET = "a secret of more than thirty-two bytes"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"><rect width="4" height="3" fill="#ff6868"/></svg>'


class Client:
    """One role at one service."""

    def __init__(self, url: str, subject: str) -> None:
        self._address = urlsplit(url).netloc
        self._headers = {"Authorization": "Bearer " + jwt.encode({"sub": subject}, SECRET, "HS256")}

    def send(self, method: str, path: str, body: object = None, **query: object) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=70)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, f"{path}?{urlencode(query)}", content, self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path: str, **query: object) -> tuple[int, bytes]:
        return self.send("GET", path, **query)

    def json(self, path: str, **query: object) -> dict[str, object]:
        status, body = self.get(path, **query)
        assert status == 200, (status, body)
        found: dict[str, object] = json.loads(body)
        return found


def environment(database_url: str, folder: Path, **more: str) -> dict[str, str]:
    return {
        "TOKENS_DATABASE_URL": database_url, "TOKENS_JWT_SECRET": SECRET, "TOKENS_PNG_CACHE": str(folder / "png"),
        "TOKENS_QUEUE_LIMIT": "1000", "AUTH_URL": "http://127.0.0.1:9", **more,
    }  # fmt: skip


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[tuple[str, Process]]:
    with running("tokens", environment(database_url, tmp_path), tmp_path) as started:
        yield started


class Generator(threading.Thread):
    """The installation: takes each new interaction, says its positions, makes a token, hands it over."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._client = Client(url, "generator")
        self.stopping = threading.Event()
        self.taken: list[str] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            self.failure = error

    def _loop(self) -> None:
        since = "0"
        while not self.stopping.is_set():
            status, body = self._client.get("/new_interaction_updates", since=since, timeout=2000)
            if status == 504:
                continue
            assert status == 200, (status, body)
            new = json.loads(body)
            since = new["seq"]
            self.taken.append(new["id"])
            for position in (2, 1):
                assert self._client.get("/update_interaction", id=new["id"], queue_position=position) == (200, b"")
            token = {"svg": SVG, "generated": "2026-01-01T00:00:00.000Z", "keywords": new["keywords"]}
            status, body = self._client.send("PUT", "/token", token)
            assert status == 200, body
            assert self._client.get("/update_interaction", id=new["id"], token_id=json.loads(body)["id"]) == (200, b"")


def visit(url: str, keywords: str) -> dict[str, object]:
    """A visitor's whole way; the token in the end."""
    client = Client(url, "exhibition")
    interaction = client.json("/request_interaction")["id"]
    assert client.get("/deposit_interaction", id=interaction, keywords=keywords) == (200, b"")
    return follow(client, interaction)


def follow(client: Client, interaction: str) -> dict[str, object]:
    """Polls until the token is there; a connection that breaks is only a reason to ask again."""
    since, deadline = "0", time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, body = client.get("/interaction_updates", id=interaction, since=since)
            if status == 200:
                update = json.loads(body)
                since = update["seq"]
                if update["token_id"]:
                    return client.json("/token", id=update["token_id"])
    raise AssertionError("no token came")


def test_generator_and_visitors(service: tuple[str, Process]) -> None:
    url, _ = service
    generator = Generator(url)
    generator.start()
    words = [f"care,future,word{number}" for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        tokens = list(pool.map(lambda one: visit(url, one), words))
    generator.stopping.set()
    generator.join(30)
    assert generator.failure is None
    assert [token["keywords"] for token in tokens] == [one.split(",") for one in words]
    assert len(generator.taken) == len(set(generator.taken)) == 12
    page = Client(url, "public").json("/tokens", offset=0, count=100)
    assert page["total_rows"] == 12


def visits(url: str, name: str, end: float) -> list[str]:
    """A visitor who comes again and again until `end` (monotonic); the words of each visit. Full is full: then it asks again."""
    client, told = Client(url, "exhibition"), []
    while time.monotonic() < end:
        interaction = json.loads(wait_until(lambda: _let_in(client), 60, "a place in the queue", 0.1))["id"]
        words = f"care,{name},visit{len(told)}"
        told.append(words)
        assert client.get("/deposit_interaction", id=interaction, keywords=words) == (200, b"")
        assert follow(client, interaction)["keywords"] == words.split(",")
    return told


def _let_in(client: Client) -> bytes | None:
    status, body = client.get("/request_interaction")
    assert status in (200, 423), (status, body)
    return body if status == 200 else None


@pytest.mark.timeout(180)
def test_a_minute_of_twenty_visitors(database_url: str, tmp_path: Path) -> None:
    """At the limit of the queue all the time: nothing is lost, doubled or refused with anything but 423."""
    with running("tokens", environment(database_url, tmp_path, TOKENS_QUEUE_LIMIT="6"), tmp_path) as (url, _):
        generator = Generator(url)
        generator.start()
        end = time.monotonic() + 60
        with ThreadPoolExecutor(20) as pool:
            told = [words for one in pool.map(lambda number: visits(url, f"visitor{number}", end), range(20)) for words in one]
        generator.stopping.set()
        generator.join(30)
        assert generator.failure is None
        assert len(told) > 20
        assert len(generator.taken) == len(set(generator.taken)) == len(told)
        public, kept, start = Client(url, "public"), [], None
        while True:
            page = public.json("/tokens", count=250, **({"offset": 0} if start is None else {"start_id": start}))
            kept += [",".join(row["keywords"]) for row in page["rows"]]
            start = page["next"]
            if start is None:
                break
        assert sorted(kept) == sorted(told)


@contextlib.contextmanager
def held(url: str, interaction: object, places: int) -> Iterator[list[Future[bytes | None]]]:
    """As many polls as the process has places, all waiting inside it; their updates. One that no wake-up reaches fails: it gets 504."""
    client = Client(url, "exhibition")
    with ThreadPoolExecutor(places) as pool:
        polls = [pool.submit(wait_until, lambda: patient(client, interaction)) for _ in range(places)]
        wait_until(lambda: client.get("/interaction_updates", id=interaction, timeout=50)[0] == 503, what="503 above the limit")
        yield polls


def patient(client: Client, interaction: object) -> bytes | None:
    """The update; None when another poll had the last place."""
    status, body = client.get("/interaction_updates", id=interaction)
    assert status in (200, 503), (status, body)
    return body if status == 200 else None


def test_update_reaches_a_waiting_visitor_at_once(database_url: str, tmp_path: Path) -> None:
    with running("tokens", environment(database_url, tmp_path, TOKENS_POLLS_LIMIT="1"), tmp_path) as (url, _):
        interaction = Client(url, "exhibition").json("/request_interaction")["id"]
        with held(url, interaction, 1) as (poll,):
            Client(url, "generator").get("/update_interaction", id=interaction, queue_position=3)
            assert json.loads(poll.result() or b"")["queue_position"] == 3


def test_two_processes_wake_each_other(database_url: str, valkey: Valkey, tmp_path: Path) -> None:
    env = environment(database_url, tmp_path, VALKEY_URL=valkey.url, TOKENS_POLLS_LIMIT="4")
    with running("tokens", env, tmp_path) as (one, _), running("tokens", env, tmp_path) as (other, _):
        generator = Generator(other)
        generator.start()
        with ThreadPoolExecutor(4) as pool:
            tokens = list(pool.map(lambda number: visit(one, f"a,b,{number}"), range(4)))
        generator.stopping.set()
        generator.join(30)
        assert generator.failure is None and len({token["id"] for token in tokens}) == 4
        interaction = Client(one, "exhibition").json("/request_interaction")["id"]
        with held(one, interaction, 4) as polls:
            Client(other, "generator").get("/update_interaction", id=interaction, queue_position=7)
            assert [json.loads(poll.result() or b"")["queue_position"] for poll in polls] == [7] * 4


def test_end_with_200_polls_open(database_url: str, tmp_path: Path) -> None:
    """A poll lasts a minute; all end when the process is told to."""
    env = environment(database_url, tmp_path)
    with running("tokens", env, tmp_path) as (url, process):
        client = Client(url, "exhibition")
        ids = [client.json("/request_interaction")["id"] for _ in range(200)]
        results: list[int] = []

        def poll(interaction: object) -> None:
            try:
                status = client.get("/interaction_updates", id=interaction)[0]
            except (OSError, http.client.HTTPException):
                status = 0
            results.append(status)

        threads = [threading.Thread(target=poll, args=(one,)) for one in ids]
        for thread in threads:
            thread.start()
        wait_until(lambda: _held(process) >= 200, 30, "200 held polls")
        process.signal(signal.SIGTERM)
        wait_until(lambda: len(results) == 200, 30, "the end of all polls")
        assert set(results) <= {504, 0}
        assert results.count(504) > 150
        wait_until(lambda: not process.alive(), 30, "the end of the process")
    with running("tokens", env, tmp_path) as (url, _):
        Client(url, "generator").get("/update_interaction", id=ids[0], queue_position=1)
        assert Client(url, "exhibition").json("/interaction_updates", id=ids[0], since="0")["queue_position"] == 1


def _held(process: Process) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return max((len(list(Path(f"/proc/{child}/task").iterdir())) for child in children), default=0)


def test_killed_between_update_and_answer_loses_nothing(database_url: str, tmp_path: Path) -> None:
    env = environment(database_url, tmp_path)
    with running("tokens", env, tmp_path) as (url, process):
        visitor = Client(url, "exhibition")
        interaction = visitor.json("/request_interaction")["id"]
        Client(url, "generator").get("/update_interaction", id=interaction, queue_position=5)
        seq = visitor.json("/interaction_updates", id=interaction)["seq"]
        Client(url, "generator").get("/update_interaction", id=interaction, queue_position=4)
        process.kill()
    with running("tokens", env, tmp_path) as (url, _):
        assert Client(url, "exhibition").json("/interaction_updates", id=interaction, since=seq)["queue_position"] == 4


def test_places_of_a_process(database_url: str, tmp_path: Path) -> None:
    with running("tokens", environment(database_url, tmp_path, TOKENS_POLLS_LIMIT="3"), tmp_path) as (url, process):
        interaction = Client(url, "exhibition").json("/request_interaction")["id"]
        with held(url, interaction, 3) as polls:
            assert Client(url, "public").get("/tokens", offset=0)[0] == 200  # short requests still pass
            Client(url, "generator").get("/update_interaction", id=interaction, queue_position=1)
            assert [json.loads(poll.result() or b"")["queue_position"] for poll in polls] == [1, 1, 1]
        assert process.alive()


def test_clients_that_went_away_free_their_places(database_url: str, tmp_path: Path) -> None:
    with running("tokens", environment(database_url, tmp_path, TOKENS_POLLS_LIMIT="2"), tmp_path) as (url, _):
        client = Client(url, "exhibition")
        interaction = client.json("/request_interaction")["id"]
        gone: list[http.client.HTTPConnection] = []

        def full() -> bool:
            connection = http.client.HTTPConnection(urlsplit(url).netloc)
            connection.request("GET", f"/interaction_updates?id={interaction}", headers=client._headers)
            gone.append(connection)
            return client.get("/interaction_updates", id=interaction, timeout=1)[0] == 503

        wait_until(full, what="503 above the limit")
        for connection in gone:
            connection.close()
        wait_until(lambda: client.get("/interaction_updates", id=interaction, timeout=1)[0] == 504, 30, "a free place", 0.2)


def test_stream_over_http(service: tuple[str, Process]) -> None:
    url, process = service
    visitor, generator = Client(url, "exhibition"), Client(url, "generator")
    interaction = visitor.json("/request_interaction")["id"]
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request("GET", f"/interaction_updates?id={interaction}", headers={**visitor._headers, "Accept": "text/event-stream"})
    answer = connection.getresponse()
    assert answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    assert answer.readline() == b"retry: 2000\n"
    generator.get("/update_interaction", id=interaction, queue_position=2)
    lines = [answer.readline() for _ in range(4)]
    assert lines[1].startswith(b"id: ") and json.loads(lines[2][6:])["queue_position"] == 2
    process.signal(signal.SIGTERM)
    answer.read()  # the stream ends, whole
    connection.close()
