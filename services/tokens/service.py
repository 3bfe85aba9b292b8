"""The archive of tokens: what a request means, before anything is stored."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

from sqlalchemy.exc import SQLAlchemyError

from services.common import logging as logs
from services.common.clock import Clock
from services.tokens import ids, refusals, svg
from services.tokens.models import Token
from services.tokens.store import Entry, KeyReused, NewToken, Page, TokenStore

log = logs.get(__name__)

COUNT_LIMIT = 250
OFFSET_LIMIT = 2**31
SVG_LIMIT = 1_000_000  # bytes in UTF-8, as sent and as written down
PART = 1_000_000  # bytes of SVGs that are in memory for one page
KEYWORD_LIMIT = 200  # characters
CLEANING_WAIT_S = 10.0

_KEY = re.compile(r"[\x20-\x7e]{1,255}\Z").match
_WHOLE = re.compile(r"[+-]?[0-9]{1,10}\Z").match


class Archive:
    """Tokens: add, find, page through, remove."""

    def __init__(self, store: TokenStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cleaning = threading.Lock()

    def add(self, body: bytes, idempotency_key: str | None) -> str:
        """Archive what a generator made; the token's id. Raises Refusal."""
        if idempotency_key is not None and not _KEY(idempotency_key):
            raise refusals.invalid_idempotency_key()
        given = _object(body)
        image, generated, keywords = given.get("svg"), given.get("generated"), given.get("keywords")
        if not (_is_text(image) and _is_moment(generated) and _are_keywords(keywords)):
            raise refusals.attributes_missing()
        if len(image.encode()) > SVG_LIMIT:
            raise refusals.body_too_large()
        digest = hashlib.sha256(json.dumps([image, generated, keywords]).encode()).hexdigest()
        try:
            written = svg.accepted(image)
        except svg.Unsafe as error:
            raise refusals.invalid_svg(str(error)) from None
        if len(written.encode()) > SVG_LIMIT:
            raise refusals.body_too_large()
        try:
            number = self._store.add(NewToken(written, generated, keywords, svg.RULES, idempotency_key, digest), self._clock.now())
        except KeyReused:
            raise refusals.idempotency_key_reused() from None
        return ids.encode(number)

    def entry(self, token_id: str | None) -> Entry:
        """What there is of that id, without its SVG. Raises Refusal 400 or 404."""
        found = self._store.entry(self.number(token_id))
        if found is None:
            raise refusals.token_not_found()
        return found

    def get(self, number: int) -> Token:
        """The token of that number, with an SVG that today's rules wrote. Raises Refusal 404 or 503."""
        token = self._store.get(number)
        if token is None:
            raise refusals.token_not_found()
        return self._today(token)

    def parts(self, entries: Iterable[Entry]) -> Iterator[list[Entry]]:
        """Divide them so that the SVGs of each part are about a megabyte, or one SVG alone."""
        part: list[Entry] = []
        size = 0
        for entry in entries:
            if part and size + entry.size > PART:
                yield part
                part, size = [], 0
            part.append(entry)
            size += entry.size
        yield part

    def tokens(self, entries: Iterable[Entry]) -> list[Token]:
        """These tokens, with SVGs that today's rules wrote; one that was removed meanwhile is left out. Raises Refusal 503."""
        return [self._today(token) for token in self._store.some(entry.id for entry in entries)]

    def _today(self, token: Token) -> Token:
        """The token with an SVG that today's rules wrote: an older one is cleaned once, and stored.

        Of one that cannot be cleaned the store keeps what it has, with a mark that no other request tries; shown is an empty image.
        One at a time: it takes up to a second of the processor. Raises Refusal 503.
        """
        if token.rules >= svg.RULES:
            return token
        if token.rules > -svg.RULES:
            if not self._cleaning.acquire(timeout=CLEANING_WAIT_S):
                raise refusals.too_much_at_once()
            try:
                token = self._store.get(token.id) or token  # somebody else may have done it
                if -svg.RULES < token.rules < svg.RULES:
                    self._clean(token)
            finally:
                self._cleaning.release()
        if token.rules <= -svg.RULES:
            token.svg = svg.EMPTY
        return token

    def _clean(self, token: Token) -> None:
        try:
            written, rules = svg.cleaned(token.svg), svg.RULES
        except svg.Unsafe as error:
            log.warning("token not cleaned", token=ids.encode(token.id), reason=str(error))
            written, rules = token.svg, -svg.RULES
        try:
            self._store.replace(token, written, rules)
        except SQLAlchemyError as error:  # the answer is clean all the same
            log.warning("cleaned token not stored", token=ids.encode(token.id), error=type(error).__name__)
        token.svg, token.rules = written, rules

    def number(self, token_id: str | None) -> int:
        """The number behind an id. Raises Refusal when it is missing or can be no token's."""
        if not token_id:
            raise refusals.id_missing()
        number = ids.decode(token_id)
        if number is None:
            raise refusals.token_not_found()
        return number

    def delete(self, token_id: str | None) -> int:
        """Remove one token; its number. Raises Refusal."""
        number = self.number(token_id)
        if not self._store.delete(number):
            raise refusals.token_not_found()
        return number

    def delete_all(self, confirm: str | None) -> None:
        if confirm != "all":
            raise refusals.confirm_missing()
        self._store.delete_all()

    def page(
        self, *, offset: str | None, start_id: str | None, end_id: str | None, count: str | None, newest_first: str | None
    ) -> tuple[Page, bool]:
        """The asked window and its order. `offset` wins over `start_id`, that over `end_id`. Raises Refusal."""
        if not (offset or start_id or end_id):
            raise refusals.need_start()
        rows = _whole(count) if count else 1
        if rows is None or not 1 <= rows <= COUNT_LIMIT:
            raise refusals.count_out_of_range()
        order = _order(newest_first)
        if offset:
            start = _whole(offset)
            if start is None or abs(start) > OFFSET_LIMIT:
                raise refusals.offset_out_of_range()
            page = self._store.page_at(start, rows, newest_first=order)
            return (Page(page.rows, page.total, start, page.previous, page.following) if start < 0 else page), order
        number = ids.decode(start_id or end_id or "")
        if number is None:  # no token's id, so nothing begins or ends with it
            return Page([], self._store.total(), 0, None, None), order
        return (self._store.page_from if start_id else self._store.page_to)(number, rows, newest_first=order), order


def shown(token: Token) -> dict[str, Any]:
    """A token as clients see it."""
    return {"id": ids.encode(token.id), "svg": token.svg, "generated": token.generated, "keywords": token.keywords}


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise refusals.invalid_json() from None
    if not isinstance(given, dict):
        raise refusals.attributes_missing()
    return given


def _is_text(value: Any) -> TypeGuard[str]:
    """A text that both stores can keep (no NUL, no lone surrogate)."""
    if not isinstance(value, str) or not value or "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_moment(value: Any) -> TypeGuard[str]:
    if not _is_text(value) or len(value) > 64:
        return False
    try:
        dt.datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _are_keywords(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and len(value) == 3 and all(_is_text(word) and len(word) <= KEYWORD_LIMIT for word in value)


def _whole(text: str) -> int | None:
    return int(text) if _WHOLE(text) else None


def _order(text: str | None) -> bool:
    if not text:
        return True
    words = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in words:
        raise refusals.invalid_newest_first()
    return words[text.lower()]
