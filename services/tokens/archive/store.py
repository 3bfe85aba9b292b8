"""Tokens in the database, by id and by position."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session

from services.tokens.archive.rules.tokens import Entry, Page
from services.tokens.models import Token


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


class Known(NamedTuple):
    """The token that an idempotency key has given."""

    id: int
    digest: str


def known(session: Session, idempotency_key: str) -> Known | None:
    """Find what an idempotency key has given."""
    row = session.execute(sa.select(Token.id, Token.body_digest).where(Token.idempotency_key == idempotency_key)).one_or_none()
    return None if row is None else Known(*row)


def add(session: Session, token: Token) -> None:
    """Add a token."""
    session.add(token)


def exists(session: Session, number: int) -> bool:
    """Say whether there is a token of this number."""
    return session.execute(sa.select(Token.id).where(Token.id == number)).scalar() is not None


def entry(session: Session, number: int) -> Entry | None:
    """Read a token without its SVG."""
    row = session.execute(_ENTRY.where(Token.id == number)).one_or_none()
    return None if row is None else Entry(*row)


def get(session: Session, number: int) -> Token | None:
    """Read a token."""
    return session.get(Token, number)


def some(session: Session, numbers: Iterable[int]) -> list[Token]:
    """Read the tokens of these numbers, in this order; leave out one that is not there."""
    asked = list(numbers)
    found = {token.id: token for token in session.scalars(sa.select(Token).where(Token.id.in_(asked)))}
    return [found[number] for number in asked if number in found]


def piece(session: Session, entry: Entry, begin: int, size: int) -> bytes:
    """Read `size` bytes of the token's SVG, from `begin` on; none when it was removed or rewritten since the entry was read."""
    query = sa.select(sa.func.substr(_utf8(Token.svg), begin + 1, size))
    return session.execute(query.where(Token.id == entry.id, Token.rules == entry.rules)).scalar() or b""


def replace(session: Session, token: Token, svg: str, rules: int) -> None:
    """Write the SVG that newer rules made of this token's, unless somebody else has done so."""
    same = sa.and_(Token.id == token.id, Token.rules == token.rules)
    session.execute(sa.update(Token).where(same).values(svg=svg, rules=rules))


def remove(session: Session, number: int) -> bool:
    """Remove a token and close the gap in the positions (in time linear to the newer tokens). Returns whether it was there."""
    position = session.execute(sa.delete(Token).where(Token.id == number).returning(Token.position)).scalar()
    if position is None:
        return False
    session.execute(sa.update(Token).where(Token.position > position).values(position=Token.position - 1))
    return True


def remove_all(session: Session) -> None:
    """Remove every token."""
    session.execute(sa.delete(Token))


def total(session: Session) -> int:
    """Count the tokens."""
    return session.execute(sa.select(sa.func.max(Token.position))).scalar() or 0


def snapshot(session: Session) -> None:
    """Let all reads of the session see one moment (SQLite's readers do already)."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def page_at(session: Session, offset: int, count: int, *, newest_first: bool) -> Page:
    """Read the window that begins at `offset`; a negative one counts from the end and may begin before the archive."""
    tokens = total(session)
    page = _window(session, tokens, offset + tokens if offset < 0 else offset, count, newest_first)
    return page._replace(offset=offset)


def page_from(session: Session, number: int, count: int, *, newest_first: bool) -> Page:
    """Read the window that begins with this token, or with the next one in the order when there is none of that id."""
    tokens = total(session)
    return _window(session, tokens, _offset(session, number, tokens, newest_first, towards_end=True), count, newest_first)


def page_to(session: Session, number: int, count: int, *, newest_first: bool) -> Page:
    """Read the window that ends with this token, or with the one before it in the order when there is none of that id."""
    tokens = total(session)
    last = _offset(session, number, tokens, newest_first, towards_end=False)
    first = max(0, last - count + 1)
    return _window(session, tokens, first, last - first + 1, newest_first)


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
        return Page([], total, start, None, None, newest_first)

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
    return Page(rows, total, start, neighbour(start - 1), neighbour(end), newest_first)
