"""Device tokens in the database."""

from __future__ import annotations

from sqlalchemy.orm import Session

from services.devices.models import DeviceToken


def add(session: Session, token: DeviceToken) -> None:
    """Add a token. Raises IntegrityError for a serial number that another token of the account has."""
    session.add(token)
    session.flush()
