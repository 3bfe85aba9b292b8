"""Clients that poll a session, all in one process and one loop: they must not be what is measured.

    python -m bench.measure.polling HOST:PORT PATH CLIENTS SECONDS < tokens

A line of standard input for each client: session token and client token. Every client asks again as soon as it is answered, with the
versions that it then has. Prints a line `ready` once all wait, and at the end JSON: for each marker `change N` that an answer held, when
each client had it (seconds of the monotonic clock), and how many answers of which status there were.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
from collections import Counter
from typing import Any

MARKER = re.compile(rb"change (\d+)")
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)", re.IGNORECASE)
LISTS = ("STAKEHOLDERS", "SETTINGS", "BUILDINGS", "MESSAGES", "TIMES", "LOGS")


class Client:
    """One connection. known: the versions that it has."""

    def __init__(self, address: tuple[str, int], path: str, tokens: str) -> None:
        token, client = tokens.split()
        self.connection = socket.create_connection(address)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = (
            f"POST {path}?f=JSON&timeout=20 HTTP/1.1\r\nHost: {address[0]}\r\ntoken: {token}\r\nclientToken: {client}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )
        self.known: Known = tuple((name, -1) for name in LISTS)
        self.buffer = b""

    def ask(self) -> None:
        """Send a poll."""
        self.connection.sendall(request(self.head, self.known))

    def read(self) -> tuple[int, bytes] | None:
        """Return status and body once the whole answer is there. Raises EOFError."""
        data = self.connection.recv(1 << 18)
        if not data:
            raise EOFError
        self.buffer += data
        head, mark, body = self.buffer.partition(b"\r\n\r\n")
        if not mark:
            return None
        found = LENGTH.search(head)
        if len(body) < (int(found[1]) if found else 0):
            return None
        self.buffer = b""
        return int(head[9:12]), body


Known = tuple[tuple[str, int], ...]
_requests: dict[tuple[str, Known], bytes] = {}
_read: dict[tuple[Known, bytes], Known] = {}


def request(head: str, known: Known) -> bytes:
    """Write a poll."""
    body = json.dumps(dict(known))
    return f"{head}{len(body)}\r\n\r\n{body}".encode()


def learned(known: Known, body: bytes) -> Known:
    """Return the versions that a client has after an answer; the same answer to the same versions is read once."""
    found = _read.get((known, body))
    if found is None:
        told, versions = json.loads(body), dict(known)
        for kind in ("items", "deletes"):
            for name, items in told[kind].items():
                versions[name] = max([versions[name], *(one["version"] for one in items)])
        if len(_read) > 1000:
            _read.clear()
        found = _read[known, body] = tuple(versions.items())
    return found


def main() -> None:
    host, _, port = sys.argv[1].partition(":")
    path, count, seconds = sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    clients = [Client((host, int(port)), path, sys.stdin.readline()) for _ in range(count)]
    poller = select.epoll()
    by_number = {client.connection.fileno(): client for client in clients}
    for number in by_number:
        poller.register(number, select.EPOLLIN)
    for client in clients:
        client.ask()
    seen: dict[int, list[float]] = {}
    statuses: Counter[int] = Counter()
    first, told = count, False
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number, _ in poller.poll(0.2):
            client = by_number[number]
            answer = client.read()
            if answer is None:
                continue
            now = time.monotonic()
            status, body = answer
            statuses[status] += 1
            if status == 200:
                for found in set(MARKER.findall(body)):
                    seen.setdefault(int(found), []).append(now)
                client.known = learned(client.known, body)
                first -= 1
            if status not in (200, 204):
                time.sleep(0.01)
            client.ask()
        if first <= 0 and not told:
            told = True
            print("ready", flush=True)
            end = time.monotonic() + seconds
    result: dict[str, Any] = {"seen": seen, "statuses": statuses}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
