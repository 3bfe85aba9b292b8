"""What `python -m services.common.reseal gateway` does: what webhooks, HMAC signatures and OAuth2 have sealed, and their key."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from services.common.resealing import Resealed, Sealed, existing_key, in_database, reseal
from services.gateway.settings import Settings
from services.gateway.stores.hooks import HOOKS
from services.gateway.stores.keys import SECRETS
from services.gateway.stores.oauth_tables import NOTIFICATIONS
from services.gateway.stores.sealing import PURPOSE, note_key

_COLUMNS: Final = (
    Sealed(HOOKS.c.sealed, HOOKS.c.id, PURPOSE),
    Sealed(SECRETS.c.hmac_sealed, SECRETS.c.hash, PURPOSE),
    Sealed(NOTIFICATIONS.c.sealed, NOTIFICATIONS.c.delivery_id, PURPOSE),
)


def run(settings: Settings, *, leave_lost: bool) -> Resealed:
    """Seal them again. Raises SettingsError, Lost, NotMigrated, the store's error."""
    key = existing_key("GATEWAY_MASTER_KEY", settings.master_key, settings.master_key_path)

    def work(connection: sa.Connection) -> Resealed:
        if key:
            note_key(connection, key)
        return reseal(connection, _COLUMNS, key, leave_lost=leave_lost)

    return in_database("gateway", settings.database_url, work)
