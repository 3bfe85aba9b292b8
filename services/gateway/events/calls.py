"""One webhook call over HTTP, to the very address that was checked.

The host is resolved once; the call goes to the address that passed, with the host's name in `Host`, in TLS and in the certificate check. A
name that answers differently the second time (DNS rebinding) changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from services.gateway.definitions.values import host_name
from services.gateway.events.targets import checked_address

TIMEOUTS: Final = (5.0, 30.0)
_READ_OF_ANSWER: Final = 1024
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection", "host", "trailer", "upgrade", "te", "expect"})


class _Pinned(HTTPAdapter):
    """Speaks TLS in the name of the host although the URL holds its address."""

    def __init__(self, host: str) -> None:
        self._host = host
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, server_hostname=self._host, assert_hostname=self._host, **options)


def call(
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    allowed: Sequence[IPv4Network | IPv6Network],
    timeouts: tuple[float, float] = TIMEOUTS,
) -> int:
    """Makes one call; its status. Redirects are not followed. Headers that frame the message are ours, whatever `headers` says.

    Raises TargetRefused, OSError, ValueError for what cannot be sent, requests' exceptions.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    if ":" not in host:
        host = host_name(host)
    port = parts.port or (443 if secure else 80)
    address = checked_address(host, port, allowed)
    with requests.Session() as session:
        session.trust_env = False  # no proxy of the environment, no .netrc
        if secure:
            session.mount("https://", _Pinned(host))
        prepared = session.prepare_request(
            requests.Request(method, urlunsplit((parts.scheme, _place(address, port), parts.path or "/", parts.query, "")), data=body)
        )
        prepared.headers.clear()
        prepared.headers["Host"] = _place(host, parts.port)
        prepared.headers["Content-Length"] = str(len(body))
        for name, value in headers:
            if name.lower() not in _FRAMING:
                prepared.headers[name] = value.encode("utf-8", "replace")  # type: ignore[assignment]  # text would have to be Latin-1
        answer = session.send(prepared, timeout=timeouts, allow_redirects=False, stream=True)
        try:
            answer.raw.read1(_READ_OF_ANSWER)  # once: a receiver that answers drop by drop must not hold us
        except (OSError, ValueError, HTTPError):
            pass  # the status has come, and it is all that counts
        finally:
            answer.close()
        return answer.status_code


def _place(host: str, port: int | None) -> str:
    host = f"[{host}]" if ":" in host else host
    return host if port is None else f"{host}:{port}"
