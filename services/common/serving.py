"""Reading and answering plain requests in gunicorn's main thread, without WSGI: what its workers in several services share.

Only the plainest requests are taken: whole in the kernel's buffer to their last byte, so that reading them cannot block the thread, each
header once, in plain characters. They are looked at before they are read, and so gunicorn reads all others itself.
"""

from __future__ import annotations

import functools
import socket
import time
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any, Final

from gunicorn import SERVER, util

Environ = dict[str, str]

MOST_FIELDS: Final = 50
LONGEST_FIELD: Final = 4 * 1024  # bytes of a header line; gunicorn refuses those of twice as many
FIELDS: Final = rb"((?:[A-Za-z0-9-]+: ?[!-~](?:[ -~]*[!-~])?\r\n)+)\r\n"  # of a head, behind the request line
KEPT: Final[Future[bool]] = Future()  # what gunicorn takes for a connection that may send its next request
KEPT.set_result(True)


def peek(connection: socket.socket, most: int) -> bytes:
    """Return what has come, at most so many bytes, without taking it out."""
    try:
        return connection.recv(most, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return b""


def environ(lines: bytes) -> Environ | None:
    """Read header lines as WSGI has them. None when one comes twice, or something is to be done besides answering."""
    split = lines.decode("ascii").split("\r\n")[:-1]
    fields = [line.partition(":") for line in split]
    found = {f"HTTP_{name.upper().replace('-', '_')}": value.strip() for name, _, value in fields}
    if len(found) != len(fields) or len(fields) > MOST_FIELDS or "HTTP_HOST" not in found:
        return None
    if max(map(len, split)) > LONGEST_FIELD:
        return None
    if found.get("HTTP_CONNECTION", "keep-alive").lower() != "keep-alive":
        return None
    found["CONTENT_TYPE"] = found.pop("HTTP_CONTENT_TYPE", "")
    found["CONTENT_LENGTH"] = found.pop("HTTP_CONTENT_LENGTH", "")
    return found


def head(status: int, headers: Any, *, kept: bool) -> str:
    """Write the head of an answer as gunicorn and Werkzeug do, without the empty line at its end.

    headers: names and values. kept: the connection stays.
    """
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase.upper()}\r\nServer: {SERVER}\r\nDate: {_date(int(time.time()))}\r\n"
    return line + f"Connection: {'keep-alive' if kept else 'close'}\r\n" + "".join([f"{name}: {value}\r\n" for name, value in headers])


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    """Write the moment as HTTP does. second: Unix time."""
    written: str = util.http_date(second)
    return written
