"""The caller's own account, locked for a change."""

from __future__ import annotations

from sqlalchemy.orm import Session

from services.auth import refusals
from services.auth.access import Caller
from services.auth.credentials.store import accounts
from services.auth.models import User


def locked(session: Session, caller: Caller, if_match: int | None = None) -> User:
    """Return the caller's row, locked. if_match: the version that the caller saw. Raises Refusal 401, 412."""
    user = accounts.by_id(session, caller.user.id, lock=True)
    if user is None or not user.active:
        raise refusals.token_revoked()
    if if_match is not None and if_match != user.version:
        raise refusals.changed_meanwhile()
    return user


def locked_as_let_in(session: Session, caller: Caller) -> User:
    """Return the caller's row, locked, while the password is still the one there was when the caller came. Raises Refusal 401.

    What is created with the old password would outlive its change.
    """
    user = locked(session, caller)
    if user.password_hash != caller.user.password_hash:
        raise refusals.token_revoked()
    return user
