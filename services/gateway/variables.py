"""What texts and templates of a definition may hold of a request: its context (`$tyk_context.NAME`), and the `meta_data` of its key
(`$tyk_meta.NAME`).

A text is taken apart when a definition is built, so that one without variables costs a request nothing. Of the context there are `path`,
`path_parts`, `remote_addr`, `request_id`, `token` (the public id of the key: a secret never goes on), `request_data` (the query),
`request_data_NAME` (its first value), `headers_NAME` and `cookies_NAME`, with `_` for each `-` of the name, and `jwt_claims_NAME`. What is
not there is empty, as in Tyk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, quote_plus

from services.gateway.exchange import Exchange

_VARIABLE: Final = re.compile(r"\$tyk_(context|meta)\.([A-Za-z0-9_.\-]+)")
_MOST_PARAMETERS: Final = 100
_HEADERS: Final = "headers_"
_CLAIMS: Final = "jwt_claims_"
# They may be named, and are not among those that are listed.
_SECRET: Final = frozenset({b"authorization", b"cookie", b"proxy-authorization"})

# Gives a value of a request: text, or JSON; None = it is not there.
Read = Callable[[Exchange], Any]


class Text(NamedTuple):
    """A text with variables. parts: what stands there as it is, and what gives the value of a variable, in their order."""

    parts: tuple[str | Callable[[Exchange], str], ...]

    def fill(self, exchange: Exchange, *, escape: bool = False) -> str:
        """Return the text for a request. escape: values are percent-encoded, for a place in a URL."""
        parts = self.parts
        if len(parts) == 1 and not escape and not isinstance(only := parts[0], str):  # the usual one: a variable and nothing else
            return only(exchange)
        filled = []
        for part in parts:
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
        parts += [_text_of_context(bare) if kind == "context" else _text_of_meta(bare), name[len(bare) :] + after]
    return Text(tuple(part for part in parts if part))


class Context(Mapping[str, Any]):
    """The context of a request as templates see it. A value is looked up when it is asked for.

    What holds secrets (`Authorization`, cookies) is given to who names it, and is not among what is gone over.
    """

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __getitem__(self, name: str) -> Any:
        value = _reading(name)(self._exchange)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        names = [*_CONTEXT, *(f"request_data_{_named(name)}" for name in request_data(self._exchange))]
        names += [f"{_CLAIMS}{name}" for name in self._exchange.claims]
        names += [_HEADERS + _named(name.decode("latin-1")) for name, _ in self._exchange.headers if name.lower() not in _SECRET]
        return iter(dict.fromkeys(names))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def meta_data(exchange: Exchange) -> Mapping[str, Any]:
    """Return the `meta_data` of a request's key, empty when it has none."""
    meta = None if exchange.key is None else exchange.key.session.get("meta_data")
    return meta if isinstance(meta, dict) else {}


def as_text(value: Any) -> str:
    """Return a value as text: a list as its elements with commas between them, each escaped, as in Tyk; an object as JSON.

    Halves of characters, which JSON may hold and no address nor field can, become question marks.
    """
    if value is None:
        return ""
    if isinstance(value, list):
        return ",".join(filter(None, (quote_plus(as_text(one)) for one in value)))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _text_of_meta(name: str) -> Callable[[Exchange], str]:
    return lambda exchange: as_text(meta_data(exchange).get(name))


def _text_of_context(name: str) -> Callable[[Exchange], str]:
    read = _TEXTS.get(name)
    if read is not None:
        return read
    value = _reading(name)
    # What came in the head is text, of bytes in the guise of characters.
    return (lambda exchange: as_text(value(exchange))) if name.startswith(_CLAIMS) else (lambda exchange: value(exchange) or "")


def _reading(name: str) -> Read:
    """Return what reads a part of the context."""
    if name in _CONTEXT:
        return _CONTEXT[name]
    for prefix, read in _FAMILIES.items():
        if name.startswith(prefix):
            return _of(read, name[len(prefix) :])
    return _nothing


def _of(read: Callable[[Exchange, str], Any], name: str) -> Read:
    return lambda exchange: read(exchange, name)


def _nothing(exchange: Exchange) -> None:
    return None


def _named(name: str) -> str:
    return name.replace("-", "_")


def _header(exchange: Exchange, name: str) -> str | None:
    wanted = _named(name.lower()).encode("latin-1", "replace")
    for field, value in exchange.headers:
        if field.lower().replace(b"-", b"_") == wanted:
            return value.decode("latin-1")
    return None


def _cookie(exchange: Exchange, name: str) -> str | None:
    wanted = _named(name)
    for line in exchange.section.values(b"cookie"):
        for part in line.decode("latin-1").split(";"):
            key, _, value = part.strip().partition("=")
            if _named(key) == wanted:
                return value.strip('"')
    return None


def _parameters(exchange: Exchange) -> list[tuple[str, str]]:
    pairs = exchange.query.split("&", _MOST_PARAMETERS)[:_MOST_PARAMETERS]
    return parse_qsl("&".join(pairs), keep_blank_values=True)


def _parameter(exchange: Exchange, name: str) -> str | None:
    wanted = _named(name)
    return next((value for key, value in _parameters(exchange) if _named(key) == wanted), None)


def request_data(exchange: Exchange) -> dict[str, list[str]]:
    """Return the values of the first parameters of the query by name."""
    found: dict[str, list[str]] = {}
    for name, value in _parameters(exchange):
        found.setdefault(name, []).append(value)
    return found


def _claim(exchange: Exchange, name: str) -> Any:
    return exchange.claims.get(name)


_CONTEXT: Final[dict[str, Read]] = {
    "path": lambda exchange: exchange.path,
    "path_parts": lambda exchange: exchange.path.strip("/").split("/"),
    "remote_addr": lambda exchange: exchange.client,
    "request_id": lambda exchange: exchange.request_id,
    "token": lambda exchange: exchange.key.id if exchange.key is not None else "",
    "request_data": request_data,
}
_FAMILIES: Final[dict[str, Callable[[Exchange, str], Any]]] = {
    _HEADERS: _header,
    "cookies_": _cookie,
    "request_data_": _parameter,
    _CLAIMS: _claim,
}
# As texts in Tyk's form.
_TEXTS: Final[dict[str, Callable[[Exchange], str]]] = {
    "path_parts": lambda exchange: ",".join(exchange.path.strip("/").split("/")),
    "request_data": lambda exchange: ";".join(f"{name}:{','.join(values)}" for name, values in request_data(exchange).items()),
}
