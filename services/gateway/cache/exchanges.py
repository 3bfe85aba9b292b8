"""From an answer that is kept to a reply, and from an upstream's answer to one that is kept."""

from __future__ import annotations

import secrets
from typing import Any, Final

from services.gateway.cache.answers import Answer, Varying
from services.gateway.cache.port import LARGEST_BODY, AnswerStore
from services.gateway.cache.requests import Asked, variant_of
from services.gateway.cache.storable import Rule, Terms, terms
from services.gateway.exchange import Exchange, Reply, ResponseHead
from services.gateway.wire.heads.grammar import Header

_REWRITTEN: Final = frozenset({b"age", b"connection", b"content-length", b"date", b"keep-alive", b"x-request-id", b"x-tyk-cached-response"})
_CACHED: Final[Header] = (b"x-tyk-cached-response", b"1")


def reply_of(exchange: Exchange, asked: Asked, kept: Answer, age: float) -> Reply:
    told = (b"Age", b"%d" % age)
    if asked.conditional and kept.status == 200 and _is_known(exchange.fields, kept):
        unchanged = [
            header for header in kept.headers if not header[0].lower().startswith(b"content-") or header[0].lower() == b"content-location"
        ]
        return Reply(304, [*unchanged, told, _CACHED])
    return Reply(kept.status, [*kept.headers, told, _CACHED], kept.body)


def _is_known(given: dict[bytes, bytes], kept: Answer) -> bool:
    """Whether the client has this answer already. A tag outranks a date (RFC 9110, 13.2.2); dates are compared as they are written."""
    tags = given.get(b"if-none-match")
    if tags is None:
        return bool(kept.last_modified) and given.get(b"if-modified-since") == kept.last_modified
    mine = kept.etag.removeprefix(b"W/")
    return tags.strip() == b"*" or (bool(mine) and any(tag.strip().removeprefix(b"W/") == mine for tag in tags.split(b",")))


class Copy:
    """Keeps the answer to one request. varying: what was known of its name; mark: of the store; asked: epoch seconds."""

    __slots__ = ("_api_id", "_asked", "_mark", "_name", "_rule", "_store", "_terms", "_varying")
    most = LARGEST_BODY

    def __init__(self, store: AnswerStore, api_id: str, rule: Rule, name: bytes, varying: Varying | None, mark: Any, asked: float) -> None:
        self._store = store
        self._api_id = api_id
        self._rule = rule
        self._name = name
        self._varying = varying
        self._mark = mark
        self._asked = asked
        self._terms: Terms | None = None

    def wants(self, exchange: Exchange, head: ResponseHead) -> bool:
        self._terms = terms(head.status, head.headers, self._rule, self._asked)
        return self._terms is not None

    def take(self, exchange: Exchange, head: ResponseHead, body: bytes) -> None:
        found = self._terms
        if found is None:
            return
        until = self._asked + found.seconds
        given = {name.lower(): value for name, value in head.headers}
        answer = Answer(
            head.status,
            tuple([header for header in head.headers if header[0].lower() not in _REWRITTEN]),
            bytes(body),
            given.get(b"etag", b""),
            given.get(b"last-modified", b""),
            self._asked - found.age,
            until,
        )
        name = self._name
        if found.vary:
            varying = self._varying
            if varying is None or varying.fields != found.vary or varying.until < until:
                nonce = varying.nonce if varying is not None and varying.fields == found.vary else secrets.token_bytes(8)
                varying = Varying(found.vary, nonce, until)
                self._store.keep(self._api_id, name, varying, self._mark)
            name = variant_of(exchange, name, varying)
        self._store.keep(self._api_id, name, answer, self._mark)
