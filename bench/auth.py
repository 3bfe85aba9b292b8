"""Load on the auth service: what the neighbours ask per second, and how long they wait, while people log in beside.

    ./dev bench auth                                    one process of the service, on SQLite and then on a PostgreSQL of its own
    ./dev bench auth --store sqlite                     on one of them only
    ./dev bench auth --database postgresql://…          on an empty database that is there already
    ./dev bench auth --logins 0                         without log-ins, to compare
    ./dev bench auth --connections 1 4 8                the first figures for several numbers of questions under way at once

Two figures of each question: as many as possible over a few connections, each asking again when it has its answer (four by default: the
four neighbours with one question each under way), and 100 a second, at fixed moments (what a neighbour waits). The processor time
is that of the service's process, the log-ins beside included. Absolute figures hold for this machine only, which the load generator, the
log-ins and the database share. Prints the tables of docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.measure.report import machine  # noqa: E402
from tests.support.processes import answers, migrate  # noqa: E402
from tests.support.stores import PostgreSQL  # noqa: E402
from tests.support.waiting import free_port  # noqa: E402

ADMIN = "admin@gatehouse.local"
SERVICE = "bench"
LOGIN_CONNECTIONS = 16


@dataclass
class Auth:
    """A running service. pid: of its worker."""

    port: int
    password: str
    secret: str
    pid: int

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, f"http://127.0.0.1:{self.port}{path}", json=body, auth=(ADMIN, self.password), timeout=30)
        answer.raise_for_status()
        return answer.json()


@contextlib.contextmanager
def own_service(database: str | None) -> Iterator[Auth]:
    """Run one process with the default settings."""
    with tempfile.TemporaryDirectory() as folder:
        port, password, secret = free_port(), secrets.token_hex(16), secrets.token_hex(24)
        env = {
            "AUTH_BIND": f"127.0.0.1:{port}",
            "AUTH_DATABASE_URL": database or f"sqlite:///{folder}/auth.db",
            "AUTH_DATA": folder,
            "AUTH_ADMIN_PASSWORD": password,
            "AUTH_SERVICE_CLIENTS": f"{SERVICE}={secret}",
        }
        migrate("auth", env)
        command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.service.py", "services.auth.wsgi:app"]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, stderr=subprocess.DEVNULL)
        try:
            while not answers(port):
                assert process.poll() is None, "the service did not start"
                time.sleep(0.1)
            yield Auth(port, password, secret, psutil.Process(process.pid).children()[0].pid)
        finally:
            process.terminate()
            process.wait(30)


class Connection:
    """One kept-alive connection that posts JSON."""

    def __init__(self, auth: Auth, path: str, body: Any) -> None:
        credentials = base64.b64encode(f"{SERVICE}:{auth.secret}".encode()).decode()
        data = json.dumps(body).encode()
        self._port = auth.port
        self._request = (
            f"POST {path} HTTP/1.1\r\nHost: auth\r\nAuthorization: Basic {credentials}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        ).encode() + data
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> float:
        """Ask; return the seconds until the whole answer was there. Raises when its status is not 200."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        started = time.perf_counter()
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"answered {head[9:12].decode()}: {body[:200].decode()}")
        return time.perf_counter() - started

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            with contextlib.suppress(ConnectionError):
                await self._streams[1].wait_closed()


async def as_many_as_possible(connections: list[Connection], seconds: float) -> list[float]:
    until = time.perf_counter() + seconds

    async def one(connection: Connection) -> list[float]:
        spent = []
        while time.perf_counter() < until:
            spent.append(await connection.ask())
        return spent

    return [spent for found in await asyncio.gather(*map(one, connections)) for spent in found]


async def at_a_rate(connections: list[Connection], rate: float, seconds: float, spent: list[float]) -> None:
    """Ask at fixed moments, whatever the answers take; a wait for a free connection counts as waiting."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)

    async def one(due: float) -> None:
        connection = await free.get()
        try:
            await connection.ask()
            spent.append(time.perf_counter() - due)
        finally:
            free.put_nowait(connection)

    asking: set[asyncio.Task[None]] = set()

    started = time.perf_counter()
    try:
        for n in range(int(rate * seconds)):
            due = started + n / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asking.add(task := asyncio.create_task(one(due)))
            task.add_done_callback(asking.discard)
    finally:
        await asyncio.gather(*asking)  # those under way are heard out, also when the rest is called off


def shares(spent: list[float]) -> tuple[float, float]:
    """Median and p99 in milliseconds."""
    ordered = sorted(spent)
    return ordered[len(ordered) // 2] * 1000, ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000


Question = tuple[str, Any]


async def measure(auth: Auth, questions: dict[str, Question], logins: int, seconds: float, widths: list[int]) -> list[str]:
    """Measure; return the rows of the table. widths: numbers of connections."""
    worker = psutil.Process(auth.pid)
    waited: list[float] = []
    rows = []
    people = [Connection(auth, "/login", {"email": ADMIN, "password": auth.password}) for _ in range(LOGIN_CONNECTIONS)]
    beside = asyncio.create_task(at_a_rate(people, logins / 60, 3600, waited)) if logins else None
    for name, (path, body) in questions.items():
        for width in widths:
            connections = [Connection(auth, path, body) for _ in range(width)]
            await as_many_as_possible(connections, 1.0)
            before = worker.cpu_times()
            many = await as_many_as_possible(connections, seconds)
            after = worker.cpu_times()
            steady: list[float] = []
            if len(many) / seconds > 150 and width == widths[0]:
                await at_a_rate(connections, 100, seconds, steady)
            cpu = (after.user + after.system - before.user - before.system) / len(many) * 1e6
            at_rate = "{:.1f} ms | {:.1f} ms".format(*shares(steady)) if steady else "– | –"
            median, p99 = shares(many)
            rows.append(f"| {name} | {width} | {len(many) / seconds:,.0f} | {median:.1f} ms | {p99:.1f} ms | {at_rate} | {cpu:.0f} |")
            for connection in connections:
                await connection.close()
    if beside is not None:
        beside.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beside
        median, p99 = shares(waited)
        rows.append(f"| log-in | beside | {logins / 60:.1f} | {median:.0f} ms | {p99:.0f} ms | – | – | – |")
    for connection in people:
        await connection.close()
    return rows


def one_store(title: str, database: str | None, chosen: argparse.Namespace) -> None:
    with own_service(database) as auth:
        key = auth.ask("POST", "/me/login-key")["key"]
        token = {"token": auth.ask("POST", "/me/tokens", {"kind": "account"})["secret"]}
        role = {"token": auth.ask("POST", "/role-tokens", {"subject": "generator"})["token"]}
        user = {"token": auth.ask("POST", "/login", {"email": ADMIN, "password": auth.password})["access_token"]}
        questions: dict[str, Question] = {
            "access token": ("/verify/token", token),
            "role JWT": ("/verify/token", role),
            "sign-in's JWT": ("/verify/token", user),
            "Basic, login key": ("/verify/basic", {"username": ADMIN, "password": key}),
            "Basic, password": ("/verify/basic", {"username": ADMIN, "password": auth.password}),
        }
        rows = asyncio.run(measure(auth, questions, chosen.logins, chosen.seconds, chosen.connections))
    print(f"\n{title}, {chosen.logins} log-ins a minute beside:\n")
    print("| question | connections | a second | median | p99 | at 100 a second: median | p99 | CPU µs |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    print("\n".join(rows), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--database", help="PostgreSQL URL of an empty database; instead of --store")
    parser.add_argument("--logins", type=int, default=200, help="log-ins a minute beside")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, nargs="+", default=[4])
    chosen = parser.parse_args()
    print(machine())
    if chosen.database:
        one_store("On the database given", chosen.database, chosen)
        return
    if chosen.store != "postgresql":
        one_store("SQLite", None, chosen)
    if chosen.store != "sqlite":
        server = PostgreSQL()
        try:
            one_store("PostgreSQL (without fsync)", server.new_database(), chosen)
        finally:
            server.close()


if __name__ == "__main__":
    main()
