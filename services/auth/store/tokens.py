"""Access tokens, role tokens with their cut-offs, and clients."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.auth.models import AccessToken, Client, CutOff, RoleToken

_CLIENT = sa.select(Client).where(Client.id == sa.bindparam("id"))


def of_user(session: Session, user_id: str, token_id: str, *, lock: bool = False) -> AccessToken | None:
    query = sa.select(AccessToken).where(AccessToken.id == token_id, AccessToken.user_id == user_id)
    return session.scalar(query.with_for_update() if lock else query)


def page_of_user(session: Session, user_id: str, page: int, per_page: int) -> tuple[list[AccessToken], int]:
    mine = AccessToken.user_id == user_id
    total = session.scalar(sa.select(sa.func.count()).select_from(AccessToken).where(mine)) or 0
    query = sa.select(AccessToken).where(mine).order_by(AccessToken.created_at.desc(), AccessToken.id)
    return list(session.scalars(query.limit(per_page).offset((page - 1) * per_page))), total


def mark_used(session: Session, used: Mapping[str, dt.datetime]) -> None:
    """Never back to an earlier moment: another process may have written a later one already."""
    for token_id in sorted(used):  # in one order, so that two processes never wait for each other
        earlier = sa.or_(AccessToken.last_used_at.is_(None), AccessToken.last_used_at < used[token_id])
        session.execute(sa.update(AccessToken).where(AccessToken.id == token_id, earlier).values(last_used_at=used[token_id]))


def role_token(session: Session, jti: str) -> RoleToken | None:
    return session.get(RoleToken, jti)


def role_tokens(session: Session, subject: str | None, page: int, per_page: int) -> tuple[list[RoleToken], int]:
    """Those not revoked, newest first."""
    which = [RoleToken.revoked_at.is_(None), *([RoleToken.subject == subject] if subject else [])]
    total = session.scalar(sa.select(sa.func.count()).select_from(RoleToken).where(*which)) or 0
    query = sa.select(RoleToken).where(*which).order_by(RoleToken.issued_at.desc(), RoleToken.jti)
    return list(session.scalars(query.limit(per_page).offset((page - 1) * per_page))), total


def put_cut_off(session: Session, subject: str, moment: dt.datetime) -> None:
    """Of two at once the later one stays."""
    insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    put = insert(CutOff).values(subject=subject, cut_off=moment)
    session.execute(put.on_conflict_do_update(index_elements=["subject"], set_={"cut_off": moment}))


def client(session: Session, client_id: str) -> Client | None:
    return session.scalar(_CLIENT, {"id": client_id})


def clients(session: Session, page: int, per_page: int) -> tuple[list[Client], int]:
    total = session.scalar(sa.select(sa.func.count()).select_from(Client)) or 0
    return list(session.scalars(sa.select(Client).order_by(Client.name, Client.id).limit(per_page).offset((page - 1) * per_page))), total
