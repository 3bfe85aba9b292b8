"""What definitions set and remove among the header fields of requests and answers: how they say it, and the sets that stages apply.

Fields are removed first, then set; a field that is set replaces all that have its name. A value may have variables (`variables`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Set
from typing import Final, NamedTuple

from services.gateway.definitions.checking import checked_texts, read_headers
from services.gateway.definitions.reader import Reader
from services.gateway.exchange import Exchange
from services.gateway.variables import Text, parse
from services.gateway.wire.heads.grammar import Header

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]+")


class HeaderTexts(NamedTuple):
    """One rule as a definition has it. removed: names. added: names and values."""

    removed: tuple[str, ...] = ()
    added: tuple[tuple[str, str], ...] = ()


def read_rule(
    reader: Reader, removing: str, adding: str, check_name: Callable[[str], str], check: Callable[[str, str], tuple[str, str]]
) -> HeaderTexts:
    """Read a rule. removing, adding: its fields, a list of names and an object."""
    return HeaderTexts(tuple(checked_texts(reader, removing, check_name)), read_headers(reader, adding, check))


class HeaderChanges:
    """Rules in their order, as one set. dropped: lower-case names that do not go on as they came. fixed, filled: what is sent, as it stands
    here or with variables. host: the `Host`, None = it stays.
    """

    __slots__ = ("dropped", "filled", "fixed", "host")

    def __init__(self, rules: Iterable[HeaderTexts], pass_headers: Set[bytes] | None = None) -> None:
        """pass_headers: of a request, its names with `_` that go on; None = these are fields of an answer.

        What reads `_` and `-` as one must not find the client's field beside the one that is set.
        """
        last: dict[str, tuple[str, str] | None] = {}
        for rule in rules:
            last.update({name.lower(): None for name in rule.removed})
            for name, value in rule.added:
                last[name.lower()] = (name, value)
        host = last.pop("host", None)
        self.host = host[1].encode("ascii") if host is not None else None
        names = {name.encode("ascii") for name in last}
        if pass_headers is not None:
            alike = {name.encode("ascii").replace(b"_", b"-") for name, sent in last.items() if sent is not None}
            names |= alike | {name for name in pass_headers if name.replace(b"_", b"-") in alike}
        self.dropped = frozenset(names)
        self.fixed: tuple[Header, ...] = ()
        self.filled: tuple[tuple[bytes, Text], ...] = ()
        for sent in last.values():
            if sent is not None:
                name, value = sent
                text = parse(value)
                if text is None:
                    self.fixed += ((name.encode("ascii"), value.encode("utf-8")),)
                else:
                    self.filled += ((name.encode("ascii"), text),)

    def __bool__(self) -> bool:
        return bool(self.dropped) or self.host is not None

    def apply_to_request(self, exchange: Exchange) -> None:
        """Change what goes on to the upstream."""
        if exchange.drop_headers is None and exchange.set_headers is None:
            exchange.drop_headers = self.dropped
            exchange.set_headers = self.fixed
            if self.filled:
                exchange.varying_headers = self.values(exchange)
            exchange.fixed_headers = self
        else:
            for name in self.dropped:
                exchange.drop_header(name)
            exchange.set_headers = [*(exchange.set_headers or ()), *self.fixed, *self.values(exchange)] or None
        if self.host is not None:
            exchange.upstream_host = self.host

    def changed(self, headers: list[Header], exchange: Exchange) -> list[Header]:
        """Return the fields of an answer as they go out."""
        kept = [header for header in headers if header[0].lower() not in self.dropped]
        kept += self.fixed
        if self.filled:
            kept += self.values(exchange)
        return kept

    def values(self, exchange: Exchange) -> list[Header]:
        """Return the fields with variables, filled in for a request."""
        return [(name, field_value(text.fill(exchange))) for name, text in self.filled]


def field_value(text: str) -> bytes:
    """Return a filled text as the value of a field: UTF-8, without line breaks and other control characters."""
    if text.isascii():
        value = text.encode("ascii")
    else:
        # What came in a field is bytes in the guise of Latin-1, and goes on as these bytes where they are UTF-8.
        try:
            value = text.encode("latin-1")
            value.decode("utf-8")
        except UnicodeError:
            value = text.encode("utf-8", "replace")
    return _CONTROL.sub(b"", value).strip(b" \t")
