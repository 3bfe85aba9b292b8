"""What `python -m services.common.reseal auth` does: the private signing keys."""

from __future__ import annotations

from typing import cast

import sqlalchemy as sa

from services.auth.models import SigningKey
from services.auth.settings import Settings
from services.auth.signing.service import PURPOSE
from services.auth.wiring import MASTER_KEY_FILE
from services.common.resealing import Resealed, Sealed, existing_key, in_database, reseal


def run(settings: Settings, *, leave_lost: bool) -> Resealed:
    """Seal them again. Raises SettingsError, Lost, NotMigrated, the store's error."""
    key = existing_key("AUTH_MASTER_KEY", settings.master_key, settings.data / MASTER_KEY_FILE)
    table = cast(sa.Table, SigningKey.__table__)
    columns = [Sealed(table.c.sealed, table.c.kid, PURPOSE)]
    return in_database("auth", settings.database_url, lambda connection: reseal(connection, columns, key, leave_lost=leave_lost))
