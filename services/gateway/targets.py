"""Upstream addresses of definitions, as the wire needs them."""

from __future__ import annotations

from services.common.addresses import bracketed
from services.gateway.definitions.model import TargetUrl
from services.gateway.exchange import Target


def target(url: TargetUrl) -> Target:
    """Return an upstream address as the wire needs it."""
    if url.loop is not None:
        return Target(url.scheme, url.host, 0, url.path, url.query, b"", (url.scheme, url.host, 0), url.loop)
    name = bracketed(url.host)
    usual = 443 if url.scheme == "https" else 80
    host = name if url.port == usual else f"{name}:{url.port}"
    origin = (url.scheme, url.host, url.port)
    return Target(url.scheme, url.host, url.port, url.path, url.query, host.encode("ascii"), origin)
