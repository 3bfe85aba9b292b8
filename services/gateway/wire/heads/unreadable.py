"""What the head of a request that is refused unread seems to ask for: enough to choose the shape of the refusal, and for nothing else."""

from __future__ import annotations

import re
from typing import Final

from services.gateway.wire.heads.grammar import LARGEST_HEAD

_PATH: Final = re.compile(rb"(?:\r\n)?[!-~]{1,32} (?:[Hh][Tt][Tt][Pp][Ss]?://[^/?# \r\n]*)?(/[^?# \r\n]*)").match
_HOST: Final = re.compile(rb"\n[Hh][Oo][Ss][Tt][ \t]*:[ \t]*([^\s:/]+)").search


def seems_to_ask(data: bytes) -> tuple[str, str]:
    """Return the host and the path that the bytes of a head name, as far as they go; empty when they name none.

    Host: lower case, without port. Path: as it was sent, without query. Neither is checked: the one may be ambiguous, the other may climb.
    """
    path = _PATH(data)
    host = _HOST(data, 0, LARGEST_HEAD)
    return (
        host[1].decode("latin-1").lower().rstrip(".") if host else "",
        path[1].decode("latin-1") if path else "",
    )
