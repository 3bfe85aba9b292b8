"""What a browser shows at `/` of the public port when no API listens there: that this is a gateway, and nothing about what it serves.

Rendered once, at the start. Programs get the same refusal as everywhere. No request that belongs to an API comes here.
"""

from __future__ import annotations

from typing import Final

from services.common.pages.negotiation import prefers_html
from services.common.pages.standalone import page
from services.gateway.exchange import Reply

BRAND: Final = "Gatehouse"
VARY: Final = (b"Vary", b"Accept")
_PAGES: Final = {
    404: (
        "Nothing listens here",
        """\
<p>This is an API gateway. No API listens at this address.</p>
<p class="quiet">If a link brought you here, part of its path is missing. If you expected a service here, tell whoever runs it.</p>""",
    ),
    503: (
        "Not ready yet",
        """\
<p>This is an API gateway. It has not loaded its APIs yet, and continues by itself as soon as it has.</p>
<p class="quiet">Try again in a moment. If it stays like this, tell whoever runs it.</p>""",
    ),
}


def wanted(method: str, accept: bytes | None) -> bool:
    """Whether a request for `/` is a browser's. accept: the header, None when there is none."""
    return method in ("GET", "HEAD") and accept is not None and prefers_html(accept.decode("latin-1"))


def reply(status: int) -> Reply:
    """Answer 404 with the page, or 503 with that of a gateway that has no definitions yet."""
    content, headers = _WRITTEN[status]
    return Reply(status, list(headers), content)


def _written(title: str, text: str) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    content, policy = page(title, text, brand=BRAND)
    return content, (
        (b"Content-Type", b"text/html; charset=utf-8"),
        (b"Cache-Control", b"no-store"),
        VARY,
        (b"Content-Security-Policy", policy.encode()),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Referrer-Policy", b"no-referrer"),
        (b"X-Generator", b"gatehouse"),
    )


_WRITTEN: Final = {status: _written(title, text) for status, (title, text) in _PAGES.items()}
