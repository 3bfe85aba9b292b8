"""Who really asks: the headers of the proxies before the service, believed only when a trusted proxy sent them."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any

from services.common.settings import IPNetwork

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]{1,64}){1,8}")
Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]


class TrustedProxies:
    """WSGI middleware: REMOTE_ADDR, the scheme and the prefix as the client sees them."""

    def __init__(self, application: Application, trusted: tuple[IPNetwork, ...]) -> None:
        self._application = application
        self._trusted = trusted
        self._is_trusted = functools.lru_cache(maxsize=4096)(self._read)  # the neighbours ask from the same few addresses

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if self._is_trusted(environ.get("REMOTE_ADDR", "")):
            environ["REMOTE_ADDR"] = self._client(environ)
            proto = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip()
            if proto in ("http", "https"):
                environ["wsgi.url_scheme"] = proto
            prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
            if _PREFIX.fullmatch(prefix) and ".." not in prefix:
                environ["SCRIPT_NAME"] = prefix
        return self._application(environ, start_response)

    def _read(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        return any((mapped or parsed) in network for network in self._trusted)

    def _client(self, environ: Environ) -> str:
        """The nearest address that is no trusted proxy: what stands further left, the client may have written itself."""
        found: str = environ["REMOTE_ADDR"]
        for entry in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            try:
                found = str(ipaddress.ip_address(entry.strip().strip('"[]')))
            except ValueError:
                break
            if not self._is_trusted(found):
                break
        return found
