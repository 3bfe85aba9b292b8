"""Load on the tokens service: held long polls, updates at a steady rate, and pages of a large archive.

    python bench/tokens.py                              starts one process of the service of its own
    python bench/tokens.py --gateway                    the same behind a gateway of its own
    python bench/tokens.py --url http://127.0.0.1:8080/tokens/ --secret …   a running service, also through a gateway

Reported: milliseconds from the generator's update to the visitor's answer, memory and processor time of the process, time of pages.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import datetime as dt
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.gateway import Gateway  # noqa: E402
from tests.support.processes import answers, migrate  # noqa: E402
from tests.support.waiting import free_port  # noqa: E402


@dataclasses.dataclass
class Service:
    """Where the service is. pid: of the process to measure, when it is ours."""

    url: str
    secret: str
    pid: int | None = None
    database: str | None = None


class Connection:
    """One kept-alive connection that sends plain GETs."""

    def __init__(self, service: Service, subject: str) -> None:
        parts = urlsplit(service.url)
        self._host, self._port, self._prefix = parts.hostname or "127.0.0.1", parts.port or 80, parts.path.rstrip("/")
        token = jwt.encode({"sub": subject, "iat": int(time.time())}, service.secret, "HS256")
        self._head = f"Host: {self._host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> tuple[int, bytes]:
        for attempt in (1, 2):
            try:
                if self._streams is None:
                    self._streams = await asyncio.open_connection(self._host, self._port)
                return await self._exchange(*self._streams, path)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.close()
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> tuple[int, bytes]:
        writer.write(f"GET {self._prefix}{path} HTTP/1.1\r\n{self._head}".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            body = b""
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
            return int(head[9:12]), body
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        return int(head[9:12]), await reader.readexactly(length) if length else b""

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def polls(service: Service, count: int, rate: int, seconds: int) -> dict[str, float]:
    """Hold `count` polls, update `rate` interactions a second at random for `seconds`; what visitors waited."""
    exhibition, generator = Connection(service, "exhibition"), [Connection(service, "generator") for _ in range(8)]
    ids = []
    for _ in range(count):
        status, body = await exhibition.get("/request_interaction")
        assert status == 200, (status, body)
        ids.append(json.loads(body)["id"])
    sent: dict[tuple[str, int], float] = {}
    waited: list[float] = []
    refused = [0]
    finished = asyncio.Event()

    async def visit(interaction: str) -> None:
        connection, since = Connection(service, "exhibition"), "0"
        await asyncio.sleep(random.random() * 3)
        while not finished.is_set():
            status, body = await connection.get(f"/interaction_updates?id={interaction}&since={since}")
            now = time.perf_counter()
            if status == 200:
                update = json.loads(body)
                since = update["seq"]
                begun = sent.pop((interaction, update["queue_position"]), None)
                if begun is not None:
                    waited.append((now - begun) * 1000)
            elif status != 504:
                refused[0] += 1
                await asyncio.sleep(0.5)
        connection.close()

    visitors = [asyncio.create_task(visit(one)) for one in ids]
    await asyncio.sleep(6)
    process = psutil.Process(service.pid) if service.pid else None
    idle = await _processor_share(process, 5)
    positions = dict.fromkeys(ids, 0)
    tasks = []

    async def update(connection: Connection, lock: asyncio.Lock, interaction: str, position: int) -> None:
        async with lock:
            sent[interaction, position] = time.perf_counter()
            status, _ = await connection.get(f"/update_interaction?id={interaction}&queue_position={position}")
            if status != 200:
                refused[0] += 1

    locks = [asyncio.Lock() for _ in generator]
    started, before = time.perf_counter(), _processor_time(process)
    order = random.sample(ids, len(ids))
    for number in range(rate * seconds):
        delay = started + number / rate - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        interaction = order[number % len(order)]
        positions[interaction] += 1
        turn = number % len(generator)
        tasks.append(asyncio.create_task(update(generator[turn], locks[turn], interaction, positions[interaction])))
    await asyncio.gather(*tasks)
    spent = time.perf_counter() - started
    busy = (_processor_time(process) - before) / spent * 100
    await asyncio.sleep(1)
    memory = process.memory_info().rss / 1e6 if process else 0.0
    finished.set()
    for task in visitors:
        task.cancel()
    await asyncio.gather(*visitors, return_exceptions=True)
    waited.sort()
    assert waited, "no visitor was told anything"
    return {
        "polls": count, "updates_per_second": round(rate * seconds / spent, 1), "told": len(waited), "not_told": len(sent),
        "failed": refused[0], "p50_ms": waited[len(waited) // 2], "p95_ms": waited[int(len(waited) * 0.95)], "max_ms": waited[-1],
        "memory_mb": memory, "idle_cpu_percent": idle, "busy_cpu_percent": busy,
    }  # fmt: skip


def _processor_time(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return times.user + times.system


async def _processor_share(process: psutil.Process | None, seconds: float) -> float:
    before = _processor_time(process)
    await asyncio.sleep(seconds)
    return (_processor_time(process) - before) / seconds * 100


async def pages(service: Service, total: int) -> dict[str, float]:
    """Read several pages of 24; return the median of 9 times for each, in milliseconds. The archive holds `total` tokens."""
    connection = Connection(service, "public")
    found = {}
    for name, query in {
        "first": "offset=0", "middle": f"offset={total // 2}", "last": f"offset={total - 24}",
        "from_the_end": f"offset=-{total // 2}",
        "oldest_first": f"offset=-{total - 5}&newest_first=false", "largest": f"offset={total // 2}&count=250",
    }.items():  # fmt: skip
        times = []
        for _ in range(9):
            begun = time.perf_counter()
            status, body = await connection.get(f"/tokens?{query}" if "count" in query else f"/tokens?{query}&count=24")
            times.append((time.perf_counter() - begun) * 1000)
            assert status == 200
            assert len(json.loads(body)["rows"]) >= 24
        found[f"{name}_ms"] = sorted(times)[4]
    middle = json.loads((await connection.get(f"/tokens?offset={total // 2}"))[1])["rows"][0]["id"]
    for name in ("start_id", "end_id"):
        begun = time.perf_counter()
        await connection.get(f"/tokens?{name}={middle}&count=24")
        found[f"{name}_ms"] = (time.perf_counter() - begun) * 1000
    connection.close()
    return {"tokens": total, **found}


def fill(database_url: str, total: int, paths: int = 50) -> None:
    """Write tokens straight into the store: what is measured is reading. paths: elements of an SVG, 38 bytes each."""
    import sqlalchemy as sa

    from services.common.database import Database
    from services.tokens.archive.rules.svg import RULES
    from services.tokens.models import Counter, Token, db

    shape = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">' + '<path d="M10 10L90 90" stroke="#f66"/>' * paths + "</svg>"
    database = Database(db, database_url)
    moment = dt.datetime.now(dt.UTC)
    with database.transaction() as session:
        for begin in range(0, total, 5000):
            rows = [
                {
                    "id": 1_000_000 + n, "position": n + 1, "svg": shape, "generated": "2026-01-01T00:00:00Z", "keywords": ["a", "b", "c"],
                    "rules": RULES, "created_at": moment, "idempotency_key": None, "body_digest": "",
                }
                for n in range(begin, min(begin + 5000, total))
            ]  # fmt: skip
            session.execute(sa.insert(Token), rows)
        session.execute(sa.update(Counter).where(Counter.name == "tokens").values(value=1_000_000 + total))
    database.dispose()


@contextlib.contextmanager
def own_service(database: str | None, polls_limit: int) -> Iterator[Service]:
    """Run one process of the service with an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        port, secret, url = free_port(), secrets.token_hex(32), database or f"sqlite:///{folder}/tokens.db"
        env = {
            "TOKENS_BIND": f"127.0.0.1:{port}", "TOKENS_DATABASE_URL": url, "TOKENS_JWT_SECRET": secret, "TOKENS_QUEUE_LIMIT": "10000",
            "TOKENS_POLLS_LIMIT": str(polls_limit), "TOKENS_LOG_LEVEL": "WARNING", "TOKENS_PNG_CACHE": f"{folder}/png",
        }  # fmt: skip
        migrate("tokens", env)
        command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.service.py", "services.tokens.wsgi:app"]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env})
        try:
            while not answers(port):
                assert process.poll() is None, "the service did not start"
                time.sleep(0.1)
            worker = psutil.Process(process.pid).children()[0]
            yield Service(f"http://127.0.0.1:{port}", secret, worker.pid, url)
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def own_gateway(service: Service) -> Iterator[Service]:
    """Put the service behind a gateway with the definition of `deploy/apis/`."""
    definition = json.loads((ROOT / "deploy/apis/tokens.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(Path(folder), [definition], {"UPSTREAM_TOKENS": service.url})
        try:
            yield dataclasses.replace(service, url=f"http://127.0.0.1:{gateway.port}/tokens")
        finally:
            gateway.stop()


def report(measured: dict[str, float]) -> None:
    for name, value in measured.items():
        print(f"  {name:22} {value:10.1f}" if isinstance(value, float) else f"  {name:22} {value:10}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="base URL of a running service or of its listen path at a gateway")
    parser.add_argument("--gateway", action="store_true", help="put a gateway before the own service")
    parser.add_argument("--secret", default="", help="its TOKENS_JWT_SECRET")
    parser.add_argument("--pid", type=int, help="the process of the running service to measure")
    parser.add_argument("--database", help="PostgreSQL URL of an empty database for the own service")
    parser.add_argument("--polls", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=100, help="updates a second")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=100_000, help="size of the archive; 0 leaves the pages out")
    chosen = parser.parse_args()
    given = contextlib.nullcontext(Service(chosen.url, chosen.secret, chosen.pid))
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(given if chosen.url else own_service(chosen.database, chosen.polls))
        if chosen.gateway:
            running = stack.enter_context(own_gateway(running))
        print("long polls")
        report(asyncio.run(polls(running, chosen.polls, chosen.rate, chosen.seconds)))
        if chosen.tokens and running.database:
            fill(running.database, chosen.tokens)
            print("pages")
            report(asyncio.run(pages(running, chosen.tokens)))


if __name__ == "__main__":
    main()
