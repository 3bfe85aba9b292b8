"""Variables that the texts of a definition may hold: `$tyk_context.NAME` of the request, `$tyk_meta.NAME` of the key's `meta_data`.

A text is taken apart when a definition is built, so that one without variables costs a request nothing. Of the context there are `path`,
`path_parts`, `remote_addr`, `request_id`, `token` (the public id of the key: a secret never goes on), `request_data` (the query),
`request_data_NAME` (its first value), `headers_NAME` and `cookies_NAME`, with `_` for each `-` of the name. What is not there is empty, as
in Tyk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote

from services.gateway.exchange import Exchange

_VARIABLE: Final = re.compile(r"\$tyk_(context|meta)\.([A-Za-z0-9_.\-]+)")
_MOST_PARAMETERS: Final = 100


class Text(NamedTuple):
    """A text with variables. parts: what stands there as it is, and what gives the value of a variable, in turns; the first is a text."""

    parts: tuple[str | Callable[[Exchange], str], ...]

    def fill(self, exchange: Exchange, *, escape: bool = False) -> str:
        """Return the text for a request. escape: values are percent-encoded, for a place in a URL."""
        filled = []
        for part in self.parts:
            if isinstance(part, str):
                filled.append(part)
            else:
                value = part(exchange)
                filled.append(quote(value, safe="") if escape else value)
        return "".join(filled)


def parse(text: str) -> Text | None:
    """Take a text apart; None when it has no variables."""
    pieces = _VARIABLE.split(text)
    if len(pieces) == 1:
        return None
    parts: list[str | Callable[[Exchange], str]] = [pieces[0]]
    for kind, name, after in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        # A full stop at the end of a sentence is not a part of the name.
        bare = name.rstrip(".-")
        parts += [_of_context(bare) if kind == "context" else _of_meta(bare), name[len(bare) :] + after]
    return Text(tuple(parts))


def _of_meta(name: str) -> Callable[[Exchange], str]:
    def value(exchange: Exchange) -> str:
        key = exchange.key
        meta = None if key is None else key.session.get("meta_data")
        return as_text(meta.get(name)) if isinstance(meta, dict) else ""

    return value


def _of_context(name: str) -> Callable[[Exchange], str]:
    if name.startswith("headers_"):
        return lambda exchange: _header(exchange, name[8:])
    if name.startswith("cookies_"):
        return lambda exchange: _cookie(exchange, name[8:])
    if name.startswith("request_data_"):
        return lambda exchange: _parameter(exchange, name[13:])
    return _CONTEXT.get(name, lambda exchange: "")


def as_text(value: Any) -> str:
    """Return a value of `meta_data` as text: JSON for what is not one."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _header(exchange: Exchange, name: str) -> str:
    wanted = name.lower().replace("-", "_").encode("latin-1", "replace")
    for field, value in exchange.headers:
        if field.lower().replace(b"-", b"_") == wanted:
            return value.decode("latin-1")
    return ""


def _cookie(exchange: Exchange, name: str) -> str:
    wanted = name.replace("-", "_")
    for line in exchange.section.values(b"cookie"):
        for part in line.decode("latin-1").split(";"):
            key, _, value = part.strip().partition("=")
            if key.replace("-", "_") == wanted:
                return value.strip('"')
    return ""


def _parameters(exchange: Exchange) -> list[tuple[str, str]]:
    pairs = exchange.query.split("&", _MOST_PARAMETERS)[:_MOST_PARAMETERS]
    return parse_qsl("&".join(pairs), keep_blank_values=True)


def _parameter(exchange: Exchange, name: str) -> str:
    wanted = name.replace("-", "_")
    return next((value for key, value in _parameters(exchange) if key.replace("-", "_") == wanted), "")


def _request_data(exchange: Exchange) -> str:
    """Return the query in Tyk's form: `name:value,value;name:value`."""
    found: dict[str, list[str]] = {}
    for name, value in _parameters(exchange):
        found.setdefault(name, []).append(value)
    return ";".join(f"{name}:{','.join(values)}" for name, values in found.items())


_CONTEXT: Final[dict[str, Callable[[Exchange], str]]] = {
    "path": lambda exchange: exchange.path,
    "path_parts": lambda exchange: ",".join(exchange.path.strip("/").split("/")),
    "remote_addr": lambda exchange: exchange.client,
    "request_id": lambda exchange: exchange.request_id,
    "token": lambda exchange: exchange.key.id if exchange.key is not None else "",
    "request_data": _request_data,
}
