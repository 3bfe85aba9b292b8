"""HTTP calls of scripts: `TykMakeHttpRequest` and `TykBatchRequest`. Runs in the process of the scripts, with the standard library.

A script may call every address, as in Tyk: it comes from who runs the gateway, and most calls go into private networks. Only link-local
addresses, where clouds give out credentials, are refused unless `GATEWAY_SCRIPT_ALLOW` names them. A call goes to the very address that
was checked, follows no redirect, ends before the run does, and reads at most 4 MB; a batch keeps at most 16 MB.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from services.common.addresses import Network, parse_address, parse_network
from services.common.header_names import FRAMING

_LARGEST: Final = 4 * 1024 * 1024
_LARGEST_BATCH: Final = 16 * 1024 * 1024  # of characters, in all answers: a context could not hold many more
_AT_ONCE: Final = 8
_MOST_OF_BATCH: Final = 100
_LINK_LOCAL: Final = tuple(
    parse_network(one) for one in ("169.254.0.0/16", "fe80::/10", "192.0.0.0/24", "fd00:ec2::254/128", "100.100.100.200")
)


class CallFailed(Exception):
    """A call was not made, or its answer cannot be used. The text says why."""


class Calls:
    """The calls of one API's scripts. allowed: link-local networks that may be called."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed

    def single(self, text: str, ends: float) -> str | None:
        """Make the call of `TykMakeHttpRequest`; return Tyk's answer as JSON. ends: on `time.monotonic`. Raises CallFailed."""
        if text == "undefined":
            return None
        asked = _object(text)
        body = str(asked.get("Body") or "") or urlencode(_texts(asked.get("FormData")))
        url = str(asked.get("Domain") or "") + str(asked.get("Resource") or "")
        headers = _texts(asked.get("Headers"))
        if body and asked.get("FormData") and not asked.get("Body") and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        status, fields, content = self.call(str(asked.get("Method") or "GET"), url, headers, body, ends)
        both = {"Code": status, "Body": content, "Headers": fields, "code": status, "body": content, "headers": fields}
        return json.dumps(both)

    def batch(self, text: str, ends: float) -> str:
        """Make the calls of `TykBatchRequest`; return Tyk's answers as JSON, in the order of the requests. Raises CallFailed."""
        asked = _object(text)
        requests = [one for one in asked.get("requests") or () if isinstance(one, Mapping)]
        if len(requests) > _MOST_OF_BATCH:
            raise CallFailed(f"more than {_MOST_OF_BATCH} requests")
        at_once = 1 if asked.get("suppress_parallel_execution") else _AT_ONCE
        room = _Room(_LARGEST_BATCH)
        with ThreadPoolExecutor(at_once) as threads:
            return json.dumps(list(threads.map(lambda one: self._one(one, ends, room), requests)))

    def _one(self, asked: Mapping[str, Any], ends: float, room: _Room) -> dict[str, Any]:
        url = str(asked.get("relative_url") or "")
        try:
            status, fields, content = self.call(
                str(asked.get("method") or "GET"), url, _texts(asked.get("headers")), str(asked.get("body") or ""), ends
            )
            room.take(len(content))
        except CallFailed as error:
            return {"relative_url": url, "code": 500, "headers": {}, "body": str(error)}
        return {"relative_url": url, "code": status, "headers": fields, "body": content}

    def call(self, method: str, url: str, headers: Mapping[str, str], body: str, ends: float) -> tuple[int, dict[str, list[str]], str]:
        """Make one call; return status, header fields and body. Raises CallFailed."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
            if parts.scheme not in ("http", "https") or not host:
                raise CallFailed("the URL must begin with http:// or https:// and name a host")
            connection = _Pinned(host, port, self._address(host, port), parts.scheme == "https", ends)
            sent = {name: value for name, value in headers.items() if name.lower() not in FRAMING}
            place = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            try:
                connection.request(method.upper(), place, body.encode() or None, {**sent, "Connection": "close"})
                return _answer(connection.getresponse(), connection, ends)
            finally:
                connection.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise CallFailed(f"{type(error).__name__}: {error}"[:200]) from None

    def _address(self, host: str, port: int) -> str:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        for text in found:
            address = parse_address(text)
            link_local = any(address in network for network in _LINK_LOCAL) or address.is_multicast
            if not link_local or any(address in network for network in self._allowed):
                return text
        raise CallFailed("the address is link-local; GATEWAY_SCRIPT_ALLOW may name it")


class _Room:
    """What the answers of one batch may still hold. Thread-safe."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        with self._lock:
            if count > self._left:
                raise CallFailed(f"the answers of the batch are larger than {_LARGEST_BATCH} characters in all")
            self._left -= count


class _Pinned(http.client.HTTPConnection):
    """Connects to the address that was checked, in the name of the host. ends: on `time.monotonic`."""

    def __init__(self, host: str, port: int, address: str, secure: bool, ends: float) -> None:
        super().__init__(host, port)
        self.default_port = 443 if secure else 80
        self._address = address
        self._secure = secure
        self._ends = ends

    def connect(self) -> None:
        connected = socket.create_connection((self._address, self.port), _left(self._ends))
        self.sock = _tls().wrap_socket(connected, server_hostname=self.host) if self._secure else connected


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time of the script is over")
    return left


def _answer(answer: http.client.HTTPResponse, connection: _Pinned, ends: float) -> tuple[int, dict[str, list[str]], str]:
    content = bytearray()
    while True:
        if connection.sock is not None:
            connection.sock.settimeout(_left(ends))
        _left(ends)
        piece = answer.read1(65536)
        if not piece:
            break
        content += piece
        if len(content) > _LARGEST:
            raise CallFailed(f"the answer is larger than {_LARGEST} bytes")
    fields: dict[str, list[str]] = {}
    for name, value in answer.getheaders():
        fields.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(value)
    return answer.status, fields, content.decode("utf-8", "replace")


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CallFailed("the argument must be a JSON object, as text")
    return found


def _texts(given: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
