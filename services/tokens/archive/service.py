"""The archive of tokens: what a request means, before anything is stored."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import itertools
import json
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

from sqlalchemy.exc import SQLAlchemyError

from services.common import logging as logs
from services.common.clock import Clock
from services.tokens import refusals
from services.tokens.archive.rules import ids, svg
from services.tokens.archive.store import Entry, KeyReused, NewToken, Page, TokenStore
from services.tokens.models import Token

log = logs.get(__name__)

COUNT_LIMIT = 250
OFFSET_LIMIT = 2**31
SVG_LIMIT = 1_000_000  # bytes in UTF-8, as sent and as written down
PIECE = 256 * 1024  # bytes of SVGs that are in memory for one answer
READERS = 2  # SVGs that are read at the same time; a hostile one of 1 MB takes 25 MB meanwhile
KEYWORD_LIMIT = 200  # characters
CLEANING_WAIT_S = 10.0

_KEY = re.compile(r"[\x20-\x7e]{1,255}\Z").match
_WHOLE = re.compile(r"[+-]?[0-9]{1,10}\Z").match


class Changed(Exception):
    """A token was removed while it was sent: the answer cannot be brought to its end."""


class Archive:
    """Tokens: add, find, page through, remove."""

    def __init__(self, store: TokenStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._readers = threading.Semaphore(READERS)
        self._cleaning = threading.Lock()

    def add(self, body: bytes, idempotency_key: str | None) -> str:
        """Archive what a generator made; the token's id. Raises Refusal."""
        if idempotency_key is not None and not _KEY(idempotency_key):
            raise refusals.invalid_idempotency_key()
        with self._readers:
            new = _new_token(body, idempotency_key)
        try:
            return ids.encode(self._store.add(new, self._clock.now()))
        except KeyReused:
            raise refusals.idempotency_key_reused() from None

    def entry(self, token_id: str | None) -> Entry:
        """What there is of that id, without its SVG. Raises Refusal 400 or 404."""
        found = self._store.entry(self.number(token_id))
        if found is None:
            raise refusals.token_not_found()
        return found

    def svg(self, entry: Entry) -> Iterable[bytes]:
        """The pieces of one token's SVG. Raises Refusal 404 or 503; while they are read, Changed."""
        for _, pieces in self.svgs([entry]):
            return pieces
        raise refusals.token_not_found()

    def shown(self, token_id: str | None) -> Entry:
        """As `entry`, when its SVG is such that its size is the one that clients will see. Raises Refusal 400, 404 or 503."""
        found = self.entry(token_id)
        if _is_current(found):
            return found
        text = self._today(found)
        return dataclasses.replace(self._store.entry(found.id) or found, size=len(text.encode()))

    def svgs(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Iterable[bytes]]]:
        """Each token and the pieces of its SVG in UTF-8, as today's rules wrote it. A token that was removed meanwhile is left out.

        A piece is read when it is asked for, in a transaction of its own: however many and however large they are, one answer has about
        256 KB of them in memory, and a client that reads slowly holds no connection to the store. What follows the first piece is waited
        for with patience, because the answer has begun. Raises Refusal 503; the pieces, Changed.
        """
        begun = False
        for part in _parts(entries):
            if len(part) > 1 or (part[0].size <= PIECE and _is_current(part[0])):
                known = {entry.id: entry for entry in part}
                for token in self._store.some(known, patient=begun):
                    yield known[token.id], [token.svg.encode()]
            elif not _is_current(part[0]):
                if text := self._today(part[0], patient=begun):
                    yield part[0], [text.encode()]
            elif first := self._store.piece(part[0], 0, PIECE, patient=begun):
                others = map(functools.partial(self._next_piece, part[0]), range(PIECE, part[0].size, PIECE))
                yield part[0], itertools.chain([first], others)
            begun = True

    def _next_piece(self, entry: Entry, begin: int) -> bytes:
        """Raises Changed."""
        found = self._store.piece(entry, begin, PIECE, patient=True)
        if not found:
            raise Changed
        return found

    def _today(self, entry: Entry, *, patient: bool = False) -> str:
        """The SVG of a token that older rules wrote: it is cleaned once, and stored; empty when the token was removed.

        Of one that cannot be cleaned the store keeps what it has, with a mark that no other request tries; shown is an empty image.
        One at a time: it takes up to a second of the processor. Raises Refusal 503.
        """
        if entry.rules <= -svg.RULES:
            return svg.EMPTY
        if not self._cleaning.acquire(timeout=CLEANING_WAIT_S):
            raise refusals.too_many_old()
        try:
            token = self._store.get(entry.id, patient=patient)
            if token is None:
                return ""
            if -svg.RULES < token.rules < svg.RULES:  # nobody else has done it meanwhile
                self._clean(token)
            return token.svg if token.rules > 0 else svg.EMPTY
        finally:
            self._cleaning.release()

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


def _is_current(entry: Entry) -> bool:
    return entry.rules >= svg.RULES


def _parts(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Small ones together, as many as make one piece; a large one, and one that older rules wrote, alone."""
    part: list[Entry] = []
    size = 0
    for entry in entries:
        if part and (size + entry.size > PIECE or not _is_current(entry)):
            yield part
            part, size = [], 0
        part.append(entry)
        size = size + entry.size if _is_current(entry) else PIECE
    if part:
        yield part


def _new_token(body: bytes, idempotency_key: str | None) -> NewToken:
    """What a generator handed in, with its SVG written anew. Raises Refusal."""
    given = _object(body)
    image, generated, keywords = given.get("svg"), given.get("generated"), given.get("keywords")
    if not (_is_text(image) and _is_moment(generated) and _are_keywords(keywords)):
        raise refusals.attributes_missing()
    if len(image.encode()) > SVG_LIMIT:
        raise refusals.body_too_large()
    try:
        written = svg.accepted(image)
    except svg.Unsafe as error:
        raise refusals.invalid_svg(str(error)) from None
    if len(written.encode()) > SVG_LIMIT:
        raise refusals.body_too_large()
    digest = hashlib.sha256(json.dumps([image, generated, keywords]).encode()).hexdigest()
    return NewToken(written, generated, keywords, svg.RULES, idempotency_key, digest)


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
