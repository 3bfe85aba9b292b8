"""One webhook call over HTTP, to the very address that was checked.

The host is resolved once; the call goes to the address that passed, with the host's name in `Host`, in TLS and in the certificate check. A
name that answers differently the second time (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from services.common.addresses import Network, bracketed, host_name, host_port
from services.common.header_names import FRAMING
from services.common.webhooks.targets import checked_address

TIMEOUTS: Final = (5.0, 30.0)
ALTOGETHER: Final = 60.0
_READ_OF_ANSWER: Final = 1024
_NEVER_SENT: Final = FRAMING | {"host", "expect"}


class _Deadline:
    """Ends a connection when its time is over, whatever it is doing: time-outs of single reads start again with every byte."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self.over = False

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._socket is not None:
                self._socket.close()

    def watch(self, connected: socket.socket) -> None:
        """Keep a second handle of the same connection: TLS takes the first one over."""
        with self._lock:
            self._socket = connected.dup()
        if self.over:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self.over = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


class _Pinned(HTTPAdapter):
    """Its connections end at the deadline, and speak TLS in the name of the host although the URL holds its address."""

    def __init__(self, deadline: _Deadline, tls: Mapping[str, str]) -> None:
        self._deadline = deadline
        self._tls = tls
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **{**options, **self._tls})
        deadline = self._deadline

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                connected = super()._new_conn()
                deadline.watch(connected)
                return connected

        class Secure(Plain, HTTPSConnection):
            pass

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def call(
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    allowed: Sequence[Network],
    timeouts: tuple[float, float] = TIMEOUTS,
    altogether: float = ALTOGETHER,
) -> int:
    """Make one call and return its status. Redirects are not followed. Headers that frame the message are ours, whatever `headers` says.

    timeouts: seconds of the connect and of each read. altogether: seconds after which a connection is cut.
    Raises TargetRefused, OSError, ValueError for what cannot be sent, requests' exceptions.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    if ":" not in host:
        host = host_name(host)
    port = parts.port or (443 if secure else 80)
    address = checked_address(host, port, allowed)
    tls = {"server_hostname": host, "assert_hostname": host} if secure else {}
    with _Deadline(altogether) as deadline, requests.Session() as session:
        session.trust_env = False  # no proxy of the environment, no .netrc
        session.mount(f"{parts.scheme}://", _Pinned(deadline, tls))
        prepared = session.prepare_request(
            requests.Request(method, urlunsplit((parts.scheme, _place(address, port), parts.path or "/", parts.query, "")), data=body)
        )
        prepared.headers.clear()
        prepared.headers["Host"] = _place(host, parts.port)
        prepared.headers["Content-Length"] = str(len(body))
        for name, value in headers:
            if name.lower() not in _NEVER_SENT:
                prepared.headers[name] = value.encode("utf-8", "replace")  # type: ignore[assignment]  # text would have to be Latin-1
        answer = session.send(prepared, timeout=timeouts, allow_redirects=False, stream=True)
        if deadline.over:  # a head that was cut looks like one that ended
            answer.close()
            raise TimeoutError
        try:
            answer.raw.read1(_READ_OF_ANSWER)  # once: a receiver that answers drop by drop must not hold us
        except (OSError, ValueError, HTTPError):
            pass  # the status has come, and it is all that counts
        finally:
            answer.close()
        return answer.status_code


def _place(host: str, port: int | None) -> str:
    return bracketed(host) if port is None else host_port(host, port)
