"""Who really asks: the headers of the proxies before the service, believed only when a trusted proxy sent them.

The gateway, which hands requests to the service, is trusted differently from the proxies before it. The gateway appends the address that it
got a request from; what is left of that address counts only when the address is that of one of the gateway's own trusted proxies. Otherwise
anybody on the gateway's machine, or in its network, could name any address and have failed log-ins counted for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from services.common.addresses import AddressSet, Network, client_behind

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]{1,64}){1,8}")
Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]


class TrustedProxies:
    """WSGI middleware: REMOTE_ADDR, the scheme, the host and the prefix as the client sees them."""

    def __init__(self, application: Application, trusted: tuple[Network, ...], beyond: tuple[Network, ...] = ()) -> None:
        """Wrap an application. trusted: who hands requests to the service. beyond: the proxies before those."""
        self._application = application
        self._trusted = AddressSet(trusted)
        self._beyond = AddressSet(beyond)

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ.get("REMOTE_ADDR", "") in self._trusted:
            forwarded = [entry.strip() for entry in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
            environ["REMOTE_ADDR"] = client_behind(environ["REMOTE_ADDR"], forwarded, self._beyond)
            proto = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip()
            if proto in ("http", "https"):
                environ["wsgi.url_scheme"] = proto
            host = environ.get("HTTP_X_FORWARDED_HOST", "").rpartition(",")[2].strip()
            if _HOST.fullmatch(host):
                environ["HTTP_HOST"] = host
            prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
            if _PREFIX.fullmatch(prefix) and ".." not in prefix:
                environ["SCRIPT_NAME"] = prefix
        return self._application(environ, start_response)
