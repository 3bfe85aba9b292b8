"""Who gets a page and who gets data (RFC 9110, 12.5.1). Knows no Flask: the data plane of the gateway asks as well."""

from __future__ import annotations

import re
from collections.abc import Mapping

_QUALITY = re.compile(r"q\s*=\s*([01](?:\.[0-9]{0,3})?|\.[0-9]{1,3})", re.IGNORECASE)
_LONGEST = 8192  # characters of a header that are looked at; no browser sends as many


def qualities(accept: str) -> dict[str, float]:
    """Read an Accept header: the quality of each media range, in small letters, without parameters."""
    found: dict[str, float] = {}
    for choice in accept[:_LONGEST].lower().split(","):
        kind, *parameters = (part.strip() for part in choice.split(";"))
        quality = next((match[1] for part in parameters if (match := _QUALITY.fullmatch(part))), "1")
        found[kind] = max(found.get(kind, 0.0), float(quality))
    return found


def quality(qualities: Mapping[str, float], kind: str) -> float:
    """Return how much a media type is liked: by the range that names it best."""
    for name in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if name in qualities:
            return qualities[name]
    return 0.0


def prefers_html(accept: str) -> bool:
    """Say whether an Accept header puts HTML above JSON, as browsers do. No header and `*/*` mean no: programs get data."""
    found = qualities(accept)
    return quality(found, "text/html") > quality(found, "application/json")
