"""Where webhooks may go: not into private networks, unless the operator names them, and to the very address that was checked.

The host is resolved once; the call goes to the address that passed, with the host's name in `Host`, in TLS and in the certificate check. A
name that answers differently the second time (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter

from services.gateway.routing.client_address import parse_address

TIMEOUTS: Final = (5.0, 30.0)
_READ_OF_ANSWER: Final = 1024


class TargetRefused(Exception):
    """A webhook may not go there. The text says why."""


class _Pinned(HTTPAdapter):
    """Speaks TLS in the name of the host although the URL holds its address."""

    def __init__(self, host: str) -> None:
        self._host = host
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, server_hostname=self._host, assert_hostname=self._host, **options)


def checked_address(host: str, port: int, allowed: Sequence[IPv4Network | IPv6Network]) -> str:
    """An address of the host that may be called. Raises TargetRefused, OSError when the name is not known."""
    found = [entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for text in found:
        address = parse_address(str(text))
        if (address.is_global and not address.is_multicast) or any(address in network for network in allowed):
            return str(address)
    raise TargetRefused("the target is in a private network; GATEWAY_WEBHOOK_ALLOW can name networks that may be called")


def call(
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    allowed: Sequence[IPv4Network | IPv6Network],
    timeouts: tuple[float, float] = TIMEOUTS,
) -> int:
    """Makes one call; its status. Redirects are not followed. Raises TargetRefused, OSError, requests' exceptions."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    address = checked_address(host, port, allowed)
    place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    with requests.Session() as session:
        session.trust_env = False  # no proxy of the environment, no .netrc
        if secure:
            session.mount("https://", _Pinned(host))
        prepared = session.prepare_request(
            requests.Request(method, urlunsplit((parts.scheme, place, parts.path or "/", parts.query, "")), data=body)
        )
        prepared.headers.clear()
        prepared.headers["Host"] = parts.netloc.rpartition("@")[2]
        prepared.headers["Content-Length"] = str(len(body))
        for name, value in headers:
            prepared.headers[name] = value
        answer = session.send(prepared, timeout=timeouts, allow_redirects=False, stream=True)
        try:
            answer.raw.read(_READ_OF_ANSWER)
            return answer.status_code
        finally:
            answer.close()
