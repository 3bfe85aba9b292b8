"""Single parameters of a query string, without parsing all of it. Queries are ASCII text, as `paths.canonical` gives them."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes


def parameter(query: str, name: str) -> str | None:
    """Return the first value of a parameter, decoded as UTF-8; None when it is not there."""
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key == name or (("%" in key or "+" in key) and _decoded(key) == name):
            return _decoded(value)
    return None


def without_parameter(query: str, name: str) -> str:
    """Return the query without any occurrence of a parameter; everything else stays as it was sent."""
    return "&".join(pair for pair in query.split("&") if _decoded(pair.partition("=")[0]) != name)


def _decoded(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")
