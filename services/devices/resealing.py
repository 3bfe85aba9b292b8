"""What `python -m services.common.reseal devices` does: tokens with a serial number, their codes, the secrets that sign calls."""

from __future__ import annotations

from typing import cast

import sqlalchemy as sa

from services.common.resealing import Resealed, Sealed, existing_key, in_database, reseal
from services.devices import master_key
from services.devices.models import Action, DeviceToken
from services.devices.settings import Settings


def run(settings: Settings, *, leave_lost: bool) -> Resealed:
    """Seal them again. Raises SettingsError, Lost, NotMigrated, the store's error."""
    key = existing_key("DEVICES_MASTER_KEY", settings.master_key, settings.data / master_key.FILE)
    tokens, actions = cast(sa.Table, DeviceToken.__table__).c, cast(sa.Table, Action.__table__).c
    columns = [
        Sealed(tokens.sealed, tokens.id, master_key.TOKEN),
        Sealed(tokens.verification_code, tokens.id, master_key.CODE),
        Sealed(actions.sealed, actions.id, master_key.WEBHOOK),
    ]
    return in_database("devices", settings.database_url, lambda connection: reseal(connection, columns, key, leave_lost=leave_lost))
