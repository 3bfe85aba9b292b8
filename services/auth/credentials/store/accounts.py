"""Accounts as signing in needs them: the user's row, the login key, and what one check of a credential asks."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from services.auth.models import PERSON, AccessToken, Domain, Failure, Familiar, LoginKey, User

_START = sa.select(sa.literal(1).label("one")).subquery("start")  # a row that is always there, so that the answer is always one row
_Here, _Account, _Address = aliased(Failure), aliased(Failure), aliased(Failure)
_BY_EMAIL = sa.select(User).where(User.email_key == sa.bindparam("key"))

# One statement, because it is asked hundreds of times a second.
# Parameters: here, account, address (counters of failures, None for none), since, familiar_since, key (of the e-mail, or None)
CHECK = sa.select(
    _Here.count,
    _Here.last_at,
    _Account.count,
    _Account.last_at,
    _Address.count,
    _Address.last_at,
    Familiar.seen_at,
    LoginKey.digest,
    LoginKey.expires_at,
    *PERSON,
).select_from(
    sa.join(_START, _Here, sa.and_(_Here.counter == sa.bindparam("here"), _Here.last_at > sa.bindparam("since")), isouter=True)
    .outerjoin(_Account, sa.and_(_Account.counter == sa.bindparam("account"), _Account.last_at > sa.bindparam("since")))
    .outerjoin(_Address, sa.and_(_Address.counter == sa.bindparam("address"), _Address.last_at > sa.bindparam("since")))
    .outerjoin(User, User.email_key == sa.bindparam("key"))
    .outerjoin(
        Familiar,
        sa.and_(Familiar.place == sa.bindparam("here"), Familiar.user_id == User.id, Familiar.seen_at > sa.bindparam("familiar_since")),
    )
    .outerjoin(LoginKey, LoginKey.user_id == User.id)
)


def by_id(session: Session, user_id: str, *, lock: bool = False) -> User | None:
    """Return a user. lock: until the transaction ends."""
    return session.get(User, user_id, with_for_update=lock or None)


def by_email_key(session: Session, key: str) -> User | None:
    """Return the user whose address has this key (`emails.key_of`)."""
    return session.scalar(_BY_EMAIL, {"key": key})


def login_key(session: Session, user_id: str) -> LoginKey | None:
    """Return the user's login key, ended or not."""
    return session.get(LoginKey, user_id)


def put_login_key(session: Session, user_id: str, digest: str, now: dt.datetime, expires_at: dt.datetime) -> None:
    """Make this the only login key of the user. The access tokens that were created with the one before are deleted."""
    drop_login_key(session, user_id)
    session.add(LoginKey(user_id=user_id, digest=digest, created_at=now, expires_at=expires_at))


def drop_login_key(session: Session, user_id: str) -> bool:
    """Remove the login key, and the access tokens that were created with it. Returns whether there was one."""
    session.execute(sa.delete(AccessToken).where(AccessToken.user_id == user_id, AccessToken.by_login_key))
    dropped = session.execute(sa.delete(LoginKey).where(LoginKey.user_id == user_id))
    return bool(cast(sa.CursorResult[Any], dropped).rowcount)


def login_key_lifetime(session: Session, user: User) -> int:
    """Return the seconds that a new login key of the user lives, as its domain says."""
    domain = session.get(Domain, user.domain)
    return domain.login_key_lifetime_s if domain else 0
