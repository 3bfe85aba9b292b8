"""One request into a WSGI application in a thread, its answer back out (PEP 3333).

For applications with little traffic: bodies are read whole (up to a limit) and answers are collected whole.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Any
from urllib.parse import unquote_to_bytes

from services.gateway.wire.connection import Connection
from services.gateway.wire.heads.grammar import Header

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
# Status, headers without a length, body.
Answer = tuple[int, list[Header], bytes]


def environ(
    method: str, target: str, headers: Sequence[Header], body: bytes, peer: str, server: tuple[str, int], secure: bool
) -> dict[str, Any]:
    """Make the environ of a request. target: path and query as sent, Latin-1."""
    path, _, query = target.partition("?")
    result: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "RAW_URI": target,
        "QUERY_STRING": query,
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": peer,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if secure else "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        # A name with an underscore would be taken for the one with a hyphen.
        if b"_" in name:
            continue
        key = name.decode("ascii").upper().replace("-", "_")
        text = value.decode("latin-1")
        if key == "CONTENT_TYPE":
            result["CONTENT_TYPE"] = text
        elif key not in ("CONTENT_LENGTH", "TRANSFER_ENCODING", "CONNECTION"):
            key = "HTTP_" + key
            result[key] = f"{result[key]},{text}" if key in result else text
    return result


def answer_here(application: Application, request: dict[str, Any]) -> Answer:
    """Run the application in this thread. What it raises is raised here."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        started[:] = [(status, headers)]
        return written.append

    written: list[bytes] = []
    answer = application(request, start_response)
    try:
        body = b"".join([*written, *answer])
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()
    status, headers = started[0]
    kept = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers if name.lower() != "content-length"]
    return int(status[:3]), kept, body


async def answer(connection: Connection, application: Application, threads: Executor, request: dict[str, Any]) -> Answer:
    """Run the application in a thread. What it raises is raised here."""
    return await connection.sockets.loop.run_in_executor(threads, answer_here, application, request)
