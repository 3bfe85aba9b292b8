"""OAuth2 clients and their authorization codes in the database."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.auth.models import AuthorizationCode, Client

_CLIENT = sa.select(Client).where(Client.id == sa.bindparam("id"))


def client(session: Session, client_id: str) -> Client | None:
    """Return a client."""
    return session.scalar(_CLIENT, {"id": client_id})


def clients(session: Session, page: int, per_page: int) -> tuple[list[Client], int]:
    """Return one page by name, and how many there are in all."""
    total = session.scalar(sa.select(sa.func.count()).select_from(Client)) or 0
    return list(session.scalars(sa.select(Client).order_by(Client.name, Client.id).limit(per_page).offset((page - 1) * per_page))), total


def code(session: Session, digest: str) -> AuthorizationCode | None:
    """Return a code, used or not."""
    return session.get(AuthorizationCode, digest)


def claim_code(session: Session, digest: str, grant_id: str) -> bool:
    """Give a code to a sign-in. Returns whether it was unused; of two requests at once only one gets True."""
    used = sa.update(AuthorizationCode).where(AuthorizationCode.digest == digest, AuthorizationCode.grant_id.is_(None))
    return bool(cast(sa.CursorResult[Any], session.execute(used.values(grant_id=grant_id))).rowcount)
