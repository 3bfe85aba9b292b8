"""The archive of tokens: add, find, page through, show, remove."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Iterable, Iterator
from mmap import mmap

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.common import logging as logs
from services.common.clock import Clock
from services.common.database import Database
from services.common.store_guard import LONG_WORK_S
from services.tokens import counters, refusals
from services.tokens.archive import store
from services.tokens.archive.pictures import Pictures
from services.tokens.archive.rules import ids, parameters, svg
from services.tokens.archive.rules.tokens import Entry, Page, is_current, read_idempotency_key, read_token
from services.tokens.models import Token

log = logs.get(__name__)

PIECE = 256 * 1024  # bytes of SVGs that are in memory for one answer
READERS = 2  # SVGs that are read at the same time
CLEANING_WAIT_S = 10.0
DRAWING_WAIT_S = 10.0
DRAWING = 32  # requests that wait for a picture to be drawn, each with its SVG


class Changed(Exception):
    """A token was removed while it was sent: the answer cannot be brought to its end."""


class Archive:
    """The tokens and their pictures. Thread-safe."""

    def __init__(self, database: Database, clock: Clock, pictures: Pictures) -> None:
        self._database = database
        self._clock = clock
        self._pictures = pictures
        self._readers = threading.Semaphore(READERS)
        self._cleaning = threading.Lock()
        self._drawing = threading.Semaphore(DRAWING)

    def add(self, body: bytes, idempotency_key: str | None) -> str:
        """Archive what a generator hands in; returns the token's id. A known idempotency key gives the id of then.

        Raises Refusal 400, 413, 422.
        """
        key = read_idempotency_key(idempotency_key)
        with self._readers:
            new = read_token(body)
        now = self._clock.now()

        def work(session: Session) -> int:
            number = counters.advance(session, "tokens", ids.milliseconds(now))
            known = None if key is None else store.known(session, key)
            if known is not None:
                if known.digest != new.digest:
                    raise refusals.idempotency_key_reused()
                return known.id
            token = Token(
                id=number,
                position=store.total(session) + 1,
                svg=new.svg,
                generated=new.generated,
                keywords=new.keywords,
                rules=new.rules,
                created_at=now,
                idempotency_key=key,
                body_digest=new.digest,
            )
            store.add(session, token)
            return number

        return ids.encode(self._database.run(work))

    def entry(self, token_id: str | None) -> Entry:
        """Find a token, without its SVG. Raises Refusal 400, 404."""
        number = parameters.read_id(token_id)
        with self._database.read() as session:
            found = store.entry(session, number)
        if found is None:
            raise refusals.token_not_found()
        return found

    def shown(self, token_id: str | None) -> Entry:
        """Find a token as `entry`, with the size of the SVG that clients will see. Raises Refusal 400, 404, 503."""
        found = self.entry(token_id)
        if is_current(found):
            return found
        text = self._today(found)
        with self._database.read() as session:
            found = store.entry(session, found.id) or found
        return found._replace(size=len(text.encode()))

    def page(
        self,
        *,
        offset: str | None = None,
        start_id: str | None = None,
        end_id: str | None = None,
        count: str | None = None,
        newest_first: str | None = None,
    ) -> Page:
        """Find a window of the archive. Raises Refusal 400."""
        asked = parameters.read_window(offset, start_id, end_id, count, newest_first)
        with self._database.read() as session:
            store.snapshot(session)
            if asked.offset is not None:
                return store.page_at(session, asked.offset, asked.rows, newest_first=asked.newest_first)
            if asked.first is not None:
                return store.page_from(session, asked.first, asked.rows, newest_first=asked.newest_first)
            if asked.last is not None:
                return store.page_to(session, asked.last, asked.rows, newest_first=asked.newest_first)
            return Page([], store.total(session), 0, None, None, asked.newest_first)

    def svg(self, entry: Entry) -> Iterable[bytes]:
        """Read one token's SVG in pieces. Raises Refusal 404, 503; while they are read, Changed."""
        for _, pieces in self.svgs([entry]):
            return pieces
        raise refusals.token_not_found()

    def svgs(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Iterable[bytes]]]:
        """Read each token's SVG, as today's rules write it, in pieces of UTF-8. A token that was removed meanwhile is left out.

        A piece is read when it is asked for, in a transaction of its own: however many and however large they are, one answer has about
        256 KB of them in memory, and a client that reads slowly holds no connection to the store. What follows the first piece is waited
        for with patience, because the answer has begun. Raises Refusal 503; the pieces, Changed.
        """
        begun = False
        for part in _parts(entries):
            first = part[0]
            if len(part) > 1 or (first.size <= PIECE and is_current(first)):
                yield from self._whole(part, patient=begun)
            elif not is_current(first):
                if text := self._today(first, patient=begun):
                    yield first, [text.encode()]
            elif piece := self._piece(first, 0, patient=begun):
                others = map(functools.partial(self._next_piece, first), range(PIECE, first.size, PIECE))
                yield first, itertools.chain([piece], others)
            begun = True

    def picture(self, entry: Entry, width: int) -> mmap | bytes:
        """Draw a token on white, unless its picture is kept. width: in pixels. Raises Refusal 404, 500, 501, 503."""
        name = ids.encode(entry.id)
        kept = self._pictures.kept(name, svg.RULES, width)
        if kept is not None:
            return kept
        if not self._drawing.acquire(timeout=DRAWING_WAIT_S):
            raise refusals.renderer_busy()
        try:
            kept = self._pictures.kept(name, svg.RULES, width)  # another request may have drawn it meanwhile
            if kept is not None:
                return kept
            png = self._pictures.png(name, svg.RULES, b"".join(self.svg(entry)).decode(), width)
            return self._pictures.kept(name, svg.RULES, width) or png
        finally:
            self._drawing.release()

    def remove(self, token_id: str | None) -> None:
        """Remove one token and its pictures. Raises Refusal 400, 404."""
        number = parameters.read_id(token_id)

        def work(session: Session) -> None:
            counters.advance(session, "tokens")
            if not store.remove(session, number):
                raise refusals.token_not_found()

        self._database.run(work, patience_s=LONG_WORK_S)
        self._pictures.forget(ids.encode(number))

    def remove_all(self, confirm: str | None) -> None:
        """Remove every token and every picture. Raises Refusal 400 unless it is confirmed."""
        if confirm != "all":
            raise refusals.confirm_missing()

        def work(session: Session) -> None:
            counters.advance(session, "tokens")
            store.remove_all(session)

        self._database.run(work, patience_s=LONG_WORK_S)
        self._pictures.forget()

    def _whole(self, entries: list[Entry], *, patient: bool) -> Iterator[tuple[Entry, Iterable[bytes]]]:
        known = {entry.id: entry for entry in entries}
        with self._database.read(patient=patient) as session:
            tokens = store.some(session, known)
        for token in tokens:
            yield known[token.id], [token.svg.encode()]

    def _piece(self, entry: Entry, begin: int, *, patient: bool) -> bytes:
        with self._database.read(patient=patient) as session:
            return store.piece(session, entry, begin, PIECE)

    def _next_piece(self, entry: Entry, begin: int) -> bytes:
        """Raises Changed."""
        found = self._piece(entry, begin, patient=True)
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
            with self._database.read(patient=patient) as session:
                token = store.get(session, entry.id)
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
            self._database.run(lambda session: store.replace(session, token, written, rules))
        except SQLAlchemyError as error:  # the answer is clean all the same
            log.warning("cleaned token not stored", token=ids.encode(token.id), error=type(error).__name__)
        token.svg, token.rules = written, rules


def _parts(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Small ones together, as many as make one piece; a large one, and one that older rules wrote, alone."""
    part: list[Entry] = []
    size = 0
    for entry in entries:
        if part and (size + entry.size > PIECE or not is_current(entry)):
            yield part
            part, size = [], 0
        part.append(entry)
        size = size + entry.size if is_current(entry) else PIECE
    if part:
        yield part
