"""The head of a request for detailed records: only values that are known to hold no secret are shown, all others are masked.

A list of what is harmless cannot forget a header in which some API takes its keys. The query is left out.
"""

from __future__ import annotations

from typing import Final

from services.common.logging import mask_secrets
from services.gateway.exchange import Exchange

LARGEST: Final = 4096
MASK: Final = "***"
_SHOWN: Final = frozenset(
    b"accept accept-charset accept-encoding accept-language cache-control connection content-encoding content-language content-length"
    b" content-type date expect host if-modified-since if-unmodified-since max-forwards origin pragma range te trailer transfer-encoding"
    b" upgrade user-agent x-forwarded-proto".split()
)


def head_of(exchange: Exchange, path: str) -> str:
    """Return the head as it came, masked, at most 4,096 characters. path: what is shown of its path."""
    lines = [f"{exchange.method} {mask_secrets(path)} HTTP/1.1"]
    room = LARGEST - len(lines[0])
    for name, value in exchange.headers:
        shown = mask_secrets(value.decode("latin-1")) if name.lower() in _SHOWN else MASK
        line = f"{name.decode('latin-1')}: {shown}"
        room -= len(line) + 2
        if room < 0:
            break
        lines.append(line)
    return "\r\n".join(lines)[:LARGEST]
