"""Load on the auth service: what the neighbours ask per second, and how long they wait, while people log in beside.

    ./dev bench auth                                    one process of the service of its own, on SQLite
    ./dev bench auth --database postgresql://…          the same on an empty PostgreSQL database
    ./dev bench auth --logins 0                         without log-ins, to compare

Two figures of each question: as many as possible over a few connections (rate), and 100 a second (what a neighbour waits). The processor
time includes what the log-ins beside cost meanwhile. Absolute figures hold for this machine only, which the load generator shares.
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

from tests.support.processes import answers, migrate  # noqa: E402
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
    """One process with the default settings."""
    with tempfile.TemporaryDirectory() as folder:
        port, password, secret = free_port(), secrets.token_hex(16), secrets.token_hex(24)
        env = {
            "AUTH_BIND": f"127.0.0.1:{port}",
            "AUTH_DATABASE_URL": database or f"sqlite:///{folder}/auth.db",
            "AUTH_DATA": folder,
            "AUTH_ADMIN_PASSWORD": password,
            "AUTH_SERVICE_CLIENTS": f"{SERVICE}={secret}",
            "AUTH_LOG_LEVEL": "WARNING",
        }
        migrate("auth", env)
        command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.service.py", "services.auth.wsgi:app"]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env})
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
        """Seconds until the whole answer was there. Raises when it was not a good one."""
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


def shares(spent: list[float]) -> str:
    ordered = sorted(spent)
    return "".join(f"{ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000:9.1f}" for share in (0.5, 0.99))


async def measure(auth: Auth, questions: dict[str, tuple[str, Any]], logins: int, seconds: float, width: int) -> None:
    print(f"{logins} log-ins a minute beside; times in milliseconds")
    print(f"  {'question':28}{'a second':>10}{'median':>9}{'p99':>9}   at 100/s:{'median':>9}{'p99':>9}{'CPU us':>9}")
    worker = psutil.Process(auth.pid)
    waited: list[float] = []
    people = [Connection(auth, "/login", {"email": ADMIN, "password": auth.password}) for _ in range(LOGIN_CONNECTIONS)]
    beside = asyncio.create_task(at_a_rate(people, logins / 60, 3600, waited)) if logins else None
    for name, (path, body) in questions.items():
        connections = [Connection(auth, path, body) for _ in range(width)]
        await as_many_as_possible(connections, 1.0)
        before = worker.cpu_times()
        many = await as_many_as_possible(connections, seconds)
        after = worker.cpu_times()
        steady: list[float] = []
        if len(many) / seconds > 150:
            await at_a_rate(connections, 100, seconds, steady)
        cpu = (after.user + after.system - before.user - before.system) / len(many) * 1e6
        print(f"  {name:28}{len(many) / seconds:10.0f}{shares(many)}   {'':9}{shares(steady) if steady else ' ' * 18}{cpu:9.0f}")
        for connection in connections:
            await connection.close()
    if beside is not None:
        beside.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beside
        print(f"  {'log-ins':28}{'':10}{shares(waited)}   ({len(waited)} done)")
    for connection in people:
        await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", help="PostgreSQL URL of an empty database")
    parser.add_argument("--logins", type=int, default=200, help="log-ins a minute beside")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=8)
    chosen = parser.parse_args()
    with own_service(chosen.database) as auth:
        key = auth.ask("POST", "/me/login-key")["key"]
        token = {"token": auth.ask("POST", "/me/tokens", {"kind": "account"})["secret"]}
        role = {"token": auth.ask("POST", "/role-tokens", {"subject": "generator"})["token"]}
        questions = {
            "/verify/token, access token": ("/verify/token", token),
            "/verify/token, role JWT": ("/verify/token", role),
            "/verify/basic, login key": ("/verify/basic", {"username": ADMIN, "password": key}),
            "/verify/basic, password": ("/verify/basic", {"username": ADMIN, "password": auth.password}),
        }
        asyncio.run(measure(auth, questions, chosen.logins, chosen.seconds, chosen.connections))


if __name__ == "__main__":
    main()
