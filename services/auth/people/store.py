"""Users and domains in the database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth import levels
from services.auth.models import Domain, User
from services.auth.people.rules import Filter


def any_user(session: Session) -> bool:
    """Say whether there is a user."""
    return session.scalar(sa.select(User.id).limit(1)) is not None


def taken(session: Session, key: str, skeleton: str, *, besides: str | None = None) -> bool:
    """Say whether another user has the address, or one that looks like it."""
    query = sa.select(User.id).where(sa.or_(User.email_key == key, User.email_skeleton == skeleton))
    if besides:
        query = query.where(User.id != besides)
    return session.scalar(query.limit(1)) is not None


def page(session: Session, wanted: Filter, page: int, per_page: int) -> tuple[list[User], int]:
    """Return one page in order of e-mail, and how many there are in all."""
    query = sa.select(User)
    if wanted.domain is not None:
        query = query.where(User.domain == wanted.domain)
    if wanted.level is not None:
        query = query.where(User.level == wanted.level)
    if wanted.active is not None:
        query = query.where(User.active == wanted.active)
    if wanted.text:
        columns = (User.email, User.email_key, User.full_name)
        query = query.where(sa.or_(*(column.icontains(wanted.text, autoescape=True) for column in columns)))
    total = session.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0
    found = session.scalars(query.order_by(User.email_key, User.id).limit(per_page).offset((page - 1) * per_page))
    return list(found), total


def teach_lower(engine: sa.Engine) -> None:
    """Give SQLite a `lower` for all letters, as PostgreSQL's; its own knows ASCII alone. Call it before the first connection."""
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", lambda connection, _: connection.create_function("lower", 1, _lower, deterministic=True))


def _lower(text: str | None) -> str | None:
    return text.lower() if text is not None else None


def lock_super_users(session: Session) -> list[str]:
    """Return the ids of the active super users. Their rows stay locked, so that two requests cannot take away the last two at once."""
    query = sa.select(User.id).where(User.level == levels.SUPER_USER, User.active).order_by(User.id).with_for_update()
    return list(session.scalars(query))


def domain(session: Session, name: str) -> Domain | None:
    """Return a domain."""
    return session.get(Domain, name)


def domains(session: Session, page: int, per_page: int) -> tuple[list[Domain], int]:
    """Return one page by name, and how many there are in all."""
    total = session.scalar(sa.select(sa.func.count()).select_from(Domain)) or 0
    return list(session.scalars(sa.select(Domain).order_by(Domain.name).limit(per_page).offset((page - 1) * per_page))), total


def domain_in_use(session: Session, name: str) -> bool:
    """Say whether a user belongs to the domain."""
    return session.scalar(sa.select(User.id).where(User.domain == name).limit(1)) is not None
