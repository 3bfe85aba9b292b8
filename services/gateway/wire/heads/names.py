"""Names of header fields: their grammar, and the sets of names that an intermediary treats in a way of their own.

Sets hold names in lower case, as bytes; `as_text` converts them for checks of text, such as configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from services.common import header_names

# A token (RFC 9110, 5.6.2): names of fields, methods. Possessive, so that it is read once from left to right.
TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]++"  # noqa: S105  a grammar, no secret
is_token: Final = re.compile(TOKEN.encode()).fullmatch
is_token_text: Final = re.compile(TOKEN).fullmatch

# They speak of one connection and end with it (RFC 9110, 7.6.1; `Proxy-Connection` by custom).
HOP_BY_HOP: Final = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te", b"transfer-encoding",
        b"upgrade",
    }
)  # fmt: skip
FRAMING: Final = frozenset(name.encode("ascii") for name in header_names.FRAMING)
# They say who sent a request, how, and by which way.
FORWARDED: Final = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-prefix", b"forwarded", b"via"})
# What does not go on to an upstream as the client wrote it.
NOT_PASSED_ON: Final = HOP_BY_HOP | FORWARDED | {b"host", b"x-request-id"}
# `Connection` may name any field as its own, but these frame or route the message, or are not fields: they stay, whatever it says.
NEVER_NAMED: Final = frozenset({b"close", b"keep-alive", b"upgrade", b"content-length", b"transfer-encoding", b"host", b"trailer", b""})
# CGI and what came after it (WSGI, Rack, PHP) read `Proxy` as the environment's HTTP_PROXY (httpoxy, CVE-2016-5385).
MISREAD: Final = frozenset({b"proxy"})
# They speak of the bytes of a body, and stand no longer when it is another one.
OF_BODY: Final = frozenset({b"accept-ranges", b"content-digest", b"content-md5", b"digest", b"etag", b"repr-digest"})
# What means something only when the whole body has come, and routes, authenticates and frames nothing (RFC 9110, 6.5.1): digests
# (RFC 9530), signatures (RFC 9421), the result of a call (gRPC), times (W3C Server Timing).
TRAILERS_PASSED: Final = frozenset(
    {
        b"content-digest", b"content-md5", b"digest", b"etag", b"grpc-message", b"grpc-status", b"grpc-status-details-bin", b"repr-digest",
        b"server-timing", b"signature", b"signature-input", b"x-amz-checksum-crc32", b"x-amz-checksum-crc32c", b"x-amz-checksum-sha1",
        b"x-amz-checksum-sha256", b"x-amz-trailer-signature",
    }
)  # fmt: skip


def as_text(names: Iterable[bytes]) -> frozenset[str]:
    """Return the names as text."""
    return frozenset(name.decode("ascii") for name in names)
