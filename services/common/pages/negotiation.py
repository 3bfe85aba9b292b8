"""Who gets a page and who gets data (RFC 9110, 12.5.1). Knows no Flask: the data plane of the gateway asks as well."""

from __future__ import annotations

import re

_QUALITY = re.compile(r"q\s*=\s*([01](?:\.[0-9]{0,3})?)", re.IGNORECASE)
_LONGEST = 8192  # characters of a header that are looked at; no browser sends as many


def prefers_html(accept: str) -> bool:
    """Say whether an Accept header puts HTML above JSON, as browsers do. No header and `*/*` mean no: programs get data."""
    qualities: dict[str, float] = {}
    for choice in accept[:_LONGEST].lower().split(","):
        kind, *parameters = (part.strip() for part in choice.split(";"))
        found = next((match[1] for part in parameters if (match := _QUALITY.fullmatch(part))), "1")
        qualities[kind] = max(qualities.get(kind, 0.0), float(found))
    rest = qualities.get("*/*", 0.0)
    html = qualities.get("text/html", qualities.get("text/*", rest))
    return html > qualities.get("application/json", qualities.get("application/*", rest))
