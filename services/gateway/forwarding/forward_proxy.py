"""The forward proxy that the settings name for connections to upstreams."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from services.gateway.definitions.lint import stays_here
from services.gateway.settings import Settings
from services.gateway.wire.routes import ForwardProxy


def forward_proxy(settings: Settings) -> Callable[[str], ForwardProxy | None] | None:
    """Return what gives the proxy of the settings to a host: None for those that are near. None when there is no proxy."""
    if settings.upstream_proxy is None:
        return None
    url = urlsplit(settings.upstream_proxy)
    authorization = b""
    if url.username is not None:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
        authorization = b"Basic " + base64.b64encode(pair)
    proxy = ForwardProxy(url.hostname or "", url.port or 80, authorization)
    return lambda host: None if stays_here(host) else proxy
