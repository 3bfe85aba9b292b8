"""The archive of tokens in the database. Every method is one transaction; a change takes its counter's lock first, to the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session

from services.common.database import Database
from services.common.store_guard import LONG_WORK_S
from services.tokens import counters
from services.tokens.archive.rules import ids
from services.tokens.models import Token


class KeyReused(Exception):
    """An idempotency key came with another body."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a generator hands in. digest: of the whole body, to recognise a repeated request."""

    svg: str
    generated: str
    keywords: list[str]
    rules: int
    idempotency_key: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A token without its SVG. size: of the SVG in UTF-8, in bytes; rules: see models.Token."""

    id: int
    size: int
    rules: int
    generated: str
    keywords: list[Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A window of the archive. offset: of its first row in the asked order; previous, following: ids of the neighbours just outside."""

    rows: list[Entry]
    total: int
    offset: int
    previous: int | None
    following: int | None


class _size(sa.sql.functions.GenericFunction[int]):
    """Bytes of a text in UTF-8; PostgreSQL knows them without reading the text."""

    type = sa.Integer()
    inherit_cache = True


class _utf8(sa.sql.functions.GenericFunction[bytes]):
    """A text as bytes."""

    type = sa.LargeBinary()
    inherit_cache = True


@compiles(_size, "postgresql")
def _postgresql_size(element: _size, compiler: Any, **options: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **options)})"


@compiles(_size, "sqlite")
def _sqlite_size(element: _size, compiler: Any, **options: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **options)} AS BLOB))"  # octet_length came with 3.43


@compiles(_utf8, "postgresql")
def _postgresql_utf8(element: _utf8, compiler: Any, **options: Any) -> str:
    return f"convert_to({compiler.process(element.clauses, **options)}, 'UTF8')"


@compiles(_utf8, "sqlite")
def _sqlite_utf8(element: _utf8, compiler: Any, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS BLOB)"


_ENTRY = sa.select(Token.id, _size(Token.svg), Token.rules, Token.generated, Token.keywords)


def snapshot(session: Session) -> None:
    """Let all reads of the session see one moment (SQLite's readers do already)."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def exists(session: Session, number: int) -> bool:
    """Whether there is a token of this number."""
    return session.execute(sa.select(Token.id).where(Token.id == number)).scalar() is not None


class TokenStore:
    """Tokens by id and by position."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: NewToken, now: dt.datetime) -> int:
        """Archive a token and return its id; with a known idempotency key the id given then. Raises KeyReused."""

        def work(session: Session) -> int:
            number = counters.advance(session, "tokens", ids.milliseconds(now))
            if new.idempotency_key is not None:
                known = session.execute(
                    sa.select(Token.id, Token.body_digest).where(Token.idempotency_key == new.idempotency_key)
                ).one_or_none()
                if known is not None:
                    if known.body_digest != new.digest:
                        raise KeyReused
                    return int(known.id)
            session.add(
                Token(
                    id=number,
                    position=_total(session) + 1,
                    svg=new.svg,
                    generated=new.generated,
                    keywords=new.keywords,
                    rules=new.rules,
                    created_at=now,
                    idempotency_key=new.idempotency_key,
                    body_digest=new.digest,
                )
            )
            return number

        return self._database.run(work)

    def entry(self, number: int) -> Entry | None:
        with self._database.read() as session:
            found = session.execute(_ENTRY.where(Token.id == number)).one_or_none()
        return None if found is None else Entry(*found)

    def get(self, number: int, *, patient: bool = False) -> Token | None:
        with self._database.read(patient=patient) as session:
            return session.get(Token, number)

    def piece(self, entry: Entry, begin: int, size: int, *, patient: bool = False) -> bytes:
        """`size` bytes of the token's SVG, from `begin` on; none when it was removed or written anew since the entry was read."""
        query = sa.select(sa.func.substr(_utf8(Token.svg), begin + 1, size))
        with self._database.read(patient=patient) as session:
            return session.execute(query.where(Token.id == entry.id, Token.rules == entry.rules)).scalar() or b""

    def some(self, numbers: Iterable[int], *, patient: bool = False) -> list[Token]:
        """The tokens of these ids, in this order; one that is not there is left out."""
        asked = list(numbers)
        with self._database.read(patient=patient) as session:
            found = {token.id: token for token in session.scalars(sa.select(Token).where(Token.id.in_(asked)))}
        return [found[number] for number in asked if number in found]

    def replace(self, token: Token, svg: str, rules: int) -> None:
        """Write down the SVG that newer rules made of this token's, unless somebody else has done so."""

        def work(session: Session) -> None:
            same = sa.and_(Token.id == token.id, Token.rules == token.rules)
            session.execute(sa.update(Token).where(same).values(svg=svg, rules=rules))

        self._database.run(work)

    def delete(self, number: int) -> bool:
        """Remove one token and close the gap in the positions (in time linear to the newer tokens). Whether it was there."""

        def work(session: Session) -> bool:
            counters.advance(session, "tokens")
            position = session.execute(sa.delete(Token).where(Token.id == number).returning(Token.position)).scalar()
            if position is None:
                return False
            session.execute(sa.update(Token).where(Token.position > position).values(position=Token.position - 1))
            return True

        return self._database.run(work, patience_s=LONG_WORK_S)

    def delete_all(self) -> None:
        def work(session: Session) -> None:
            counters.advance(session, "tokens")
            session.execute(sa.delete(Token))

        self._database.run(work, patience_s=LONG_WORK_S)

    def total(self) -> int:
        with self._database.read() as session:
            return _total(session)

    def page_at(self, offset: int, count: int, *, newest_first: bool) -> Page:
        """The window that begins at `offset`; a negative one counts from the end and may begin before the archive."""
        with self._database.read() as session:
            snapshot(session)
            total = _total(session)
            return _window(session, total, offset + total if offset < 0 else offset, count, newest_first)

    def page_from(self, number: int, count: int, *, newest_first: bool) -> Page:
        """The window that begins with this token, or with the next one in the order when there is none of that id."""
        with self._database.read() as session:
            snapshot(session)
            total = _total(session)
            return _window(session, total, _offset(session, number, total, newest_first, towards_end=True), count, newest_first)

    def page_to(self, number: int, count: int, *, newest_first: bool) -> Page:
        """The window that ends with this token, or with the one before it in the order when there is none of that id."""
        with self._database.read() as session:
            snapshot(session)
            total = _total(session)
            last = _offset(session, number, total, newest_first, towards_end=False)
            first = max(0, last - count + 1)
            return _window(session, total, first, last - first + 1, newest_first)


def _total(session: Session) -> int:
    return session.execute(sa.select(sa.func.max(Token.position))).scalar() or 0


def _offset(session: Session, number: int, total: int, newest_first: bool, *, towards_end: bool) -> int:
    """Offset of the token, or of its neighbour towards one end of the order; -1 or `total` when there is none."""
    older = newest_first == towards_end  # which neighbour stands in for an id that does not exist
    query = sa.select(Token.position)
    query = query.where(Token.id <= number).order_by(Token.id.desc()) if older else query.where(Token.id >= number).order_by(Token.id)
    position = session.execute(query.limit(1)).scalar()
    if position is None:
        position = 0 if older else total + 1
    return total - position if newest_first else position - 1


def _window(session: Session, total: int, start: int, count: int, newest_first: bool) -> Page:
    """Rows start … start+count-1 as far as they exist, and the neighbours of that window. `start` may be below 0 or beyond `total`."""
    end = start + count  # offsets from here on are outside
    low, high = max(start - 1, 0), min(end + 1, total)
    if low >= high:
        return Page([], total, start, None, None)

    def position(offset: int) -> int:
        return total - offset if newest_first else offset + 1

    def neighbour(offset: int) -> int | None:
        if not 0 <= offset < total:
            return None
        return session.execute(sa.select(Token.id).where(Token.position == position(offset))).scalar()

    first, last = max(start, 0), min(end, total) - 1
    rows: list[Entry] = []
    if first <= last:
        low, high = sorted((position(first), position(last)))
        order = Token.position.desc() if newest_first else Token.position
        rows = [Entry(*row) for row in session.execute(_ENTRY.where(Token.position.between(low, high)).order_by(order))]
    return Page(rows, total, start, neighbour(start - 1), neighbour(end))
